// The process tree below us: who is in it, taking leftovers down, reaping orphans.
//
// Linux hands a child subreaper every descendant whose parent died, daemons included, so whatever a run
// leaves behind can be found in /proc as a descendant of ours. Several runs may be active at once (see
// process.hpp).
#pragma once

#include "process/process.hpp"

#include <optional>
#include <sys/resource.h>
#include <vector>

namespace slipway::process {

/// Once per program: become a child subreaper, keep descriptors 0, 1, 2 occupied (so that no pipe lands
/// there), undo an inherited "ignore SIGCHLD" (the kernel would reap for us and the exit status would be
/// lost).
Status prepare_program();

/// One entry of /proc. `start` tells a pid from its next user.
struct ProcessEntry {
    pid_t pid = 0;
    pid_t parent = 0;
    pid_t group = 0;
    std::uint64_t start = 0;
    bool dead = false; ///< only waits to be reaped
};

/// What /proc/<pid>/stat says; nothing for text of any other form. The program's name in it may hold
/// anything.
std::optional<ProcessEntry> parse_process_stat(std::string_view text);

/// Adds what a reaped process used.
void add_usage(Usage& usage, const rusage& used);

/// One run's share in the tree. Create before the fork, leave() after the child was reaped.
class TreeMember {
  public:
    TreeMember();
    TreeMember(const TreeMember&) = delete;
    TreeMember& operator=(const TreeMember&) = delete;
    ~TreeMember();

    void set_child(pid_t child);

    /// Reaps dead orphans, so that they do not use up the pids of the pod.
    void reap_orphans(Usage& usage);

    /// Kills and reaps what is left over, for at most `most`; further calls do nothing.
    void leave(Exit& exit, Milliseconds most);

  private:
    pid_t child_ = 0;
    bool left_ = false;
};

} // namespace slipway::process
