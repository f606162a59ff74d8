// The parts of the report that are only read: ids, file systems, the cgroup's memory.
#include "base/file.hpp"
#include "pod/probe.hpp"

#include <algorithm>
#include <charconv>
#include <fcntl.h>
#include <format>
#include <linux/magic.h>
#include <sstream>
#include <string>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace slipway::pod {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t file_limit = 1U << 20U;

std::optional<std::uint64_t> to_number(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
        text.remove_suffix(1);
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::string read_or_empty(const fs::path& path) {
    return read_file(path, file_limit).value_or(std::string());
}

std::optional<std::uint64_t> read_number(const fs::path& path) {
    return to_number(read_or_empty(path));
}

/// "name value" lines, as in memory.stat and memory.events.
std::optional<std::uint64_t> keyed(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ') {
            return to_number(line.substr(name.size() + 1));
        }
    }
    return std::nullopt;
}

/// Path of the hierarchy: the one numbered 0 (version 2) or the one that names the memory controller.
std::optional<std::string> cgroup_path(std::string_view text, bool version_two) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos) {
            continue;
        }
        const std::string controllers = std::format(",{},", line.substr(first + 1, second - first - 1));
        if (version_two ? line.starts_with("0::") : controllers.contains(",memory,")) {
            const std::string_view path = line.substr(second + 1);
            // A cgroup outside our namespace shows as /../…: nothing of ours lies there.
            return path.contains("..") ? "/" : std::string(path);
        }
    }
    return std::nullopt;
}

std::optional<double> pressure_of(std::string_view text) {
    const std::size_t line = text.find("full ");
    const std::size_t at = line == std::string_view::npos ? line : text.find("avg10=", line);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view number = text.substr(at + 6);
    double value = 0;
    return std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc{}
               ? std::optional(value)
               : std::nullopt;
}

std::optional<std::uint64_t> less(std::optional<std::uint64_t> whole, std::optional<std::uint64_t> part) {
    return whole ? std::optional(*whole - std::min(*whole, part.value_or(0))) : std::nullopt;
}

/// Our own group below `mount` where `file` is there, else the mount itself: inside a container the path in
/// /proc/self/cgroup may be the host's.
fs::path group_directory(const fs::path& mount, const std::string& path, const char* file) {
    fs::path own = mount / path.substr(std::min<std::size_t>(path.size(), path.find_first_not_of('/')));
    std::error_code ignored;
    return fs::exists(own / file, ignored) ? own : mount;
}

/// Sum of the members of memory.stat named; nothing without the first one.
std::optional<std::uint64_t> sum_of(std::string_view stat, std::initializer_list<std::string_view> names) {
    std::optional<std::uint64_t> sum = keyed(stat, *names.begin());
    for (const auto* name = names.begin() + 1; sum && name != names.end(); ++name) {
        *sum += keyed(stat, *name).value_or(0);
    }
    return sum;
}

/// What the machine can still swap out, and at most what `limit` less `used` leaves of it.
std::uint64_t swap_left(const fs::path& proc, std::optional<std::uint64_t> limit,
                        std::optional<std::uint64_t> used) {
    const std::string meminfo = read_or_empty(proc / "meminfo");
    std::uint64_t machine = 0;
    if (std::size_t at = meminfo.find("SwapFree:"); at != std::string::npos) {
        at = meminfo.find_first_not_of(' ', at + 9);
        std::from_chars(meminfo.data() + std::min(at, meminfo.size()), meminfo.data() + meminfo.size(),
                        machine);
        machine *= 1024;
    }
    return limit && used ? std::min(machine, *limit - std::min(*limit, *used)) : machine;
}

CgroupMemory read_version_two(const fs::path& mount, const std::string& path, const fs::path& proc) {
    CgroupMemory memory;
    const fs::path directory = group_directory(mount, path, "memory.current");
    memory.current = read_number(directory / "memory.current");
    if (!memory.current) {
        return memory;
    }
    memory.version = 2;
    const std::string stat = read_or_empty(directory / "memory.stat");
    memory.working_set = less(memory.current, keyed(stat, "inactive_file"));
    memory.unreclaimable =
        sum_of(stat, {"anon", "shmem", "slab_unreclaimable", "kernel_stack", "pagetables", "percpu", "sock"});
    memory.swap_left = swap_left(proc, read_number(directory / "memory.swap.max"),
                                 read_number(directory / "memory.swap.current"));
    memory.kills_group = read_number(directory / "memory.oom.group").value_or(0) == 1;
    memory.oom_kills = keyed(read_or_empty(directory / "memory.events"), "oom_kill");
    memory.pressure = pressure_of(read_or_empty(directory / "memory.pressure"));
    // The tightest limit of our own and every group above, as far as we see them. "max" is none.
    for (fs::path at = directory;; at = at.parent_path()) {
        if (const auto limit = read_number(at / "memory.max")) {
            memory.limit = memory.limit ? std::min(*memory.limit, *limit) : *limit;
        }
        if (at == mount || at.native().size() <= mount.native().size()) {
            break;
        }
    }
    return memory;
}

CgroupMemory read_version_one(const fs::path& mount, const std::string& path, const fs::path& proc) {
    constexpr std::uint64_t unlimited = 1ULL << 60U; // the kernel says "none" with a number near 2^63
    CgroupMemory memory;
    const fs::path directory = group_directory(mount, path, "memory.usage_in_bytes");
    memory.current = read_number(directory / "memory.usage_in_bytes");
    if (!memory.current) {
        return memory;
    }
    memory.version = 1;
    const std::string stat = read_or_empty(directory / "memory.stat");
    memory.working_set = less(memory.current, keyed(stat, "total_inactive_file"));
    memory.unreclaimable = sum_of(stat, {"total_rss", "total_shmem"});
    memory.swap_left = swap_left(proc, read_number(directory / "memory.memsw.limit_in_bytes"),
                                 read_number(directory / "memory.memsw.usage_in_bytes"));
    memory.limit = keyed(stat, "hierarchical_memory_limit");
    if (const auto own = read_number(directory / "memory.limit_in_bytes")) {
        memory.limit = memory.limit ? std::min(*memory.limit, *own) : *own;
    }
    if (memory.limit && *memory.limit >= unlimited) {
        memory.limit.reset();
    }
    memory.oom_kills = keyed(read_or_empty(directory / "memory.oom_control"), "oom_kill");
    return memory;
}

std::string type_name(std::uint64_t magic) {
    switch (magic) {
    case EXT4_SUPER_MAGIC: return "ext4";
    case XFS_SUPER_MAGIC: return "xfs";
    case BTRFS_SUPER_MAGIC: return "btrfs";
    case TMPFS_MAGIC: return "tmpfs";
    case OVERLAYFS_SUPER_MAGIC: return "overlay";
    case NFS_SUPER_MAGIC: return "nfs";
    case F2FS_SUPER_MAGIC: return "f2fs";
    case FUSE_SUPER_MAGIC: return "fuse";
    case 0x2fc12fc1: return "zfs";
    case 0x00c36400: return "ceph";
    case 0xff534d42: return "cifs";
    case 0xfe534d42: return "smb2";
    case 0x01021997: return "9p";
    case 0x6a656a63: return "virtiofs";
    default: return std::format("{:#x}", magic);
    }
}

} // namespace

std::string_view to_string(Entry entry) noexcept {
    switch (entry) {
    case Entry::none: return "none";
    case Entry::own: return "own";
    case Entry::identity: return "identity";
    case Entry::newidmap: return "newidmap";
    case Entry::single: return "single";
    }
    return "none";
}

std::uint64_t Report::id_width() const noexcept {
    std::uint64_t width = 0;
    for (const IdRange& range : uid_map) {
        width += range.count;
    }
    return width;
}

bool Report::in_user_namespace() const noexcept {
    return !(uid_map.size() == 1 && uid_map.front() == IdRange{0, 0, 4294967295ULL});
}

std::vector<IdRange> parse_id_map(std::string_view text) {
    std::vector<IdRange> ranges;
    std::istringstream lines{std::string(text)};
    IdRange range;
    while (ranges.size() < 340 && lines >> range.inside >> range.outside >> range.count) {
        ranges.push_back(range);
    }
    return ranges;
}

std::vector<IdRange> parse_subordinate_ids(std::string_view text, std::string_view user, std::uint32_t uid) {
    std::vector<IdRange> ranges;
    const std::string number = std::to_string(uid);
    while (!text.empty() && ranges.size() < 340) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos) {
            continue;
        }
        const std::string_view name = line.substr(0, first);
        if (name.empty() || (name != user && name != number)) {
            continue;
        }
        const auto start = to_number(line.substr(first + 1, second - first - 1));
        const auto count = to_number(line.substr(second + 1));
        if (start && count && *count > 0 && *start <= 4294967295ULL && *count <= 4294967295ULL) {
            ranges.push_back({0, *start, *count});
        }
    }
    return ranges;
}

CgroupMemory read_cgroup_memory(const fs::path& cgroup, const fs::path& proc) {
    const std::string text = read_or_empty(proc / "self/cgroup");
    if (const auto path = cgroup_path(text, false)) {
        if (const CgroupMemory memory = read_version_one(cgroup / "memory", *path, proc);
            memory.version != 0) {
            return memory;
        }
    }
    const std::string path = cgroup_path(text, true).value_or("/");
    for (const fs::path& mount : {cgroup, cgroup / "unified"}) {
        if (const CgroupMemory memory = read_version_two(mount, path, proc); memory.version != 0) {
            return memory;
        }
    }
    return {};
}

FileSystem read_file_system(const fs::path& path) {
    FileSystem result;
    result.path = path;
    struct statfs kind{};
    struct statvfs room{};
    if (path.empty() || ::statfs(path.c_str(), &kind) != 0 || ::statvfs(path.c_str(), &room) != 0) {
        return result;
    }
    result.exists = true;
    result.type = type_name(static_cast<std::uint32_t>(kind.f_type));
    result.free_bytes = static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
    result.total_bytes = static_cast<std::uint64_t>(room.f_blocks) * room.f_frsize;
    result.free_inodes = room.f_favail;
    result.total_inodes = room.f_files;
    result.writable =
        (room.f_flag & ST_RDONLY) == 0 && ::faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
    return result;
}

} // namespace slipway::pod
