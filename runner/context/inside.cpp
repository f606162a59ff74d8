#include "context/inside.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipway::context {

Opened open_inside(int context, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<__u64>(static_cast<unsigned>(flags) | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const std::string& name = path.empty() ? "." : path;
    long fd = -1;
    do {
        fd = ::syscall(SYS_openat2, context, name.c_str(), &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN)); // EAGAIN: a rename raced with the walk
    return {.fd = Fd(static_cast<int>(fd)), .failure = fd < 0 ? errno : 0};
}

Kind kind_of(mode_t mode) noexcept {
    return S_ISREG(mode)   ? Kind::file
           : S_ISDIR(mode) ? Kind::directory
           : S_ISLNK(mode) ? Kind::symlink
                           : Kind::other;
}

Kind look_inside(int context, const std::string& path) {
    const Opened opened = open_inside(context, path, O_PATH | O_NOFOLLOW);
    struct stat info{};
    if (!opened.fd || ::fstat(opened.fd.get(), &info) != 0) {
        return Kind::missing;
    }
    return kind_of(info.st_mode);
}

std::string read_link(int context, const std::string& path) {
    const Opened opened = open_inside(context, path, O_PATH | O_NOFOLLOW);
    std::array<char, PATH_MAX> target{};
    const ssize_t length =
        opened.fd ? ::readlinkat(opened.fd.get(), "", target.data(), target.size()) : ssize_t{-1};
    return length <= 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(length));
}

} // namespace slipway::context
