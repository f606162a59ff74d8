// What a pack is made of: entry headers, deltas, deflated bytes. Format: git's pack-format documentation.
#pragma once

#include "source/library.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <git2.h>
#include <memory>
#include <string_view>
#include <zlib.h>

namespace slipway::source {

/// As an entry's header numbers them; the first four are git_object_t's numbers too.
enum class PackType : std::uint8_t { commit = 1, tree = 2, blob = 3, tag = 4, ofs_delta = 6, ref_delta = 7 };

constexpr bool is_delta(PackType type) {
    return type == PackType::ofs_delta || type == PackType::ref_delta;
}

/// What stands before an entry's deflated bytes, taken byte by byte as they come.
class EntryHeader {
  public:
    enum class Step { more, done, bad };

    /// `done` once the byte was the last one; further bytes are not part of it.
    Step take(unsigned char byte);

    [[nodiscard]] PackType type() const { return type_; }
    [[nodiscard]] std::uint64_t size() const { return size_; }
    /// How far before the entry its base begins; ofs_delta alone.
    [[nodiscard]] std::uint64_t distance() const { return distance_; }
    /// ref_delta alone.
    [[nodiscard]] const git_oid& base() const { return base_; }

  private:
    enum class Part { type, size, distance, base } part_ = Part::type;
    PackType type_ = PackType::commit;
    unsigned shift_ = 4;
    unsigned count_ = 0; ///< bytes of the base so far
    std::uint64_t size_ = 0;
    std::uint64_t distance_ = 0;
    git_oid base_{};

    Step after_size();
};

/// A block of memory that is not zeroed first.
struct Bytes {
    std::unique_ptr<char[]> data;
    std::size_t size = 0;

    Bytes() = default;
    explicit Bytes(std::size_t length) : data(std::make_unique_for_overwrite<char[]>(length)), size(length) {}
    [[nodiscard]] std::string_view view() const { return {data.get(), size}; }
};

/// zlib's inflate, used for one entry after the other.
class Inflater {
  public:
    Inflater();
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    void start();

    struct Step {
        enum class Kind { more, done, bad } kind = Kind::more;
        std::size_t used = 0; ///< of the input
        std::size_t made = 0; ///< of the room
    };
    /// `more`: the input was used up or the room was filled.
    Step go(std::string_view input, char* room, std::size_t size);

  private:
    z_stream stream_{};
};

/// What a delta makes of its base. Nothing = it is damaged, is for another base, or makes more than
/// largest_delta_result bytes.
std::expected<Bytes, LibraryError> apply_delta(std::string_view base, std::string_view delta);

/// git itself makes no deltas of files of half a gigabyte and more.
inline constexpr std::uint64_t largest_delta_result = 1U << 30U;

/// "The pack is damaged: …", of the class that says so.
std::unexpected<LibraryError> bad_pack(std::string_view why);

} // namespace slipway::source
