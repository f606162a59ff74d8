#include "base/fd.hpp"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace slipway {

void Fd::reset(int fd) noexcept {
    if (fd_ >= 0) {
        ::close(fd_);
    }
    fd_ = fd;
}

Status write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno == EAGAIN) {
            pollfd wait{.fd = fd, .events = POLLOUT, .revents = 0};
            ::poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return fail_errno("write", errno);
        }
    }
    return {};
}

Result<std::string> read_all(int fd, std::size_t limit) {
    std::string content;
    std::array<char, 64 * 1024> chunk{};
    for (;;) {
        const ssize_t n = ::read(fd, chunk.data(), chunk.size());
        if (n == 0) {
            return content;
        }
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail_errno("read", errno);
        }
        if (content.size() + static_cast<std::size_t>(n) > limit) {
            return fail(ErrorClass::build, code::context_issue,
                        "file is larger than the " + std::to_string(limit) + " bytes allowed here");
        }
        content.append(chunk.data(), static_cast<std::size_t>(n));
    }
}

} // namespace slipway
