#include "base/stop.hpp"

#include "base/fd.hpp"

#include <cstdint>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace slipway {

namespace detail {
struct StopState {
    Fd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    // kind in the high half, signal in the low: one word, so that a reader never sees half a reason.
    std::atomic<std::uint32_t> word{0};
};
} // namespace detail

StopReason StopToken::reason() const noexcept {
    if (!state_) {
        return {};
    }
    const std::uint32_t word = state_->word.load(std::memory_order_acquire);
    return {.kind = static_cast<StopReason::Kind>(word >> 16U), .signal = static_cast<int>(word & 0xffffU)};
}

int StopToken::fd() const noexcept {
    return state_ ? state_->event.get() : -1;
}

bool StopToken::wait_for(std::chrono::milliseconds duration) const {
    const auto until = std::chrono::steady_clock::now() + duration;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (requested() || left.count() <= 0) {
            return requested();
        }
        pollfd event{.fd = fd(), .events = POLLIN, .revents = 0}; // poll ignores a negative fd
        ::poll(&event, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    }
}

Error StopToken::error() const {
    const StopReason why = reason();
    if (why.kind == StopReason::Kind::deadline) {
        return make_error(ErrorClass::resource, code::deadline,
                          "the step did not finish within its time limit",
                          "raise --timeout, or find out what takes so long");
    }
    const char* name = why.signal > 0 ? ::sigabbrev_np(why.signal) : nullptr;
    return make_error(ErrorClass::cancelled, code::cancelled,
                      name != nullptr ? std::string("stopped by SIG") + name : std::string("stopped"));
}

StopSource::StopSource() : state_(std::make_shared<detail::StopState>()) {}

void StopSource::request(StopReason reason) noexcept {
    std::uint32_t expected = 0;
    const std::uint32_t word =
        (static_cast<std::uint32_t>(reason.kind) << 16U) | static_cast<std::uint32_t>(reason.signal & 0xffff);
    if (state_->word.compare_exchange_strong(expected, word, std::memory_order_acq_rel)) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t n = ::write(state_->event.get(), &one, sizeof one);
    }
}

} // namespace slipway
