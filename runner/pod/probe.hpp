// What this pod allows, found out by trying it in forked children, never by guessing from names or versions.
//
// Inputs: a directory on the file system that will hold buildah's storage, and the hand-off directory.
// Outputs: one Report; nothing it tries outlives the call (a scratch directory below `work` is made and
// removed). Harmless and bounded: every child has a time limit, and as nearly all run at the same time the
// whole takes well under 200 ms. What is refused is recorded with its errno; probe() itself does not fail. It
// waits for its own children by pid, so nobody else may be reaping children (waitpid(-1)) meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::pod {

struct Paths {
    std::filesystem::path work;  ///< will hold the graph root; made if missing
    std::filesystem::path state; ///< hand-off directory; may be empty
    /// Where the machine's own description is read; tests put fixtures there.
    std::filesystem::path proc = "/proc";
    std::filesystem::path cgroup = "/sys/fs/cgroup";
    std::filesystem::path etc = "/etc";
};

/// One thing tried.
struct Trial {
    enum class Outcome { untried, works, refused };
    Outcome outcome = Outcome::untried;
    int error = 0;    ///< errno of what was refused
    std::string what; ///< the call that was refused, or why nothing was tried

    [[nodiscard]] bool works() const noexcept { return outcome == Outcome::works; }
    [[nodiscard]] bool refused() const noexcept { return outcome == Outcome::refused; }
};

/// A line of uid_map/gid_map; for subordinate ids `inside` is 0.
struct IdRange {
    std::uint64_t inside = 0;
    std::uint64_t outside = 0;
    std::uint64_t count = 0;
    bool operator==(const IdRange&) const = default;
};

/// Numbers of capability(7), as far as this room asks for them.
enum class Capability : unsigned {
    chown = 0,
    dac_override = 1,
    fowner = 3,
    setgid = 6,
    setuid = 7,
    sys_chroot = 18,
    sys_admin = 21,
    mknod = 27,
    setfcap = 31,
};

struct Capabilities {
    std::uint64_t effective = 0;
    std::uint64_t permitted = 0;
    std::uint64_t bounding = 0;

    [[nodiscard]] bool has(Capability capability) const noexcept {
        return ((effective >> static_cast<unsigned>(capability)) & 1U) != 0;
    }
    [[nodiscard]] bool may_gain(Capability capability) const noexcept {
        return ((bounding >> static_cast<unsigned>(capability)) & 1U) != 0;
    }
};

struct FileSystem {
    std::filesystem::path path;
    std::string type; ///< "ext4", "xfs", "tmpfs", "overlay", "nfs", …, or "0x<magic>"
    bool exists = false;
    bool writable = false; ///< by us
    std::uint64_t free_bytes = 0;
    std::uint64_t total_bytes = 0;
    std::uint64_t free_inodes = 0; ///< 0 of 0: the file system has no such limit
    std::uint64_t total_inodes = 0;
};

/// The cgroup's memory as version 1 or 2 tells it. Absent = not readable, or no limit.
struct CgroupMemory {
    int version = 0; ///< 0 = no memory controller found
    std::optional<std::uint64_t> limit;
    std::optional<std::uint64_t> current;
    /// current without the page cache the kernel drops before it kills.
    std::optional<std::uint64_t> working_set;
    /// What no reclaim gives back: anonymous memory, tmpfs and shared memory, the kernel's own. Neither page
    /// cache nor the caches of names and inodes, which a build fills with every file it touches.
    std::optional<std::uint64_t> unreclaimable;
    std::uint64_t swap_left = 0; ///< bytes that may still be swapped out
    /// The kernel ends all processes of the group together when it ends one (version 2; kubelets ask for it).
    bool kills_group = false;
    std::optional<std::uint64_t> oom_kills;
    std::optional<double> pressure; ///< percent of the last 10 s everything waited for memory (version 2)
};

/// How the user namespace the storage trials ran in was entered.
enum class Entry {
    none,     ///< no way in: the storage trials are untried
    own,      ///< none needed: SYS_ADMIN here, a mount namespace is enough
    identity, ///< root writes an identity map (what buildah does as root without SYS_ADMIN)
    newidmap, ///< newuidmap and newgidmap write the subordinate ranges
    single,   ///< one id only
};

std::string_view to_string(Entry entry) noexcept;

struct Report {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string user; ///< name in the passwd file; empty = no entry
    Capabilities capabilities;
    bool no_new_privs = false;
    std::uint64_t open_files_limit = 0; ///< hard RLIMIT_NOFILE; the largest value = none
    std::uint64_t processes_limit = 0;  ///< hard RLIMIT_NPROC
    int seccomp = 0;                    ///< 0 none, 1 strict, 2 filter
    std::string apparmor;               ///< profile name where there is one
    std::vector<IdRange> uid_map;       ///< of the user namespace we are in
    std::vector<IdRange> gid_map;
    std::vector<IdRange> subordinate_uids;
    std::vector<IdRange> subordinate_gids;

    Trial user_namespace;       ///< unshare(CLONE_NEWUSER)
    Trial user_mount_namespace; ///< unshare(CLONE_NEWUSER | CLONE_NEWNS)
    Trial user_pid_namespace;   ///< unshare(CLONE_NEWUSER | CLONE_NEWPID)
    Trial mount_namespace;      ///< unshare(CLONE_NEWNS) alone: passes with SYS_ADMIN
    Trial identity_uid_map;
    Trial identity_gid_map;
    Trial newuidmap;
    Trial newgidmap;
    Trial single_map;
    Trial fuse_device;      ///< open("/dev/fuse")
    Trial seccomp_filter;   ///< loading a filter inside a user namespace of our own: root emulation wants it
    Trial seccomp_listener; ///< one that asks a supervisor
    Trial user_xattr;       ///< an attribute "user.…" on a file below `work`
    int landlock = 0;       ///< version of Landlock; from 6 on a RUN can be kept from signalling us

    // Tried inside the namespace `entry` names.
    Entry entry = Entry::none;
    Trial setgroups;
    Trial chroot;
    Trial mount_private; ///< mount("/", MS_REC | MS_PRIVATE): what a seccomp filter without mount stops
    Trial tmpfs;
    Trial overlay;          ///< native overlay with its directories below `work`
    Trial overlay_whiteout; ///< deleting a file of the lower layer
    Trial change_owner;     ///< chown to another mapped id below `work`
    Trial proc;             ///< mounting proc in a new pid namespace (OCI isolation wants it)

    // What crun asks for besides, with OCI isolation (oci_trials.hpp); untried where there is no runtime.
    Trial keyring;  ///< keyctl(KEYCTL_JOIN_SESSION_KEYRING)
    Trial hostname; ///< sethostname in a new UTS namespace
    Trial cgroup;   ///< a cgroup of its own, where crun does not go on without

    std::string fuse_overlayfs;  ///< path of the program; empty = not on PATH
    std::string oci_runtime;     ///< path of crun or runc; empty = neither on PATH
    bool read_only_root = false; ///< "/" is mounted read-only (readOnlyRootFilesystem: true)
    FileSystem work;
    FileSystem state;
    CgroupMemory memory;
    std::chrono::milliseconds took{0};

    /// Ids mapped where we are: 4294967295 on the host, 65536 with hostUsers: false.
    [[nodiscard]] std::uint64_t id_width() const noexcept;
    /// In a user namespace other than the machine's first.
    [[nodiscard]] bool in_user_namespace() const noexcept;
};

Report probe(const Paths& paths);

// Parts of it that only read, also used elsewhere and tested with fixtures.
CgroupMemory read_cgroup_memory(const std::filesystem::path& cgroup, const std::filesystem::path& proc);
FileSystem read_file_system(const std::filesystem::path& path);
std::vector<IdRange> parse_id_map(std::string_view text);
/// Ranges of `user` (its name or its number) in the text of /etc/subuid or /etc/subgid; malformed lines are
/// skipped.
std::vector<IdRange> parse_subordinate_ids(std::string_view text, std::string_view user, std::uint32_t uid);

} // namespace slipway::pod
