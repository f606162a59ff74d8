// Redaction: registered secrets become `***`, also split across chunks, lines and pieces.
//
// A secret is registered without the white space around it and is looked for as it is; in base64 (both
// alphabets, at the three alignments it can have inside other data, and wrapped at 64 or 76 columns when
// encoded alone); percent-encoded (strictly, leniently as browsers do, with `+` for space, upper- and
// lower-case hexadecimals); and JSON-escaped. Of a secret of several lines every line of at least
// `min_line_bytes` is looked for by itself too. Overlapping finds are masked as one.
//
// Not found: other encodings (hexadecimal, gzip, reversed), base64 wrapped inside other data, and secrets of
// fewer than `min_secret_bytes`, which would mask ordinary words.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames {

namespace detail {
class Automaton;
}

/// The set of secrets of one process. Thread-safe; secrets may be added at any time and count from then on.
class Redactor {
  public:
    static constexpr std::size_t min_secret_bytes = 4;
    static constexpr std::size_t min_line_bytes = 8;
    /// Of a longer secret the first so many bytes are looked for as a whole; its lines all are.
    static constexpr std::size_t max_whole_bytes = std::size_t{32} << 10U;

    Redactor();
    ~Redactor();
    Redactor(const Redactor&) = delete;
    Redactor& operator=(const Redactor&) = delete;

    /// False = too short to be masked (the caller may warn); an empty secret is silently nothing.
    bool add(std::string_view secret);

    /// `text` with every secret masked; `redactions`, if given, is raised by the number of places.
    [[nodiscard]] std::string mask(std::string_view text, std::uint64_t* redactions = nullptr) const;
    /// The same in place; nothing is copied where nothing is found.
    void mask_in_place(std::string& text, std::uint64_t* redactions = nullptr) const;

    /// Places masked so far, by this and by every Masker made from it.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool empty() const noexcept { return version_.load(std::memory_order_acquire) == 0; }

  private:
    friend class Masker;
    [[nodiscard]] std::shared_ptr<const detail::Automaton> automaton() const;

    mutable std::mutex mutex_;
    std::set<std::string, std::less<>> patterns_;
    mutable std::shared_ptr<const detail::Automaton> automaton_; ///< null = to be built again
    std::atomic<std::uint64_t> version_{0};
    mutable std::atomic<std::uint64_t> count_{0};
};

/// Masks one endless stream of bytes that comes in chunks. Bytes that may be the beginning of a secret are
/// held back until the next chunk decides. One per lane; not thread-safe.
class Masker {
  public:
    explicit Masker(const Redactor& redactor);
    ~Masker();
    Masker(Masker&&) noexcept;

    /// What is certain now. The view points into `chunk` or into this object and is good until the next call.
    std::string_view feed(std::string_view chunk);
    /// Lets go of what is still held: the stream is over.
    std::string_view finish();

    /// Bytes held back.
    [[nodiscard]] std::size_t held() const noexcept { return held_.size(); }
    [[nodiscard]] std::uint64_t redactions() const noexcept { return redactions_; }

  private:
    struct Range {
        std::size_t begin;
        std::size_t end;
    };
    void scan(std::string_view bytes, std::size_t offset);
    void refresh();
    void release(std::string_view bytes, std::size_t end);

    const Redactor* redactor_;
    std::uint64_t version_ = 0;
    std::shared_ptr<const detail::Automaton> automaton_;
    std::uint32_t state_ = 0;
    std::string held_;
    std::string out_;
    std::vector<Range> masked_;  ///< in the bytes not yet let go, ascending, disjoint
    bool masked_before_ = false; ///< the first held byte continues a place that already became `***`
    std::uint64_t redactions_ = 0;
};

} // namespace slipway::frames
