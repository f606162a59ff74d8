#include "frames/output.hpp"

#include <cerrno>
#include <csignal>
#include <poll.h>
#include <unistd.h>

namespace slipway::frames {

FdOutput::FdOutput(int fd) noexcept : fd_(fd) {
    struct sigaction current{};
    if (::sigaction(SIGPIPE, nullptr, &current) == 0 && (current.sa_flags & SA_SIGINFO) == 0 &&
        current.sa_handler == SIG_DFL) {
        struct sigaction ignore{};
        ignore.sa_handler = SIG_IGN;
        ::sigaction(SIGPIPE, &ignore, nullptr);
    }
}

void FdOutput::write(std::string_view line) {
    while (!line.empty() && !broken()) {
        const ssize_t written = ::write(fd_, line.data(), line.size());
        if (written >= 0) {
            line.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
            ::poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            error_.store(errno, std::memory_order_relaxed);
        }
    }
}

} // namespace slipway::frames
