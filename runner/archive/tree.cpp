#include "archive/tree.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <format>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::archive {

namespace {

constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

mode_t file_mode(mode_t archived) {
    return (archived & 0755U) | 0600U;
}
mode_t directory_mode(mode_t archived) {
    return (archived & 0755U) | 0700U;
}

timespec in_range(timespec time) {
    constexpr std::time_t end_of_9999 = 253'402'300'799;
    return {.tv_sec = std::clamp<std::time_t>(time.tv_sec, 0, end_of_9999),
            .tv_nsec = std::clamp<long>(time.tv_nsec, 0, 999'999'999)};
}

/// Access time as it is, modification time as archived.
struct Times {
    explicit Times(const std::optional<timespec>& modified)
        : pair{timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT},
               modified ? in_range(*modified) : timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT}} {}
    timespec pair[2]; // NOLINT(modernize-avoid-c-arrays): as utimensat takes it
};

std::unexpected<Error> in_the_way(const std::string& path, std::string_view what) {
    return fail(
        bad_archive(std::format("the archive puts a file below {}, which is {}", printable_name(path), what),
                    "pack the archive again; links to directories cannot be unpacked through"));
}

std::unexpected<Error> cannot_make(const std::string& path, int err) {
    if (err == ENAMETOOLONG || err == EILSEQ || err == EINVAL) {
        Error error = bad_archive("the volume takes no file of the name " + printable_name(path),
                                  "give the file another name, or the pod another kind of volume");
        error.cause = errno_error("create", err).cause;
        return fail(std::move(error));
    }
    return fail_errno("create " + printable_name(path), err);
}

std::unexpected<Error> is_the_root(std::string_view what) {
    return fail(
        bad_archive(std::format("the archive wants to put {} in place of its own top directory", what),
                    "pack the archive again"));
}

} // namespace

Status Tree::count() {
    if (++made_ > limit_) {
        return fail(bad_archive(std::format("the archive holds more than {} files and directories", limit_),
                                "raise --entry-limit, or pack less"));
    }
    return {};
}

/// Opens the directory an entry goes into; `create` makes what is missing on the way. The descriptor is the
/// tree's.
Result<int> Tree::parent_of(const Name& name, bool create) {
    const std::size_t depth = name.parts.size() - 1;
    std::size_t kept = 0;
    while (kept < depth && kept < way_.size() && way_[kept].first == name.parts[kept]) {
        ++kept;
    }
    way_.resize(kept);
    for (; kept < depth; ++kept) {
        const int parent = kept == 0 ? root_ : way_[kept - 1].second.get();
        const std::string& part = name.parts[kept];
        Fd fd(::openat(parent, part.c_str(), directory_flags));
        if (!fd) {
            const int err = errno;
            const std::string path =
                Name{
                    .parts = {name.parts.begin(), name.parts.begin() + static_cast<std::ptrdiff_t>(kept) + 1}}
                    .text();
            if (err != ENOENT || !create) {
                struct stat info{};
                const bool link =
                    ::fstatat(parent, part.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
                if (err == ENOTDIR || err == ELOOP) {
                    return in_the_way(path, link ? "a symbolic link" : "not a directory");
                }
                return fail_errno(printable_name(path), err);
            }
            TRY(make_directory(parent, part, path));
            fd.reset(::openat(parent, part.c_str(), directory_flags));
            if (!fd) {
                return fail_errno(printable_name(path), errno);
            }
        }
        way_.emplace_back(part, std::move(fd));
    }
    return depth == 0 ? root_ : way_.back().second.get();
}

Status Tree::make_directory(int parent, const std::string& name, const std::string& path) {
    TRY(count());
    if (::mkdirat(parent, name.c_str(), 0700) != 0) {
        return cannot_make(path, errno);
    }
    directories_.insert_or_assign(path, Attributes{.mode = 0755, .modified = {}});
    return {};
}

/// Takes away what bears the name. A directory goes only when it is empty.
Status Tree::make_way(int parent, const std::string& name, const std::string& path) {
    if (::unlinkat(parent, name.c_str(), 0) == 0) {
        return {};
    }
    if (errno == EISDIR || errno == EPERM) {
        if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) {
            directories_.erase(path);
            way_.clear();
            return {};
        }
        if (errno == ENOTEMPTY || errno == EEXIST) {
            return fail(bad_archive("the archive has both a file and a full directory of the name " +
                                        printable_name(path),
                                    "pack the archive again"));
        }
    }
    return fail_errno("replace " + printable_name(path), errno);
}

Status Tree::directory(const Name& name, const Attributes& attributes) {
    const std::string path = name.text();
    if (name.parts.empty()) {
        return {}; // the target is the caller's
    }
    TRY_ASSIGN(const int parent, parent_of(name, true));
    const std::string& last = name.parts.back();
    struct stat info{};
    if (::fstatat(parent, last.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        TRY(make_directory(parent, last, path));
    } else if (!S_ISDIR(info.st_mode)) {
        TRY(make_way(parent, last, path));
        TRY(make_directory(parent, last, path));
    }
    directories_.insert_or_assign(path, attributes);
    return {};
}

Result<Fd> Tree::file(const Name& name) {
    if (name.parts.empty()) {
        return is_the_root("a file");
    }
    TRY_ASSIGN(int parent, parent_of(name, true));
    TRY(count());
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const std::string& last = name.parts.back();
    Fd fd(::openat(parent, last.c_str(), flags, 0600));
    if (!fd && errno == EEXIST) {
        TRY(make_way(parent, last, name.text()));
        TRY_ASSIGN(parent, parent_of(name, true));
        fd.reset(::openat(parent, last.c_str(), flags, 0600));
    }
    if (!fd) {
        return cannot_make(name.text(), errno);
    }
    return fd;
}

Status Tree::close_file(Fd fd, const Attributes& attributes) {
    if (::fchmod(fd.get(), file_mode(attributes.mode)) != 0) {
        return fail_errno("set the permissions of a file", errno);
    }
    if (::futimens(fd.get(), Times(attributes.modified).pair) != 0) {
        return fail_errno("set the time of a file", errno);
    }
    // close(2) is where some file systems report that nothing was written after all.
    return ::close(fd.release()) == 0 ? Status() : Status(fail_errno("close a file", errno));
}

Status Tree::symbolic_link(const Name& name, const std::string& target, const Attributes& attributes) {
    if (name.parts.empty()) {
        return is_the_root("a symbolic link");
    }
    const std::string path = name.text();
    constexpr std::size_t longest_target = 4095; // PATH_MAX
    if (target.empty() || target.size() > longest_target) {
        return fail(bad_archive(std::format("the symbolic link {} in the archive has {} target",
                                            printable_name(path), target.empty() ? "no" : "too long a"),
                                "pack the archive again"));
    }
    TRY_ASSIGN(int parent, parent_of(name, true));
    TRY(count());
    const std::string& last = name.parts.back();
    int rc = ::symlinkat(target.c_str(), parent, last.c_str());
    if (rc != 0 && errno == EEXIST) {
        TRY(make_way(parent, last, path));
        TRY_ASSIGN(parent, parent_of(name, true));
        rc = ::symlinkat(target.c_str(), parent, last.c_str());
    }
    if (rc != 0) {
        return cannot_make(path, errno);
    }
    // Not every file system keeps times of links; nobody depends on them.
    static_cast<void>(
        ::utimensat(parent, last.c_str(), Times(attributes.modified).pair, AT_SYMLINK_NOFOLLOW));
    return {};
}

Status Tree::hard_link(const Name& name, const Name& target) {
    if (name.parts.empty()) {
        return is_the_root("a hard link");
    }
    if (name.parts == target.parts) {
        return {}; // some packers link a file to itself
    }
    const std::string path = name.text();
    const auto missing = [&](std::string_view what) {
        return fail(bad_archive(std::format("the archive links {} to {}, {}", printable_name(path),
                                            printable_name(target.text()), what),
                                "a hard link needs a regular file packed before it"));
    };
    if (target.parts.empty()) {
        return missing("which is no file");
    }
    Fd from;
    {
        auto directory = parent_of(target, false);
        if (!directory) {
            return missing("which is not in it");
        }
        from = Fd(::fcntl(*directory, F_DUPFD_CLOEXEC, 0));
    }
    struct stat info{};
    if (!from || ::fstatat(from.get(), target.parts.back().c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return missing("which is not in it");
    }
    if (!S_ISREG(info.st_mode)) {
        return missing("which is no regular file");
    }
    TRY_ASSIGN(int parent, parent_of(name, true));
    TRY(count());
    const std::string& last = name.parts.back();
    int rc = ::linkat(from.get(), target.parts.back().c_str(), parent, last.c_str(), 0);
    if (rc != 0 && errno == EEXIST) {
        TRY(make_way(parent, last, path));
        TRY_ASSIGN(parent, parent_of(name, true));
        rc = ::linkat(from.get(), target.parts.back().c_str(), parent, last.c_str(), 0);
    }
    return rc == 0 ? Status() : Status(cannot_make(path, errno));
}

Status Tree::finish() {
    way_.clear();
    // Inner ones first: setting an outer one's permissions and time afterwards changes nothing inside.
    for (auto entry = directories_.rbegin(); entry != directories_.rend(); ++entry) {
        const auto name = parse_name(entry->first, Separators::slash, 0);
        if (!name) {
            return fail(name.error());
        }
        TRY_ASSIGN(const int parent, parent_of(*name, false));
        const Fd fd(::openat(parent, name->parts.back().c_str(), directory_flags));
        const Attributes& attributes = entry->second;
        if (!fd || ::fchmod(fd.get(), directory_mode(attributes.mode)) != 0 ||
            ::futimens(fd.get(), Times(attributes.modified).pair) != 0) {
            return fail_errno("set permissions and time of " + printable_name(entry->first), errno);
        }
    }
    directories_.clear();
    way_.clear();
    return {};
}

} // namespace slipway::archive
