// What a build uses while it runs, for heartbeats and for ending it before the kernel does.
//
// All numbers are bytes unless said otherwise. Absent = could not be read; sampling never fails.
#pragma once

#include "pod/probe.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace slipway::pod {

struct Usage {
    std::optional<std::uint64_t>
        tree_memory;   ///< of a process and its descendants: PSS where readable, else RSS
    int processes = 0; ///< how many that are
    CgroupMemory cgroup;
    std::uint64_t free_bytes = 0; ///< of the storage path's file system
    std::uint64_t total_bytes = 0;
    std::uint64_t free_inodes = 0;
    std::uint64_t total_inodes = 0;
};

class Sampler {
  public:
    explicit Sampler(std::filesystem::path storage, std::filesystem::path proc = "/proc",
                     std::filesystem::path cgroup = "/sys/fs/cgroup");

    /// Everything; walks /proc from `root` (0 = no tree). A few milliseconds.
    [[nodiscard]] Usage sample(pid_t root) const;
    /// The storage path's file system alone.
    [[nodiscard]] Usage sample_disk() const;
    /// The cgroup alone: cheap enough for several times a second.
    [[nodiscard]] CgroupMemory sample_cgroup() const;
    /// Kills for want of memory that `now`, a sample of our cgroup, counts since the sampler was made; 0
    /// where the kernel does not say.
    [[nodiscard]] std::uint64_t oom_kills_since_start(const CgroupMemory& now) const noexcept;
    /// The descendant of `root` with the largest resident set; nothing where it has none.
    struct Process {
        pid_t pid = 0;
        std::string name; ///< as the kernel keeps it: at most 15 bytes, any of them
        std::uint64_t resident = 0;
    };
    [[nodiscard]] std::optional<Process> biggest_below(pid_t root) const;

  private:
    /// `root` first, then its descendants; empty = there is no such process.
    [[nodiscard]] std::vector<pid_t> tree(pid_t root) const;

    std::filesystem::path storage_;
    std::filesystem::path proc_;
    std::filesystem::path cgroup_;
    std::uint64_t first_oom_kills_ = 0;
};

} // namespace slipway::pod
