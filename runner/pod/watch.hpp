// Watching a build from a thread of its own: it ends the build before the kernel ends the whole container,
// and remembers what explains a failure.
//
// In: a Sampler, the stop token of the step, the process to watch (asked for each time; 0 = none).
// Out: a token that fires with the step's or when memory runs out; advice as it comes up, from this thread;
// findings.
//
// Memory. Room left = limit + swap left - what no reclaim gives back (CgroupMemory::unreclaimable). Page
// cache never counts, nor do caches of names and inodes; files on a tmpfs do. Where the kernel would kill the
// whole group (memory.oom.group) and the room falls below reserve(), the biggest process below the watched
// one is killed, again as long as that holds, and the token fires: that is `ended_for_memory`. Where it would
// kill but one process, that is left to it: it knows better, a build that survives it goes on, and
// oom_kills() tells.
//
// Disk. Free bytes and inodes of the Sampler's path: advice once when they fall under a tenth (at most 1 GiB)
// or a fiftieth of all; `disk_was_full` since the last begin().
#pragma once

#include "base/stop.hpp"
#include "pod/recipe.hpp"
#include "pod/usage.hpp"

#include <functional>
#include <mutex>
#include <thread>

namespace slipway::pod {

/// Bytes that can still be taken before the kernel kills; nothing = no limit, or not known.
std::optional<std::uint64_t> memory_room(const CgroupMemory& memory) noexcept;

/// What has to stay free under a limit: one 32nd of it, at least 16 MiB and at most 256 MiB.
std::uint64_t memory_reserve(std::uint64_t limit) noexcept;

/// The kernel is about to kill every process of this container.
bool about_to_be_killed(const CgroupMemory& memory) noexcept;

/// Nothing more fits: less than a layer's bookkeeping needs.
bool disk_full(const Usage& usage) noexcept;

struct Findings {
    bool ended_for_memory = false;
    std::string biggest;         ///< what was killed then: its name and size, for a person; may be empty
    std::uint64_t oom_kills = 0; ///< of the kernel's, since begin()
    bool disk_was_full = false;  ///< since begin()
    std::uint64_t peak_memory =
        0; ///< most that no reclaim would have given back, of the container; 0 = not known
    std::optional<std::uint64_t> limit;
};

class Watch {
  public:
    using OnAdvice = std::function<void(const Advice&)>;

    Watch(const Sampler& sampler, const StopToken& stop, std::function<pid_t()> root, OnAdvice on_advice);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    [[nodiscard]] StopToken token() const { return source_.token(); }
    /// Something new starts: what was found about kills and the disk concerned what came before.
    void begin();
    /// Looks at the disk now, not at its next turn: what filled it may be gone a moment later.
    void look_at_disk();
    [[nodiscard]] Findings findings() const;

  private:
    void work();
    /// How long until the next look.
    std::chrono::milliseconds look();
    void end_for_memory(const CgroupMemory& memory);
    void look_at_memory(const CgroupMemory& memory);
    void warn_of_disk(const Usage& usage);

    const Sampler& sampler_;
    StopToken stop_;
    std::function<pid_t()> root_;
    OnAdvice on_advice_;
    StopSource source_;
    StopSource end_;
    mutable std::mutex mutex_;
    Findings findings_;
    std::uint64_t kills_before_ = 0;
    std::uint64_t kills_told_ = 0;
    bool told_space_ = false;
    bool told_inodes_ = false;
    bool told_pressure_ = false;
    std::chrono::steady_clock::time_point next_disk_;
    std::jthread thread_;
};

} // namespace slipway::pod
