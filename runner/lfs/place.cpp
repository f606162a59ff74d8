#include "lfs/place.hpp"

#include "base/fd.hpp"

#include <array>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::lfs {

namespace fs = std::filesystem;

Result<bool> place(int root, const std::string& path, const fs::path& file) {
    Fd parent(::fcntl(root, F_DUPFD_CLOEXEC, 0));
    if (!parent) {
        return fail_errno("dup", errno);
    }
    std::string_view rest = path;
    for (std::size_t slash = 0; (slash = rest.find('/')) != std::string_view::npos;
         rest.remove_prefix(slash + 1)) {
        const std::string name(rest.substr(0, slash));
        if (name.empty() || name == "." || name == "..") {
            return false;
        }
        // Step by step: a path whose directory is a symbolic link is none that was checked out.
        Fd next(::openat(parent.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!next) {
            if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
                return false;
            }
            return fail_errno("open " + path, errno);
        }
        parent = std::move(next);
    }
    const std::string name(rest);
    struct stat before{};
    if (name.empty() || ::fstatat(parent.get(), name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(before.st_mode)) {
        return false;
    }
    before.st_mtim.tv_sec -= 1;
    const std::array<timespec, 2> times{before.st_atim, before.st_mtim};
    if (::chmod(file.c_str(), before.st_mode & 07777U) != 0 ||
        ::utimensat(AT_FDCWD, file.c_str(), times.data(), 0) != 0 ||
        ::renameat(AT_FDCWD, file.c_str(), parent.get(), name.c_str()) != 0) {
        return fail_errno("write " + path, errno);
    }
    return true;
}

Status copy_content(const fs::path& file, const fs::path& copy) {
    std::error_code failure;
    // The standard library's copy uses copy_file_range(2), which shares blocks where it can.
    if (!fs::copy_file(file, copy, failure)) {
        return fail_errno("copy to " + copy.string(), failure.value());
    }
    return {};
}

} // namespace slipway::lfs
