#include "pod/probe.hpp"

#include "base/file.hpp"
#include "pod/oci_trials.hpp"
#include "pod/trials.hpp"

#include <charconv>
#include <cstring>
#include <string>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace slipway::pod {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_limit = 1U << 20U;

std::string read_or_empty(const fs::path& path) {
    return read_file(path, file_limit).value_or(std::string());
}

/// A line of /proc/self/status, without its name.
std::string_view status_line(std::string_view text, std::string_view name) {
    std::size_t at = 0;
    while ((at = text.find(name, at)) != std::string_view::npos) {
        if ((at == 0 || text[at - 1] == '\n') && text.substr(at + name.size()).starts_with(":\t")) {
            const std::string_view rest = text.substr(at + name.size() + 2);
            return rest.substr(0, rest.find('\n'));
        }
        at += name.size();
    }
    return {};
}

std::uint64_t hexadecimal(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return value;
}

/// No getpwuid: the program is static, and the file is what buildah reads too.
std::string user_name(std::string_view passwd, std::uint32_t uid) {
    const std::string number = std::to_string(uid);
    while (!passwd.empty()) {
        const std::size_t end = std::min(passwd.find('\n'), passwd.size());
        const std::string_view line = passwd.substr(0, end);
        passwd.remove_prefix(std::min(end + 1, passwd.size()));
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second != std::string_view::npos && line.substr(second + 1).starts_with(number + ':')) {
            return std::string(line.substr(0, first));
        }
    }
    return {};
}

} // namespace

Report probe(const Paths& paths) {
    const auto start = std::chrono::steady_clock::now();
    Report report;
    report.uid = ::geteuid();
    report.gid = ::getegid();
    const std::string status = read_or_empty(paths.proc / "self/status");
    report.capabilities.effective = hexadecimal(status_line(status, "CapEff"));
    report.capabilities.permitted = hexadecimal(status_line(status, "CapPrm"));
    report.capabilities.bounding = hexadecimal(status_line(status, "CapBnd"));
    report.no_new_privs = status_line(status, "NoNewPrivs") == "1";
    report.seccomp = static_cast<int>(hexadecimal(status_line(status, "Seccomp")));
    report.apparmor = read_or_empty(paths.proc / "self/attr/apparmor/current");
    report.apparmor.erase(std::min(report.apparmor.find('\n'), report.apparmor.size()));
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        report.open_files_limit = limit.rlim_max;
    }
    if (::getrlimit(RLIMIT_NPROC, &limit) == 0) {
        report.processes_limit = limit.rlim_max;
    }
    report.uid_map = parse_id_map(read_or_empty(paths.proc / "self/uid_map"));
    report.gid_map = parse_id_map(read_or_empty(paths.proc / "self/gid_map"));
    report.user = user_name(read_or_empty(paths.etc / "passwd"), report.uid);
    // Both files name the user: newgidmap looks for the user's name in subgid as well.
    report.subordinate_uids =
        parse_subordinate_ids(read_or_empty(paths.etc / "subuid"), report.user, report.uid);
    report.subordinate_gids =
        parse_subordinate_ids(read_or_empty(paths.etc / "subgid"), report.user, report.uid);
    report.fuse_overlayfs = find_program("fuse-overlayfs");
    report.oci_runtime = find_program("crun");
    if (report.oci_runtime.empty()) {
        report.oci_runtime = find_program("runc");
    }
    report.memory = read_cgroup_memory(paths.cgroup, paths.proc);

    struct statvfs root{};
    report.read_only_root = ::statvfs("/", &root) == 0 && (root.f_flag & ST_RDONLY) != 0;
    static_cast<void>(make_directories(paths.work, 0700));
    report.work = read_file_system(paths.work);
    report.state = read_file_system(paths.state);
    if (const auto scratch = TemporaryDirectory::create("slipway-probe.", paths.work)) {
        run_trials(report, scratch->path());
    } else {
        report.work.writable = false;
        // The namespaces can still be told; what wants files is left untried.
        run_trials(report, "/nonexistent");
    }
    try_oci_runtime(report, paths);
    report.took =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    return report;
}

} // namespace slipway::pod
