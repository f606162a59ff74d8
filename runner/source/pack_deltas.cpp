#include "source/pack_deltas.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <format>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace slipway::source {
namespace {

constexpr unsigned most_threads = 4;
constexpr std::size_t kept_bytes = 32U << 20U; // of bases, by all threads
constexpr std::size_t tell_every = 256;

using Done = std::expected<void, LibraryError>;

/// What all threads share.
class Resolver {
  public:
    Resolver(int fd, PackObjects& objects, const std::function<bool(std::size_t)>& go_on,
             const ObjectTaker& take);

    Done run();

  private:
    /// An object deltas are based on, while those are made.
    struct Level {
        std::uint32_t entry = 0;
        std::optional<Bytes> content; ///< dropped when there are too many; made again when needed
        std::span<const OffsetDelta> by_offset;
        std::span<const IdDelta> by_id;
    };

    /// One thread: from a base down to the last delta that rests on it.
    class Worker {
      public:
        Worker(Resolver& shared, bool tells) : shared_(shared), tells_(tells) {}
        Done family(std::uint32_t root);

      private:
        std::expected<Bytes, LibraryError> read(std::uint32_t entry);
        std::optional<std::uint32_t> next_delta(Level& level);
        Done make(std::uint32_t entry, PackType type);
        Done restore();
        void push(std::uint32_t entry, Bytes content);
        void forget();

        Resolver& shared_;
        bool tells_; ///< this is the calling thread
        std::size_t told_ = 0;
        Inflater inflater_;
        std::vector<Level> levels_;
        std::size_t kept_ = 0;
        std::array<char, 32 * 1024> input_{};
    };

    void work(bool tells);
    [[nodiscard]] std::span<const OffsetDelta> based_on(std::uint32_t entry) const;
    [[nodiscard]] std::span<const IdDelta> based_on(const git_oid& id) const;

    int fd_;
    PackObjects& objects_;
    const std::function<bool(std::size_t)>& go_on_;
    const ObjectTaker& take_;
    std::mutex take_mutex_;                      ///< one at a time
    std::unique_ptr<std::atomic<bool>[]> taken_; ///< of the id deltas: an id may stand in a pack twice
    std::size_t share_ = kept_bytes;
    std::atomic<std::uint32_t> next_{0};
    std::atomic<std::size_t> done_{0};
    std::atomic<bool> failed_{false};
    std::mutex mutex_;
    LibraryError error_;
};

Resolver::Resolver(int fd, PackObjects& objects, const std::function<bool(std::size_t)>& go_on,
                   const ObjectTaker& take)
    : fd_(fd), objects_(objects), go_on_(go_on), take_(take),
      taken_(std::make_unique<std::atomic<bool>[]>(objects.id_deltas.size())) {
    std::ranges::sort(objects_.offset_deltas, {},
                      [](const OffsetDelta& each) { return std::pair(each.base, each.entry); });
    std::ranges::sort(objects_.id_deltas, [](const IdDelta& a, const IdDelta& b) {
        return a.base < b.base || (!(b.base < a.base) && a.entry < b.entry);
    });
}

std::span<const OffsetDelta> Resolver::based_on(std::uint32_t entry) const {
    const auto found = std::ranges::equal_range(objects_.offset_deltas, entry, {}, &OffsetDelta::base);
    return {found.begin(), found.end()};
}

std::span<const IdDelta> Resolver::based_on(const git_oid& id) const {
    const auto found = std::ranges::equal_range(
        objects_.id_deltas, id, [](const git_oid& a, const git_oid& b) { return a < b; }, &IdDelta::base);
    return {found.begin(), found.end()};
}

/// The inflated bytes of an entry. The first pass has seen that they are as many as the header says.
std::expected<Bytes, LibraryError> Resolver::Worker::read(std::uint32_t entry) {
    const std::vector<PackEntry>& entries = shared_.objects_.entries;
    std::uint64_t at = entries[entry].offset;
    const std::uint64_t end =
        entry + 1 < entries.size() ? std::uint64_t{entries[entry + 1].offset} : shared_.objects_.end;
    EntryHeader header;
    bool in_header = true;
    Bytes content;
    std::size_t made = 0;
    inflater_.start();
    while (at < end) {
        const ssize_t n = ::pread(shared_.fd_, input_.data(),
                                  std::min<std::uint64_t>(input_.size(), end - at), static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return std::unexpected(system_error("read the pack", n < 0 ? errno : EIO));
        }
        at += static_cast<std::uint64_t>(n);
        std::string_view input(input_.data(), static_cast<std::size_t>(n));
        while (in_header && !input.empty()) {
            in_header = header.take(static_cast<unsigned char>(input.front())) == EntryHeader::Step::more;
            input.remove_prefix(1);
            if (!in_header) {
                if (header.size() > largest_delta_result) {
                    return bad_pack(std::format("deltas of an object of {} bytes", header.size()));
                }
                content = Bytes(header.size());
            }
        }
        while (!input.empty()) {
            // zlib may want room to say that nothing follows.
            std::array<char, 1> beyond{};
            const bool full = made == content.size;
            const Inflater::Step step = inflater_.go(input, full ? beyond.data() : content.data.get() + made,
                                                     full ? beyond.size() : content.size - made);
            input.remove_prefix(step.used);
            made += full ? 0 : step.made;
            if (step.kind == Inflater::Step::Kind::done && made == content.size) {
                return content;
            }
            if (step.kind != Inflater::Step::Kind::more || (full && step.made > 0) ||
                (step.used == 0 && step.made == 0)) {
                return bad_pack("it changed while it was read");
            }
        }
    }
    return bad_pack("it changed while it was read");
}

std::optional<std::uint32_t> Resolver::Worker::next_delta(Level& level) {
    if (!level.by_offset.empty()) {
        const std::uint32_t entry = level.by_offset.front().entry;
        level.by_offset = level.by_offset.subspan(1);
        return entry;
    }
    while (!level.by_id.empty()) {
        const IdDelta& delta = level.by_id.front();
        level.by_id = level.by_id.subspan(1);
        const auto number = static_cast<std::size_t>(&delta - shared_.objects_.id_deltas.data());
        if (!shared_.taken_[number].exchange(true)) {
            return delta.entry;
        }
    }
    return std::nullopt;
}

void Resolver::Worker::push(std::uint32_t entry, Bytes content) {
    Level level{.entry = entry, .content = {}, .by_offset = shared_.based_on(entry), .by_id = {}};
    if (!shared_.objects_.id_deltas.empty()) {
        level.by_id = shared_.based_on(shared_.objects_.entries[entry].id);
    }
    if (level.by_offset.empty() && level.by_id.empty()) {
        return;
    }
    kept_ += content.size;
    level.content = std::move(content);
    levels_.push_back(std::move(level));
    forget();
}

/// Drops what is furthest from being needed.
void Resolver::Worker::forget() {
    for (std::size_t i = 0; kept_ > shared_.share_ && i + 1 < levels_.size(); ++i) {
        if (levels_[i].content) {
            kept_ -= levels_[i].content->size;
            levels_[i].content.reset();
        }
    }
}

/// Makes the innermost level's content again, from the nearest one that still has its own.
Done Resolver::Worker::restore() {
    std::size_t from = levels_.size() - 1;
    while (from > 0 && !levels_[from].content) {
        --from;
    }
    Bytes made;
    if (!levels_[from].content) {
        TRY_ASSIGN(made, read(levels_[from].entry));
    }
    for (std::size_t at = from + 1; at < levels_.size(); ++at) {
        TRY_ASSIGN(const Bytes delta, read(levels_[at].entry));
        const std::string_view base = levels_[at - 1].content ? levels_[at - 1].content->view() : made.view();
        TRY_ASSIGN(made, apply_delta(base, delta.view()));
    }
    if (!levels_.back().content) {
        kept_ += made.size;
        levels_.back().content = std::move(made);
        forget();
    }
    return {};
}

Done Resolver::Worker::make(std::uint32_t entry, PackType type) {
    TRY_ASSIGN(const Bytes delta, read(entry));
    TRY_ASSIGN(Bytes content, apply_delta(levels_.back().content->view(), delta.view()));
    git_oid& id = shared_.objects_.entries[entry].id;
    if (const int rc = git_odb_hash(&id, content.data.get(), content.size, static_cast<git_object_t>(type));
        rc < 0) {
        return std::unexpected(take_error(rc));
    }
    if (shared_.take_) {
        const std::scoped_lock lock(shared_.take_mutex_);
        shared_.take_(type, id, content.view());
    }
    const std::size_t done = shared_.done_.fetch_add(1, std::memory_order_relaxed) + 1;
    if (tells_ && done - told_ >= tell_every) {
        told_ = done;
        if (!shared_.go_on_(done)) {
            return std::unexpected(stopped_error());
        }
    }
    push(entry, std::move(content));
    return {};
}

Done Resolver::Worker::family(std::uint32_t root) {
    const PackEntry& entry = shared_.objects_.entries[root];
    if (shared_.based_on(root).empty() &&
        (shared_.objects_.id_deltas.empty() || shared_.based_on(entry.id).empty())) {
        return {};
    }
    TRY_ASSIGN(Bytes content, read(root));
    push(root, std::move(content));
    while (!levels_.empty()) {
        if (shared_.failed_.load(std::memory_order_relaxed)) {
            return {};
        }
        const std::optional<std::uint32_t> delta = next_delta(levels_.back());
        if (!delta) {
            kept_ -= levels_.back().content ? levels_.back().content->size : 0;
            levels_.pop_back();
            continue;
        }
        if (!levels_.back().content) {
            TRY(restore());
        }
        TRY(make(*delta, entry.type));
    }
    return {};
}

void Resolver::work(bool tells) {
    Done made;
    try {
        Worker worker(*this, tells);
        for (std::uint32_t entry = 0; made && (entry = next_.fetch_add(1)) < objects_.entries.size();) {
            if (failed_.load(std::memory_order_relaxed)) {
                return;
            }
            if (!is_delta(objects_.entries[entry].type)) {
                made = worker.family(entry);
            }
        }
    } catch (const std::bad_alloc&) {
        made = std::unexpected(library_error(GIT_ERROR_NOMEMORY, "not enough memory for the pack's deltas"));
    }
    if (!made) {
        const std::scoped_lock lock(mutex_);
        if (!failed_.exchange(true)) {
            error_ = std::move(made).error();
        }
    }
}

Done Resolver::run() {
    const std::size_t threads = std::min<std::size_t>(
        std::clamp(std::thread::hardware_concurrency(), 1U, most_threads), objects_.deltas() / 64 + 1);
    share_ = kept_bytes / threads;
    {
        std::vector<std::jthread> others;
        others.reserve(threads - 1);
        for (std::size_t i = 1; i < threads; ++i) {
            try {
                others.emplace_back([this] { work(false); });
            } catch (const std::system_error&) {
                break; // a pod with few processes left: those there are do it all
            }
        }
        work(true);
    }
    if (failed_) {
        return std::unexpected(error_);
    }
    if (done_ != objects_.deltas()) {
        return bad_pack(std::format("{} of its deltas have no base in it", objects_.deltas() - done_));
    }
    return {};
}

} // namespace

Done resolve_deltas(int fd, PackObjects& objects, const std::function<bool(std::size_t done)>& go_on,
                    const ObjectTaker& take) {
    if (objects.deltas() == 0) {
        return {};
    }
    return Resolver(fd, objects, go_on, take).run();
}

} // namespace slipway::source
