// The ids of a pack's objects, made on a thread of their own while the pack is still arriving.
//
// What is on its way between the two threads is bounded by some MiB and one object. Where no thread can be
// had, the caller's own does the work.
#pragma once

#include "source/pack_objects.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

namespace slipway::source {

/// Is given an object once its id is known. Never two at a time, but on any thread.
using ObjectTaker = std::function<void(PackType type, const git_oid& id, std::string_view content)>;

class PackNaming {
  public:
    /// `take` may be empty.
    explicit PackNaming(ObjectTaker take) : take_(std::move(take)) {}
    ~PackNaming();
    PackNaming(const PackNaming&) = delete;
    PackNaming& operator=(const PackNaming&) = delete;

    using Done = std::expected<void, LibraryError>;

    /// An object that is no delta: `entries[entry]` gets its id, by the end of finish() at the latest.
    Done add(std::vector<PackEntry>& entries, std::uint32_t entry, Bytes content);
    /// All have their ids.
    Done finish(std::vector<PackEntry>& entries);

    [[nodiscard]] const ObjectTaker& taker() const { return take_; }

  private:
    struct Item {
        std::uint32_t entry = 0;
        PackType type = PackType::blob;
        Bytes content;
        git_oid id{};
    };
    using Batch = std::vector<Item>;

    Done send(std::vector<PackEntry>& entries);
    Done name(Batch& batch);
    void work();
    void end();
    static void note(std::vector<PackEntry>& entries, std::span<const Batch> named);

    ObjectTaker take_;
    Batch batch_; ///< not sent yet
    std::size_t batch_bytes_ = 0;
    bool alone_ = false; ///< there is no thread
    std::mutex mutex_;   ///< of what follows
    std::condition_variable changed_;
    std::deque<Batch> waiting_;
    std::vector<Batch> named_;
    std::size_t on_the_way_ = 0; ///< bytes sent and not named yet
    std::size_t unnamed_ = 0;    ///< batches of the same
    bool ended_ = false;
    std::optional<LibraryError> error_;
    std::jthread thread_;
};

} // namespace slipway::source
