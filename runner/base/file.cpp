#include "base/file.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipway {

namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& path, std::size_t limit) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        const int err = errno;
        Error error = errno_error(path.string(), err);
        error.klass = ErrorClass::usage;
        error.code = code::missing_or_invalid_argument;
        error.message = "cannot read " + path.string();
        return fail(std::move(error));
    }
    return read_all(fd.get(), limit);
}

Status write_file_atomic(const fs::path& path, std::string_view content, mode_t mode) {
    std::string temporary = path.string() + ".XXXXXX";
    Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
    if (!fd) {
        return fail_errno("create " + path.string(), errno);
    }
    Status status = write_all(fd.get(), content);
    if (status && ::fchmod(fd.get(), mode) != 0) {
        status = fail_errno("chmod " + path.string(), errno);
    }
    // close(2) is where some file systems report that nothing was written after all.
    if (status && ::close(fd.release()) != 0) {
        status = fail_errno("close " + path.string(), errno);
    }
    if (status && ::rename(temporary.c_str(), path.c_str()) != 0) {
        status = fail_errno("rename to " + path.string(), errno);
    }
    if (!status) {
        ::unlink(temporary.c_str());
    }
    return status;
}

Status make_directories(const fs::path& path, mode_t mode) {
    if (path.empty() || ::mkdir(path.c_str(), mode) == 0) {
        return {};
    }
    if (errno == ENOENT && path.has_parent_path() && path.parent_path() != path) {
        TRY(make_directories(path.parent_path(), mode));
        if (::mkdir(path.c_str(), mode) == 0) {
            return {};
        }
    }
    if (errno == EEXIST) {
        std::error_code ignored;
        if (fs::is_directory(path, ignored)) {
            return {};
        }
        errno = ENOTDIR;
    }
    return fail_errno("create directory " + path.string(), errno);
}

Result<Fd> open_beneath(int root, const fs::path& relative, int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<__u64>(static_cast<unsigned>(flags) | O_CLOEXEC);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    long fd = -1;
    do {
        fd = ::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN)); // EAGAIN: a rename raced with the walk
    if (fd >= 0) {
        return Fd(static_cast<int>(fd));
    }
    const int err = errno;
    Error error = errno_error(relative.string(), err);
    if (err == EXDEV) {
        error = make_error(ErrorClass::build, code::context_issue,
                           relative.string() + " leaves the source directory",
                           "use paths inside the source; symbolic links may not point out of it");
    } else if (err == ENOENT || err == ENOTDIR || err == ELOOP || err == EACCES || err == EISDIR) {
        error.klass = ErrorClass::build;
        error.code = code::context_issue;
        error.message = "cannot open " + relative.string();
    }
    return fail(std::move(error));
}

Result<Fd> open_directory(const fs::path& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        return fail_errno(path.string(), errno);
    }
    return fd;
}

Result<TemporaryDirectory> TemporaryDirectory::create(std::string_view prefix, const fs::path& parent) {
    fs::path base = parent;
    if (base.empty()) {
        const char* tmpdir = std::getenv("TMPDIR");
        base = tmpdir != nullptr && *tmpdir != '\0' ? tmpdir : "/tmp";
    }
    std::string path = (base / (std::string(prefix) + "XXXXXX")).string();
    if (::mkdtemp(path.data()) == nullptr) {
        return fail_errno("create a temporary directory in " + base.string(), errno);
    }
    return TemporaryDirectory(path);
}

TemporaryDirectory& TemporaryDirectory::operator=(TemporaryDirectory&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
}

TemporaryDirectory::~TemporaryDirectory() {
    if (!path_.empty()) {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
}

} // namespace slipway
