#include "pod/trials.hpp"

#include "base/fd.hpp"
#include "base/file.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <span>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace slipway::pod {

namespace {

constexpr int child_limit_ms = 3000; ///< for one child; all of them together usually take some 20 ms

/// How one call ended, in memory shared with the child: a child that is killed has still said how far it
/// came.
struct Slot {
    bool tried = false;
    int error = 0;
};

struct Slots {
    Slot namespaces, setgroups, become_root, mount_private, chroot, tmpfs, overlay, whiteout, change_owner,
        proc, single, filter, listener;
};

class SharedSlots {
  public:
    SharedSlots() {
        void* memory =
            ::mmap(nullptr, sizeof(Slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        slots_ = memory == MAP_FAILED ? nullptr : new (memory) Slots;
    }
    ~SharedSlots() {
        if (slots_ != nullptr) {
            ::munmap(slots_, sizeof(Slots));
        }
    }
    SharedSlots(const SharedSlots&) = delete;
    SharedSlots& operator=(const SharedSlots&) = delete;
    explicit operator bool() const noexcept { return slots_ != nullptr; }
    Slots& operator*() const noexcept { return *slots_; }
    Slots* operator->() const noexcept { return slots_; }

  private:
    Slots* slots_ = nullptr;
};

void note(Slot& slot, long result) noexcept {
    slot.error = result < 0 ? errno : 0;
    slot.tried = true;
}

Trial trial(const Slot& slot, std::string_view what) {
    if (!slot.tried) {
        return {Trial::Outcome::untried, 0, "not reached"};
    }
    return {slot.error == 0 ? Trial::Outcome::works : Trial::Outcome::refused, slot.error, std::string(what)};
}

Trial untried(std::string_view why) {
    return {Trial::Outcome::untried, 0, std::string(why)};
}

class Child {
  public:
    /// Runs `body` in a child; its return value is the exit status.
    template <class Body> explicit Child(Body body) : pid_(::fork()) {
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::_exit(body());
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { finish(0); }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Exit status; -1 if it had to be killed or never was.
    int finish(int limit_ms = child_limit_ms) noexcept {
        if (pid_ <= 0) {
            return -1;
        }
        const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        pollfd waiting{handle.get(), POLLIN, 0};
        const bool ended = handle ? ::poll(&waiting, 1, limit_ms) > 0 : limit_ms > 0;
        if (!ended) {
            ::kill(pid_, SIGKILL);
        }
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

  private:
    pid_t pid_;
};

struct Pipe {
    Fd read, write;
    Pipe() {
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
            read.reset(ends[0]);
            write.reset(ends[1]);
        }
    }
};

bool receive(int fd) noexcept {
    char byte = 0;
    return ::read(fd, &byte, 1) == 1;
}

bool receive_within(int fd) noexcept {
    pollfd waiting{fd, POLLIN, 0};
    return ::poll(&waiting, 1, child_limit_ms) > 0 && receive(fd);
}

void send(int fd) noexcept {
    [[maybe_unused]] const ssize_t written = ::write(fd, "x", 1);
}

Trial try_unshare(int flags, std::string_view what) {
    const SharedSlots slots;
    if (!slots) {
        return untried("no memory");
    }
    Child child([&] {
        note(slots->namespaces, ::unshare(flags));
        return 0;
    });
    child.finish();
    return trial(slots->namespaces, what);
}

int write_whole(const char* path, std::string_view text) noexcept {
    const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    const ssize_t written = ::write(fd, text.data(), text.size());
    const int saved = errno;
    ::close(fd);
    errno = saved;
    return written == static_cast<ssize_t>(text.size()) ? 0 : -1;
}

/// A map has to arrive in one write.
Trial write_map(pid_t pid, const char* file, const std::string& text) {
    Slot slot;
    note(slot, write_whole(std::format("/proc/{}/{}", pid, file).c_str(), text));
    return trial(slot, std::format("write {}", file));
}

Trial run_newidmap(const std::string& program, pid_t pid, const std::vector<IdRange>& ranges) {
    std::vector<std::string> words{program, std::to_string(pid)};
    for (const IdRange& range : ranges) {
        for (const std::uint64_t number : {range.inside, range.outside, range.count}) {
            words.push_back(std::to_string(number));
        }
    }
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    Child child([&] {
        const int null = ::open("/dev/null", O_RDWR);
        ::dup2(null, STDIN_FILENO);
        ::dup2(null, STDOUT_FILENO);
        ::dup2(null, STDERR_FILENO);
        ::execv(argv[0], argv.data());
        return 127;
    });
    const int status = child.finish();
    if (status == 0) {
        return {Trial::Outcome::works, 0, program};
    }
    return {Trial::Outcome::refused, EPERM, std::format("{} ended with status {}", program, status)};
}

/// Everything that wants the namespace `entry` names. The scratch directory is entered by name: one opened
/// before unshare belongs to the old mount namespace, where nothing of ours can be mounted (EINVAL).
int inside(Slots& slots, const char* scratch, bool user_namespace) noexcept {
    const gid_t group = 0;
    note(slots.setgroups, ::setgroups(1, &group));
    note(slots.become_root, ::setresgid(0, 0, 0) == 0 ? ::setresuid(0, 0, 0) : -1);
    note(slots.mount_private, ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
    note(slots.chroot, ::chroot("/"));
    const bool have_scratch = ::chdir(scratch) == 0;
    if (!have_scratch) {
        return 1;
    }
    note(slots.tmpfs, ::mount("tmpfs", "tmpfs", "tmpfs", 0, "size=64k"));
    ::umount2("tmpfs", MNT_DETACH);

    // Relative names: a comma or colon in the path would split the options.
    constexpr const char* plain = "lowerdir=lower,upperdir=upper,workdir=work";
    constexpr const char* userxattr = "lowerdir=lower,upperdir=upper,workdir=work,userxattr";
    long mounted = ::mount("overlay", "merged", "overlay", 0, user_namespace ? userxattr : plain);
    if (mounted < 0 && errno == EINVAL) {
        mounted = ::mount("overlay", "merged", "overlay", 0, plain);
    }
    note(slots.overlay, mounted);
    if (mounted == 0) {
        note(slots.whiteout, ::unlink("merged/file"));
        struct stat left{};
        if (slots.whiteout.error == 0 && (::lstat("upper/file", &left) != 0 || !S_ISCHR(left.st_mode))) {
            slots.whiteout.error = ENOTSUP;
        }
        ::umount2("merged", MNT_DETACH);
    }
    ::unlink("upper/file");
    ::rmdir("work/work");
    ::rmdir("work/index");

    note(slots.change_owner, ::chown("owned", 1, 1));
    static_cast<void>(::chown("owned", 0, 0) == 0); // only so that it can be removed again

    if (::unshare(CLONE_NEWPID) < 0) {
        note(slots.proc, -1);
        return 0;
    }
    const pid_t first = ::fork();
    if (first == 0) {
        note(slots.proc, ::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr));
        ::umount2("proc", MNT_DETACH);
        ::_exit(0);
    }
    if (first > 0) {
        ::waitpid(first, nullptr, 0);
    }
    return 0;
}

void prepare_scratch(const std::filesystem::path& scratch) {
    for (const char* name : {"lower", "upper", "work", "merged", "tmpfs", "proc"}) {
        ::mkdir((scratch / name).c_str(), 0755);
    }
    for (const char* name : {"lower/file", "owned"}) {
        const Fd file(::open((scratch / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    }
}

/// A child in namespaces made by `flags`; between them and the trials the parent writes the maps.
template <class WriteMaps>
void enter(Report& report, const std::filesystem::path& scratch, int flags, WriteMaps write_maps) {
    const SharedSlots slots;
    const Pipe ready;
    const Pipe go;
    const char* directory = scratch.c_str();
    if (!slots || !ready.read || !go.read) {
        return;
    }
    const bool user_namespace = (flags & CLONE_NEWUSER) != 0 || report.in_user_namespace();
    Child child([&] {
        note(slots->namespaces, ::unshare(flags));
        send(ready.write.get());
        if (slots->namespaces.error != 0 || !receive(go.read.get())) {
            return 1;
        }
        return inside(*slots, directory, user_namespace);
    });
    if (receive_within(ready.read.get()) && write_maps(child.pid())) {
        send(go.write.get());
        child.finish();
    }
    // overlay makes a directory in its work directory that not even its owner may look into, so neither
    // remove.
    static_cast<void>(::chmod((scratch / "work/work").c_str(), 0700));
    report.setgroups = trial(slots->setgroups, "setgroups");
    report.chroot = trial(slots->chroot, "chroot");
    report.mount_private = trial(slots->mount_private, "mount MS_PRIVATE");
    report.tmpfs = trial(slots->tmpfs, "mount tmpfs");
    report.overlay = trial(slots->overlay, "mount overlay");
    report.overlay_whiteout = trial(slots->whiteout, "whiteout");
    report.change_owner = trial(slots->change_owner, "chown");
    report.proc = trial(slots->proc, "mount proc");
}

/// A filter that lets everything through, once as it is and once with a listener. In a user namespace, where
/// nobody's permission is needed; the child cannot take it off again and ends.
void try_filters(Report& report) {
    const SharedSlots slots;
    if (!slots) {
        return;
    }
    Child child([&] {
        if (::unshare(CLONE_NEWUSER) < 0) {
            return 0;
        }
        sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
        const sock_fprog program{1, &allow};
        note(slots->filter, ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
        note(slots->listener,
             ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
        return 0;
    });
    child.finish();
    report.seccomp_filter = trial(slots->filter, "seccomp(SECCOMP_SET_MODE_FILTER)");
    report.seccomp_listener = trial(slots->listener, "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)");
}

Trial try_user_attribute(const std::filesystem::path& scratch) {
    Slot slot;
    const std::string file = scratch / "owned";
    note(slot, ::setxattr(file.c_str(), "user.slipway", "x", 1, 0));
    return trial(slot, "setxattr user.slipway");
}

/// The one map nobody's permission is needed for: our own id alone, setgroups given up.
Trial try_single_map(const Report& report) {
    const SharedSlots slots;
    if (!slots) {
        return untried("no memory");
    }
    const std::string uids = std::format("0 {} 1\n", report.uid);
    const std::string gids = std::format("0 {} 1\n", report.gid);
    Child child([&] {
        if (::unshare(CLONE_NEWUSER) < 0) {
            note(slots->single, -1);
            return 0;
        }
        const bool written = write_whole("/proc/self/setgroups", "deny") == 0 &&
                             write_whole("/proc/self/gid_map", gids) == 0 &&
                             write_whole("/proc/self/uid_map", uids) == 0;
        note(slots->single, written ? 0 : -1);
        return 0;
    });
    child.finish();
    return trial(slots->single, "single-id map");
}

} // namespace

std::vector<IdRange> identity_ranges(const std::vector<IdRange>& own) {
    std::vector<IdRange> ranges;
    for (const IdRange& range : own) {
        ranges.push_back({range.inside, range.inside, range.count});
    }
    return ranges;
}

std::string map_text(const std::vector<IdRange>& ranges) {
    std::string text;
    for (const IdRange& range : ranges) {
        text += std::format("{} {} {}\n", range.inside, range.outside, range.count);
    }
    return text;
}

std::vector<IdRange> newidmap_ranges(std::uint32_t id, const std::vector<IdRange>& subordinate) {
    std::vector<IdRange> ranges{{0, id, 1}};
    std::uint64_t next = 1;
    for (const IdRange& range : subordinate) {
        ranges.push_back({next, range.outside, range.count});
        next += range.count;
    }
    return ranges;
}

std::string find_program(std::string_view name) {
    const char* variable = std::getenv("PATH");
    std::string_view path =
        variable != nullptr ? variable : "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
    while (!path.empty()) {
        const std::size_t end = std::min(path.find(':'), path.size());
        const std::string candidate = std::format("{}/{}", path.substr(0, end), name);
        path.remove_prefix(std::min(end + 1, path.size()));
        struct stat found{};
        if (candidate.starts_with('/') && ::stat(candidate.c_str(), &found) == 0 && S_ISREG(found.st_mode) &&
            ::access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    return {};
}

void run_trials(Report& report, const std::filesystem::path& scratch) {
    report.user_namespace = try_unshare(CLONE_NEWUSER, "unshare(CLONE_NEWUSER)");
    report.user_mount_namespace =
        try_unshare(CLONE_NEWUSER | CLONE_NEWNS, "unshare(CLONE_NEWUSER|CLONE_NEWNS)");
    report.user_pid_namespace =
        try_unshare(CLONE_NEWUSER | CLONE_NEWPID, "unshare(CLONE_NEWUSER|CLONE_NEWPID)");
    report.mount_namespace = try_unshare(CLONE_NEWNS, "unshare(CLONE_NEWNS)");
    try_filters(report);
    const long landlock = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    report.landlock = landlock > 0 ? static_cast<int>(landlock) : 0;
    report.single_map = try_single_map(report);
    prepare_scratch(scratch);
    report.user_xattr = try_user_attribute(scratch);
    const int namespaces = CLONE_NEWUSER | CLONE_NEWNS;

    if (report.uid == 0 && report.user_mount_namespace.works()) {
        bool mapped = false;
        const std::string uids = map_text(identity_ranges(report.uid_map));
        const std::string gids = map_text(identity_ranges(report.gid_map));
        enter(report, scratch, namespaces, [&](pid_t pid) {
            report.identity_uid_map = write_map(pid, "uid_map", uids);
            report.identity_gid_map = write_map(pid, "gid_map", gids);
            mapped = report.identity_uid_map.works() && report.identity_gid_map.works();
            return mapped;
        });
        report.entry = mapped ? Entry::identity : Entry::none;
    }
    if (report.uid == 0 && report.mount_namespace.works()) {
        // buildah makes no user namespace of its own when it has SYS_ADMIN, so this is what counts.
        report.entry = Entry::own;
        enter(report, scratch, CLONE_NEWNS, [](pid_t) { return true; });
    }
    if (report.uid != 0 && report.user_mount_namespace.works()) {
        const std::string newuidmap = find_program("newuidmap");
        const std::string newgidmap = find_program("newgidmap");
        const bool possible = !newuidmap.empty() && !newgidmap.empty() && !report.subordinate_uids.empty() &&
                              !report.subordinate_gids.empty();
        if (possible) {
            bool mapped = false;
            enter(report, scratch, namespaces, [&](pid_t pid) {
                report.newgidmap =
                    run_newidmap(newgidmap, pid, newidmap_ranges(report.gid, report.subordinate_gids));
                report.newuidmap =
                    run_newidmap(newuidmap, pid, newidmap_ranges(report.uid, report.subordinate_uids));
                mapped = report.newuidmap.works() && report.newgidmap.works();
                return mapped;
            });
            report.entry = mapped ? Entry::newidmap : Entry::none;
        } else {
            report.newuidmap =
                untried(newuidmap.empty() ? "no newuidmap on PATH" : "no subordinate user ids");
            report.newgidmap =
                untried(newgidmap.empty() ? "no newgidmap on PATH" : "no subordinate group ids");
        }
    }
    if (report.entry == Entry::none && report.single_map.works() && report.user_mount_namespace.works()) {
        report.entry = Entry::single;
        enter(report, scratch, namespaces, [&](pid_t pid) {
            return write_map(pid, "setgroups", "deny").works() &&
                   write_map(pid, "gid_map", std::format("0 {} 1\n", report.gid)).works() &&
                   write_map(pid, "uid_map", std::format("0 {} 1\n", report.uid)).works();
        });
    }
    const Fd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    Slot slot;
    note(slot, fuse.get());
    report.fuse_device = trial(slot, "open /dev/fuse");
}

} // namespace slipway::pod
