#include "pod/oci_trials.hpp"

#include "base/file.hpp"

#include <cerrno>
#include <format>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <string>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
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

/// A session keyring belongs to whoever asked for it, so a child does.
Trial try_keyring() {
    const pid_t child = ::fork();
    if (child < 0) {
        return {.outcome = Trial::Outcome::untried, .error = errno, .what = "fork"};
    }
    if (child == 0) {
        ::_exit(::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "slipway-probe") < 0 ? errno : 0);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const int error = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM; // a filter may kill
    // A kernel without keyrings is no obstacle: crun goes on without.
    return error == 0 || error == ENOSYS ? works() : refused(error, "keyctl");
}

Trial try_directory(const fs::path& below) {
    const fs::path made = below / std::format("slipway-probe-{}", ::getpid());
    if (::mkdir(made.c_str(), 0755) != 0) {
        return refused(errno, "mkdir in " + below.string());
    }
    ::rmdir(made.c_str());
    return works();
}

Trial try_cgroup(const Report& report, const fs::path& cgroup) {
    const bool unified = is_of(cgroup, CGROUP2_SUPER_MAGIC);
    if (!unified && is_of(cgroup / "unified", CGROUP2_SUPER_MAGIC) &&
        !read_file(cgroup / "unified/cgroup.controllers", 4096).value_or(std::string()).empty()) {
        return refused(ENOTSUP, "cgroups of both versions at once");
    }
    // Inside a user namespace, as in every recipe but G on the node's own ids, crun does without one of its
    // own.
    if (report.in_user_namespace() || report.uid != 0 || !report.capabilities.has(Capability::sys_admin)) {
        return works();
    }
    if (unified) {
        return try_directory(cgroup);
    }
    std::error_code none;
    for (const fs::directory_entry& controller : fs::directory_iterator(cgroup, none)) {
        if (is_of(controller.path(), CGROUP_SUPER_MAGIC)) {
            if (Trial made = try_directory(controller.path()); made.refused()) {
                return made;
            }
        }
    }
    return works();
}

} // namespace

void try_oci_runtime(Report& report, const fs::path& cgroup) {
    if (report.oci_runtime.empty()) {
        return;
    }
    report.keyring = try_keyring();
    report.cgroup = try_cgroup(report, cgroup);
}

} // namespace slipway::pod
