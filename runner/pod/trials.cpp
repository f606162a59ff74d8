#include "pod/trials.hpp"

#include "base/fd.hpp"
#include "base/file.hpp"
#include "pod/id_maps.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
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

/// For one child from its start; as all run at the same time, for nearly the whole. What is cut off counts as
/// not there, so a busy node has its time.
constexpr std::chrono::milliseconds child_limit{10000};

/// How one call ended, in memory shared with the child: a child that is killed has still said how far it
/// came.
struct Slot {
    bool tried = false;
    int error = 0;
};

/// Each in a namespace of its own, with nothing asked of the parent.
struct Lone {
    Slot user, user_pid, single, filter, listener;
};

/// One after the other in the namespaces a child made first.
struct Inside {
    Slot namespaces, setgroups, become_root, mount_private, chroot, tmpfs, overlay, whiteout, change_owner,
        proc;
};

template <class Slots> class Shared {
  public:
    Shared() {
        void* memory =
            ::mmap(nullptr, sizeof(Slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        slots_ = memory == MAP_FAILED ? nullptr : new (memory) Slots;
    }
    ~Shared() {
        if (slots_ != nullptr) {
            ::munmap(slots_, sizeof(Slots));
        }
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
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
    template <class Body> explicit Child(const Body& body) : pid_(::fork()) {
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::_exit(body());
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { stop(); }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Exit status; -1 if it had to be killed or never was.
    int finish() noexcept {
        if (pid_ <= 0) {
            return -1;
        }
        const Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
        pollfd waiting{handle.get(), POLLIN, 0};
        // Without pidfds (Linux 5.3) its end is waited for, however long that takes.
        const bool ended = !handle || ::poll(&waiting, 1, time_left()) > 0;
        return ended ? reap() : stop();
    }

    /// For poll().
    [[nodiscard]] int time_left() const noexcept {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            started_ + child_limit - std::chrono::steady_clock::now());
        return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }

  private:
    int stop() noexcept {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            reap();
        }
        return -1;
    }
    int reap() noexcept {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
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

void send(int fd) noexcept {
    [[maybe_unused]] const ssize_t written = ::write(fd, "x", 1);
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

/// newuidmap or newgidmap at work on a process.
class NewIdMap {
  public:
    NewIdMap(std::string program, pid_t pid, const std::vector<IdRange>& ranges)
        : words_(words(std::move(program), pid, ranges)), child_([argv = pointers(words_)] {
              const int null = ::open("/dev/null", O_RDWR);
              ::dup2(null, STDIN_FILENO);
              ::dup2(null, STDOUT_FILENO);
              ::dup2(null, STDERR_FILENO);
              ::execv(argv[0], argv.data());
              return 127;
          }) {}

    Trial finish() {
        const int status = child_.finish();
        if (status == 0) {
            return {Trial::Outcome::works, 0, words_.front()};
        }
        return {Trial::Outcome::refused, EPERM,
                std::format("{} ended with status {}", words_.front(), status)};
    }

  private:
    static std::vector<std::string> words(std::string program, pid_t pid,
                                          const std::vector<IdRange>& ranges) {
        std::vector<std::string> words{std::move(program), std::to_string(pid)};
        for (const IdRange& range : ranges) {
            for (const std::uint64_t number : {range.inside, range.outside, range.count}) {
                words.push_back(std::to_string(number));
            }
        }
        return words;
    }
    static std::vector<char*> pointers(std::vector<std::string>& words) {
        std::vector<char*> argv;
        for (std::string& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        return argv;
    }

    std::vector<std::string> words_;
    Child child_;
};

/// Everything that wants the namespace `entry` names. The scratch directory is entered by name: one opened
/// before unshare belongs to the old mount namespace, where nothing of ours can be mounted (EINVAL).
int inside(Inside& slots, const char* scratch, bool user_namespace) noexcept {
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
    ::mkdir(scratch.c_str(), 0755);
    for (const char* name : {"lower", "upper", "work", "merged", "tmpfs", "proc"}) {
        ::mkdir((scratch / name).c_str(), 0755);
    }
    for (const char* name : {"lower/file", "owned"}) {
        const Fd file(::open((scratch / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    }
}

/// A child in namespaces made by `flags`; between them and the trials the parent writes the maps.
class Entering {
  public:
    /// `scratch` is this one's alone.
    Entering(const Report& report, const std::filesystem::path& scratch, int flags)
        : scratch_(prepared(scratch)),
          child_([this, flags, user_namespace = (flags & CLONE_NEWUSER) != 0 || report.in_user_namespace()] {
              if (!slots_) {
                  return 1;
              }
              note(slots_->namespaces, ::unshare(flags));
              send(ready_.write.get());
              if (slots_->namespaces.error != 0 || !receive(go_.read.get())) {
                  return 1;
              }
              return inside(*slots_, scratch_.c_str(), user_namespace);
          }) {}

    [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }

    /// How unshare() ended, as soon as it has.
    Trial entered(std::string_view what) {
        pollfd waiting{ready_.read.get(), POLLIN, 0};
        const bool told = slots_ && ready_.read && ::poll(&waiting, 1, child_.time_left()) > 0 &&
                          receive(ready_.read.get());
        return told ? trial(slots_->namespaces, what) : untried("not reached");
    }

    /// The maps are written: on with the trials.
    void go() { send(go_.write.get()); }

    void finish(Report& report) {
        child_.finish();
        // overlay makes a directory in its work directory that not even its owner may look into, so neither
        // remove.
        static_cast<void>(::chmod((scratch_ / "work/work").c_str(), 0700));
        report.setgroups = trial(slots_->setgroups, "setgroups");
        report.chroot = trial(slots_->chroot, "chroot");
        report.mount_private = trial(slots_->mount_private, "mount MS_PRIVATE");
        report.tmpfs = trial(slots_->tmpfs, "mount tmpfs");
        report.overlay = trial(slots_->overlay, "mount overlay");
        report.overlay_whiteout = trial(slots_->whiteout, "whiteout");
        report.change_owner = trial(slots_->change_owner, "chown");
        report.proc = trial(slots_->proc, "mount proc");
    }

  private:
    static std::filesystem::path prepared(const std::filesystem::path& scratch) {
        prepare_scratch(scratch);
        return scratch;
    }

    std::filesystem::path scratch_;
    Shared<Inside> slots_;
    Pipe ready_;
    Pipe go_;
    Child child_;
};

/// A filter that lets everything through, once as it is and once with a listener. In a user namespace, where
/// nobody's permission is needed; the child cannot take it off again and ends.
int filters(Lone& slots) noexcept {
    note(slots.user, ::unshare(CLONE_NEWUSER));
    if (slots.user.error != 0) {
        return 0;
    }
    sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    const sock_fprog program{1, &allow};
    note(slots.filter, ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
    note(slots.listener,
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
    return 0;
}

Trial try_user_attribute(const std::filesystem::path& scratch) {
    Slot slot;
    const std::string file = scratch / "owned";
    note(slot, ::setxattr(file.c_str(), "user.slipway", "x", 1, 0));
    return trial(slot, "setxattr user.slipway");
}

/// The one map nobody's permission is needed for: our own id alone, setgroups given up.
struct SingleMap {
    std::string uids, gids;

    explicit SingleMap(const Report& report)
        : uids(std::format("0 {} 1\n", report.uid)), gids(std::format("0 {} 1\n", report.gid)) {}

    int try_it(Slot& slot) const noexcept {
        const bool written =
            ::unshare(CLONE_NEWUSER) == 0 && write_whole("/proc/self/setgroups", "deny") == 0 &&
            write_whole("/proc/self/gid_map", gids) == 0 && write_whole("/proc/self/uid_map", uids) == 0;
        note(slot, written ? 0 : -1);
        return 0;
    }

    [[nodiscard]] bool write(pid_t pid) const {
        return write_map(pid, "setgroups", "deny").works() && write_map(pid, "gid_map", gids).works() &&
               write_map(pid, "uid_map", uids).works();
    }
};

/// Maps all of root's ids one to one; whether it could.
bool map_identity(Report& report, pid_t pid) {
    report.identity_uid_map = write_map(pid, "uid_map", map_text(identity_ranges(report.uid_map)));
    report.identity_gid_map = write_map(pid, "gid_map", map_text(identity_ranges(report.gid_map)));
    return report.identity_uid_map.works() && report.identity_gid_map.works();
}

/// Maps the subordinate ids; whether it could. Without programs or ids nothing is written.
bool map_subordinate(Report& report, pid_t pid) {
    const std::string uids = find_program("newuidmap");
    const std::string gids = find_program("newgidmap");
    if (uids.empty() || gids.empty() || report.subordinate_uids.empty() || report.subordinate_gids.empty()) {
        report.newuidmap = untried(uids.empty() ? "no newuidmap on PATH" : "no subordinate user ids");
        report.newgidmap = untried(gids.empty() ? "no newgidmap on PATH" : "no subordinate group ids");
        return false;
    }
    NewIdMap groups(gids, pid, newidmap_ranges(report.gid, report.subordinate_gids));
    NewIdMap users(uids, pid, newidmap_ranges(report.uid, report.subordinate_uids));
    report.newgidmap = groups.finish();
    report.newuidmap = users.finish();
    return report.newuidmap.works() && report.newgidmap.works();
}

} // namespace

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
    const Shared<Lone> lone;
    if (!lone) {
        return;
    }
    const SingleMap single_map(report);
    const int namespaces = CLONE_NEWUSER | CLONE_NEWNS;
    // Most of a child's time passes in the kernel, which takes its namespaces down: so all are started first.
    Child pid([&] {
        note(lone->user_pid, ::unshare(CLONE_NEWUSER | CLONE_NEWPID));
        return 0;
    });
    Child filter([&] { return filters(*lone); });
    Child single([&] { return single_map.try_it(lone->single); });
    Entering user(report, scratch / "user", namespaces);
    Entering own(report, scratch / "own", CLONE_NEWNS);
    report.user_xattr = try_user_attribute(scratch / "user"); // before a trial changes the file's owner

    report.user_mount_namespace = user.entered("unshare(CLONE_NEWUSER|CLONE_NEWNS)");
    report.mount_namespace = own.entered("unshare(CLONE_NEWNS)");
    const bool as_root = report.uid == 0;
    if (as_root && report.mount_namespace.works()) {
        // buildah makes no user namespace of its own when it has SYS_ADMIN, so this is what counts.
        own.go();
        report.entry = Entry::own;
    }
    if (report.user_mount_namespace.works()) {
        const bool mapped = as_root ? map_identity(report, user.pid()) : map_subordinate(report, user.pid());
        if (mapped && report.entry == Entry::none) {
            user.go();
            report.entry = as_root ? Entry::identity : Entry::newidmap;
        }
    }

    const long landlock = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    report.landlock = landlock > 0 ? static_cast<int>(landlock) : 0;
    const Fd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    Slot slot;
    note(slot, fuse.get());
    report.fuse_device = trial(slot, "open /dev/fuse");

    pid.finish();
    filter.finish();
    single.finish();
    report.user_namespace = trial(lone->user, "unshare(CLONE_NEWUSER)");
    report.user_pid_namespace = trial(lone->user_pid, "unshare(CLONE_NEWUSER|CLONE_NEWPID)");
    report.seccomp_filter = trial(lone->filter, "seccomp(SECCOMP_SET_MODE_FILTER)");
    report.seccomp_listener = trial(lone->listener, "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)");
    report.single_map = trial(lone->single, "single-id map");
    if (report.entry == Entry::own) {
        own.finish(report);
    } else if (report.entry != Entry::none) {
        user.finish(report);
    } else if (report.single_map.works() && report.user_mount_namespace.works()) {
        // A map that was begun above cannot be written again.
        Entering again(report, scratch / "single", namespaces);
        if (again.entered("").works() && single_map.write(again.pid())) {
            again.go();
            report.entry = Entry::single;
            again.finish(report);
        }
    }
}

} // namespace slipway::pod
