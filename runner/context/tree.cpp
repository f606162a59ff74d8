#include "context/tree.hpp"

#include "context/inside.hpp"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/stat.h>

namespace slipway::context {

namespace {

constexpr std::size_t largest_kept = 5;

struct DirectoryCloser {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryCloser>;

Directory open_listing(int context, const std::string& path) {
    Opened opened = open_inside(context, path, O_RDONLY | O_DIRECTORY);
    Directory directory(opened.fd ? ::fdopendir(opened.fd.get()) : nullptr);
    if (directory) {
        (void)opened.fd.release();
    }
    return directory;
}

std::string_view next_name(DIR* directory, unsigned char& type) {
    while (const dirent* entry = ::readdir(directory)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") {
            type = entry->d_type;
            return name;
        }
    }
    return {};
}

struct Entry {
    std::string name;
    Kind kind = Kind::other;
    std::uint64_t size = 0;
    bool sent = true; ///< false: an excluded directory that is entered nevertheless
};

/// A directory under way.
struct Level {
    std::string path; ///< with '/' at the end, "" for the top
    std::vector<Entry> entries;
    std::size_t next = 0;
    bool sent = true; ///< its own entry was counted; an excluded one is when something below it is
};

class Walker {
  public:
    Walker(int context, const IgnoreRules& rules, const StopToken& stop, const Visit& visit,
           const WalkLimits& limits)
        : context_(context), rules_(rules), stop_(stop), visit_(visit), limits_(limits) {}

    Result<Tally> run(const std::string& top) {
        const std::uint64_t work_before = rules_.work();
        push(top.empty() ? "" : top + '/', true);
        while (!levels_.empty() && !enough_) {
            if (stop_.requested()) {
                return fail(stop_.error());
            }
            if (met_ > limits_.entries || rules_.work() - work_before > limits_.work) {
                enough_ = true;
                break;
            }
            Level& level = levels_.back();
            if (level.next == level.entries.size()) {
                levels_.pop_back();
                continue;
            }
            const Entry entry = std::move(level.entries[level.next++]);
            const std::string path = level.path + entry.name;
            if (entry.sent) {
                send_parents();
                send(path, entry);
            }
            if (entry.kind == Kind::directory && !enough_) {
                push(path + '/', entry.sent);
            }
        }
        tally_.complete = !enough_;
        return std::move(tally_);
    }

  private:
    void push(std::string path, bool sent) {
        const Directory directory = open_listing(context_, path);
        if (!directory) {
            ++tally_.unreadable;
            return;
        }
        Level level{.path = std::move(path), .entries = {}, .next = 0, .sent = sent};
        unsigned char type = DT_UNKNOWN;
        for (auto name = next_name(directory.get(), type); !name.empty() && met_ <= limits_.entries;
             name = next_name(directory.get(), type)) {
            ++met_;
            if (met_ % 1024 == 0 && stop_.requested()) {
                break;
            }
            read_entry(directory.get(), level, name, type);
        }
        std::ranges::sort(level.entries, {}, &Entry::name);
        levels_.push_back(std::move(level));
    }

    void read_entry(DIR* directory, Level& level, std::string_view name, unsigned char type) {
        Entry entry{.name = std::string(name)};
        const std::string path = level.path + entry.name;
        const bool excluded = rules_.verdict(path).excluded;
        if (excluded && type != DT_DIR && type != DT_UNKNOWN) {
            ++tally_.excluded;
            return;
        }
        struct stat info{};
        if (type == DT_REG || type == DT_UNKNOWN) {
            if (::fstatat(::dirfd(directory), entry.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
                return; // gone meanwhile
            }
        } else {
            info.st_mode = static_cast<mode_t>(DTTOIF(type));
        }
        if (S_ISSOCK(info.st_mode)) {
            return;
        }
        entry.kind = kind_of(info.st_mode);
        entry.size = static_cast<std::uint64_t>(info.st_size);
        entry.sent = !excluded;
        if (excluded) {
            ++tally_.excluded;
            if (entry.kind != Kind::directory || !rules_.enters(path)) {
                return;
            }
        }
        level.entries.push_back(std::move(entry));
    }

    void send_parents() {
        for (Level& level : levels_) {
            if (!std::exchange(level.sent, true)) {
                ++tally_.directories;
                tell(level.path);
            }
        }
    }

    void send(const std::string& path, const Entry& entry) {
        switch (entry.kind) {
        case Kind::file:
            ++tally_.files;
            tally_.bytes += entry.size;
            keep_if_large(path, entry.size);
            break;
        case Kind::directory: ++tally_.directories; break;
        case Kind::symlink: ++tally_.symlinks; break;
        default: ++tally_.others;
        }
        tell(entry.kind == Kind::directory ? path + '/' : path);
    }

    void tell(std::string_view path) {
        if (visit_ && !enough_) {
            enough_ = !visit_(path);
        }
    }

    void keep_if_large(const std::string& path, std::uint64_t size) {
        auto& kept = tally_.largest;
        if (kept.size() == largest_kept && size <= kept.back().first) {
            return;
        }
        kept.insert(std::ranges::upper_bound(kept, size, std::greater(), &Tally::Sized::first), {size, path});
        kept.resize(std::min(kept.size(), largest_kept));
    }

    int context_;
    const IgnoreRules& rules_;
    const StopToken& stop_;
    const Visit& visit_;
    const WalkLimits& limits_;
    Tally tally_;
    std::vector<Level> levels_;
    std::uint64_t met_ = 0;
    bool enough_ = false;
};

} // namespace

Result<Tally> walk(int context, const std::string& directory, const IgnoreRules& rules, const StopToken& stop,
                   const Visit& visit, const WalkLimits& limits) {
    return Walker(context, rules, stop, visit, limits).run(directory);
}

std::vector<std::string> names_in(int context, const std::string& directory, std::size_t most) {
    std::vector<std::string> names;
    const Directory listing = open_listing(context, directory);
    unsigned char type = DT_UNKNOWN;
    while (listing && names.size() < most) {
        const std::string_view name = next_name(listing.get(), type);
        if (name.empty()) {
            break;
        }
        names.emplace_back(name);
    }
    std::ranges::sort(names);
    return names;
}

} // namespace slipway::context
