#include "http/watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace slipway::http {

void Watch::add(int socket) {
    const std::lock_guard lock(mutex_);
    if (sockets_.size() >= 8) {
        sockets_.erase(sockets_.begin());
    }
    sockets_.emplace_back(::fcntl(socket, F_DUPFD_CLOEXEC, 0));
}

void Watch::cut() {
    const std::lock_guard lock(mutex_);
    for (const Fd& socket : sockets_) {
        ::shutdown(socket.get(), SHUT_RDWR);
    }
}

Watch::Guard::Guard(Watch& watch, const StopToken& stop, std::chrono::steady_clock::time_point deadline)
    : watch_(watch) {
    watch_.fired_ = false;
    const bool bounded = deadline != std::chrono::steady_clock::time_point::max();
    if (stop.fd() < 0 && !bounded) {
        return;
    }
    done_ = Fd(::eventfd(0, EFD_CLOEXEC));
    if (!done_) {
        return; // out of descriptors: the exchange itself will say so
    }
    // Signals are the main thread's business.
    sigset_t all{};
    sigset_t before{};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this, bounded, deadline, stop_fd = stop.fd()] {
        bool cutting = false;
        for (;;) {
            int timeout = -1;
            if (cutting) {
                // A socket made after the first cut has to be cut too.
                timeout = 100;
            } else if (bounded) {
                const auto left =
                    std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
                timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
            }
            std::array<pollfd, 2> waits{pollfd{done_.get(), POLLIN, 0},
                                        pollfd{cutting ? -1 : stop_fd, POLLIN, 0}};
            const int ready = ::poll(waits.data(), waits.size(), timeout);
            if (ready < 0 && errno != EINTR) {
                return;
            }
            if (waits[0].revents != 0) {
                return;
            }
            const bool late = bounded && std::chrono::steady_clock::now() >= deadline;
            if (cutting || late || (ready > 0 && waits[1].revents != 0)) {
                cutting = true;
                watch_.fired_ = true;
                watch_.cut();
            }
        }
    });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Watch::Guard::~Guard() {
    const int saved = errno;
    if (thread_.joinable()) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = ::write(done_.get(), &one, sizeof one);
        thread_.join();
    }
    const std::lock_guard lock(watch_.mutex_);
    if (watch_.sockets_.size() > 1) {
        watch_.sockets_.erase(watch_.sockets_.begin(), watch_.sockets_.end() - 1);
    }
    errno = saved;
}

} // namespace slipway::http
