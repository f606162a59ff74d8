#include "pod/usage.hpp"

#include "base/file.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <sys/statvfs.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace slipway::pod {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_limit = 64U << 10U;

std::optional<long> parent_of(const fs::path& process) {
    const std::string stat = read_file(process / "stat", file_limit).value_or(std::string());
    // The name in parentheses may itself contain parentheses and spaces: the last one ends it.
    const std::size_t end = stat.rfind(')');
    if (end == std::string::npos || end + 4 >= stat.size()) {
        return std::nullopt;
    }
    long parent = 0;
    const auto [rest, error] = std::from_chars(stat.data() + end + 4, stat.data() + stat.size(), parent);
    return error == std::errc{} ? std::optional(parent) : std::nullopt;
}

std::uint64_t first_number(std::string_view text) {
    const std::size_t at = text.find_first_of("0123456789");
    std::uint64_t value = 0;
    if (at != std::string_view::npos) {
        std::from_chars(text.data() + at, text.data() + text.size(), value);
    }
    return value;
}

std::uint64_t resident_of(const fs::path& process) {
    const std::string statm = read_file(process / "statm", file_limit).value_or(std::string());
    const std::size_t space = statm.find(' ');
    if (space == std::string::npos) {
        return 0;
    }
    return first_number(std::string_view(statm).substr(space)) *
           static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t memory_of(const fs::path& process) {
    if (const auto rollup = read_file(process / "smaps_rollup", file_limit)) {
        if (const std::size_t at = rollup->find("\nPss:"); at != std::string::npos) {
            return first_number(std::string_view(*rollup).substr(at)) * 1024;
        }
    }
    return resident_of(process); // another user's process (or one that gave up its rights) shows no PSS
}

} // namespace

Sampler::Sampler(fs::path storage, fs::path proc, fs::path cgroup)
    : storage_(std::move(storage)), proc_(std::move(proc)), cgroup_(std::move(cgroup)) {
    first_oom_kills_ = sample_cgroup().oom_kills.value_or(0);
}

CgroupMemory Sampler::sample_cgroup() const {
    return read_cgroup_memory(cgroup_, proc_);
}

std::uint64_t Sampler::oom_kills_since_start(const CgroupMemory& now) const noexcept {
    const std::uint64_t kills = now.oom_kills.value_or(0);
    return kills - std::min(kills, first_oom_kills_);
}

Usage Sampler::sample_disk() const {
    Usage usage;
    struct statvfs room{};
    if (::statvfs(storage_.c_str(), &room) == 0) {
        usage.free_bytes = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
        usage.total_bytes = static_cast<std::uint64_t>(room.f_blocks) * room.f_frsize;
        usage.free_inodes = room.f_favail;
        usage.total_inodes = room.f_files;
    }
    return usage;
}

Usage Sampler::sample(pid_t root) const {
    Usage usage = sample_disk();
    usage.cgroup = sample_cgroup();
    const std::vector<pid_t> members = tree(root);
    if (members.empty()) {
        return usage;
    }
    std::uint64_t sum = 0;
    for (const pid_t member : members) {
        sum += memory_of(proc_ / std::to_string(member));
    }
    usage.processes = static_cast<int>(members.size());
    usage.tree_memory = sum;
    return usage;
}

std::vector<pid_t> Sampler::tree(pid_t root) const {
    if (root <= 0) {
        return {};
    }
    std::unordered_map<long, std::vector<long>> children;
    std::error_code error;
    bool found = false;
    for (fs::directory_iterator entry(proc_, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().native();
        if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos || name.size() > 9) {
            continue;
        }
        const long pid = std::stol(name);
        found = found || pid == root;
        if (const auto parent = parent_of(entry->path())) {
            children[*parent].push_back(pid);
        }
    }
    std::vector<pid_t> members;
    if (!found) {
        return members;
    }
    members.push_back(root);
    for (std::size_t next = 0; next < members.size(); ++next) {
        if (const auto below = children.extract(members[next])) {
            members.insert(members.end(), below.mapped().begin(), below.mapped().end());
        }
    }
    return members;
}

std::optional<Sampler::Process> Sampler::biggest_below(pid_t root) const {
    std::optional<Process> biggest;
    for (const pid_t pid : tree(root)) {
        const fs::path process = proc_ / std::to_string(pid);
        const std::uint64_t resident = pid == root ? 0 : resident_of(process);
        if (resident > 0 && (!biggest || resident > biggest->resident)) {
            biggest = {.pid = pid, .name = {}, .resident = resident};
        }
    }
    if (biggest) {
        biggest->name =
            read_file(proc_ / std::to_string(biggest->pid) / "comm", file_limit).value_or(std::string());
        while (biggest->name.ends_with('\n')) {
            biggest->name.pop_back();
        }
    }
    return biggest;
}

} // namespace slipway::pod
