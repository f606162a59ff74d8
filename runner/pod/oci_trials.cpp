#include "pod/oci_trials.hpp"

#include "base/file.hpp"

#include <cerrno>
#include <format>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace slipway::pod {

namespace {

namespace fs = std::filesystem;

Trial works() {
    return {.outcome = Trial::Outcome::works, .error = 0, .what = {}};
}

Trial refused(int error, std::string what) {
    return {.outcome = Trial::Outcome::refused, .error = error, .what = std::move(what)};
}

bool is_of(const fs::path& path, std::uint64_t magic) {
    struct statfs info{};
    return ::statfs(path.c_str(), &info) == 0 && static_cast<std::uint64_t>(info.f_type) == magic;
}

constexpr int unreached = 255; ///< no errno: what comes before was refused, and other trials tell of that

/// What `asks` answers in a child: 0 or an errno, or `unreached`.
template <typename Question> int in_child(Question asks) {
    const pid_t child = ::fork();
    if (child < 0) {
        return unreached;
    }
    if (child == 0) {
        ::_exit(asks());
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM; // a filter may kill
}

/// A session keyring belongs to whoever asked for it.
Trial try_keyring() {
    const int error = in_child(
        [] { return ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "slipway-probe") < 0 ? errno : 0; });
    // A kernel without keyrings is no obstacle: crun goes on without.
    return error == 0 || error == ENOSYS ? works() : error == unreached ? Trial{} : refused(error, "keyctl");
}

/// Runtimes' own seccomp profiles allow it to containers with SYS_ADMIN alone, whatever namespace is asked
/// about.
Trial try_hostname(bool own_user_namespace) {
    const int error = in_child([own_user_namespace] {
        if (::unshare(CLONE_NEWUTS | (own_user_namespace ? CLONE_NEWUSER : 0)) != 0) {
            return unreached;
        }
        return ::sethostname("slipway-probe", 13) < 0 ? errno : 0;
    });
    return error == 0 ? works() : error == unreached ? Trial{} : refused(error, "sethostname");
}

Trial try_directory(const fs::path& below) {
    const fs::path made = below / std::format("slipway-probe-{}", ::getpid());
    if (::mkdir(made.c_str(), 0755) != 0) {
        return refused(errno, "mkdir in " + below.string());
    }
    ::rmdir(made.c_str());
    return works();
}

Trial try_cgroup(const Report& report, const Paths& paths) {
    const fs::path& cgroup = paths.cgroup;
    const bool unified = is_of(cgroup, CGROUP2_SUPER_MAGIC);
    if (!unified && is_of(cgroup / "unified", CGROUP2_SUPER_MAGIC) &&
        !read_file(cgroup / "unified/cgroup.controllers", 4096).value_or(std::string()).empty()) {
        return refused(ENOTSUP, "cgroups of both versions at once");
    }
    // crun does without a cgroup of its own, unless it finds itself root of the node's ids: there it is, also
    // in a user namespace that maps them all to themselves.
    if (report.in_user_namespace() || report.uid != 0) {
        return works();
    }
    if (unified) {
        return try_directory(cgroup);
    }
    // Lines of version 1: "4:cpu,cpuacct:/path", "1:name=systemd:/path".
    std::istringstream lines(read_file(paths.proc / "self/cgroup", 1U << 16U).value_or(std::string()));
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string::npos || second == first + 1) {
            continue;
        }
        std::string controllers = line.substr(first + 1, second - first - 1);
        if (controllers.starts_with("name=")) {
            controllers.erase(0, 5);
        }
        if (Trial made = try_directory(cgroup / controllers); made.refused()) {
            return made;
        }
    }
    return works();
}

} // namespace

void try_oci_runtime(Report& report, const Paths& paths) {
    if (report.oci_runtime.empty()) {
        return;
    }
    report.keyring = try_keyring();
    report.hostname = try_hostname(report.entry != Entry::own);
    report.cgroup = try_cgroup(report, paths);
}

} // namespace slipway::pod
