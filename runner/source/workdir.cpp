#include "source/workdir.hpp"

#include "base/file.hpp"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::source {
namespace {

namespace fs = std::filesystem;

Error denied(const fs::path& path, int err) {
    Error error = errno_error(path.string(), err);
    if (err == EACCES || err == EPERM || err == EROFS) {
        error.klass = ErrorClass::pod;
        error.code = code::pod_forbids;
        error.message = "this user may not write " + path.string();
        error.hint =
            "set podTemplate.securityContext.fsGroup to a group of the step's user, or run the step as the "
            "owner of the volume; a read-only mount cannot take a source";
    }
    return error;
}

/// Gives the owner back the right to empty `name` and what is below it: caches of build tools hold
/// directories their owner may not write. Links are not followed. What does not work shows when it is
/// removed.
void unlock(int parent, const char* name, int depth) {
    constexpr int deepest = 128;
    const Fd handle(::openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!handle || depth > deepest) {
        return;
    }
    ::chmod(("/proc/self/fd/" + std::to_string(handle.get())).c_str(), 0700); // fchmod refuses O_PATH
    DIR* listing = nullptr;
    if (const int fd = ::openat(handle.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
        listing = ::fdopendir(fd);
    }
    if (listing == nullptr) {
        return;
    }
    while (const dirent* entry = ::readdir(listing)) {
        const std::string_view child = entry->d_name;
        if (child != "." && child != ".." && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)) {
            unlock(handle.get(), entry->d_name, depth + 1);
        }
    }
    ::closedir(listing);
}

} // namespace

Status empty_directory(const fs::path& directory, std::vector<std::string>& notes) {
    struct stat info{};
    if (::lstat(directory.c_str(), &info) != 0) {
        if (Status made = make_directories(directory); !made) {
            const std::string cause = made.error().cause;
            Error error = std::move(made).error();
            if (error.klass == ErrorClass::internal) {
                const int err = cause.contains("Permission denied")       ? EACCES
                                : cause.contains("Read-only file system") ? EROFS
                                                                          : 0;
                if (err != 0) {
                    error = denied(directory, err);
                }
            }
            return fail(std::move(error));
        }
    } else if (S_ISLNK(info.st_mode) || !S_ISDIR(info.st_mode)) {
        return fail_usage(directory.string() +
                              (S_ISLNK(info.st_mode) ? " is a symbolic link" : " is not a directory"),
                          "name a directory of its own for the source");
    }
    std::error_code failure;
    std::vector<fs::path> entries;
    for (fs::directory_iterator it(directory, failure), end; !failure && it != end; it.increment(failure)) {
        entries.push_back(it->path());
    }
    if (failure) {
        return fail(denied(directory, failure.value()));
    }
    for (const fs::path& entry : entries) {
        // libstdc++ walks by directory descriptors and O_NOFOLLOW: a link swapped in meanwhile leads nowhere.
        fs::remove_all(entry, failure);
        if (failure == std::errc::permission_denied) {
            unlock(AT_FDCWD, entry.c_str(), 0);
            fs::remove_all(entry, failure);
        }
        if (failure && entry.filename() == "lost+found") {
            notes.emplace_back("left lost+found in place: it belongs to the file system");
            continue;
        }
        if (failure) {
            return fail(denied(entry, failure.value()));
        }
    }
    if (::access(directory.c_str(), W_OK | X_OK) != 0) {
        return fail(denied(directory, errno));
    }
    return {};
}

} // namespace slipway::source
