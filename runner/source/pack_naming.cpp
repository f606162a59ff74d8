#include "source/pack_naming.hpp"

#include <new>
#include <system_error>
#include <utility>

namespace slipway::source {
namespace {

// Large enough that waking a thread costs nothing beside them.
constexpr std::size_t batch_size = 128U << 10U;
constexpr std::size_t batch_count = 256;
constexpr std::size_t most_on_the_way = 2U << 20U;

} // namespace

PackNaming::~PackNaming() {
    end();
}

/// The thread stops at once: what waits is of no use any more.
void PackNaming::end() {
    {
        const std::scoped_lock lock(mutex_);
        waiting_.clear();
        ended_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

PackNaming::Done PackNaming::add(std::vector<PackEntry>& entries, std::uint32_t entry, Bytes content) {
    batch_bytes_ += content.size;
    batch_.push_back({.entry = entry, .type = entries[entry].type, .content = std::move(content), .id = {}});
    return batch_bytes_ >= batch_size || batch_.size() >= batch_count ? send(entries) : Done{};
}

PackNaming::Done PackNaming::send(std::vector<PackEntry>& entries) {
    if (!alone_ && !thread_.joinable()) {
        try {
            thread_ = std::jthread([this] { work(); });
        } catch (const std::system_error&) {
            alone_ = true; // a pod with few processes left
        }
    }
    Batch batch = std::exchange(batch_, {});
    const std::size_t bytes = std::exchange(batch_bytes_, 0);
    if (alone_) {
        TRY(name(batch));
        note(entries, {&batch, 1});
        return {};
    }
    std::vector<Batch> named;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return error_ || on_the_way_ < most_on_the_way; });
        if (error_) {
            return std::unexpected(*error_);
        }
        on_the_way_ += bytes;
        ++unnamed_;
        waiting_.push_back(std::move(batch));
        named.swap(named_);
    }
    changed_.notify_all();
    note(entries, named);
    return {};
}

PackNaming::Done PackNaming::finish(std::vector<PackEntry>& entries) {
    if (!batch_.empty()) {
        TRY(send(entries));
    }
    std::vector<Batch> named;
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return error_ || unnamed_ == 0; });
        if (error_) {
            return std::unexpected(*error_);
        }
        named.swap(named_);
    }
    note(entries, named);
    end();
    return {};
}

void PackNaming::note(std::vector<PackEntry>& entries, std::span<const Batch> named) {
    for (const Batch& batch : named) {
        for (const Item& item : batch) {
            entries[item.entry].id = item.id;
        }
    }
}

PackNaming::Done PackNaming::name(Batch& batch) {
    for (Item& item : batch) {
        const int rc = git_odb_hash(&item.id, item.content.data.get(), item.content.size,
                                    static_cast<git_object_t>(item.type));
        if (rc < 0) {
            return std::unexpected(take_error(rc));
        }
        if (take_) {
            take_(item.type, item.id, item.content.view());
        }
        item.content = {};
    }
    return {};
}

void PackNaming::work() {
    for (;;) {
        Batch batch;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
            if (ended_) {
                return;
            }
            batch = std::move(waiting_.front());
            waiting_.pop_front();
        }
        std::size_t bytes = 0;
        for (const Item& item : batch) {
            bytes += item.content.size;
        }
        Done done;
        try {
            done = name(batch);
        } catch (const std::bad_alloc&) {
            done = std::unexpected(library_error(GIT_ERROR_NOMEMORY, "not enough memory for the pack"));
        }
        {
            const std::scoped_lock lock(mutex_);
            on_the_way_ -= bytes;
            --unnamed_;
            named_.push_back(std::move(batch));
            if (!done) {
                error_ = done.error();
            }
        }
        changed_.notify_all();
        if (!done) {
            return;
        }
    }
}

} // namespace slipway::source
