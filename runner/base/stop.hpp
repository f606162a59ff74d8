// Being asked to stop: by a signal or by a deadline. One source, owned by main; everything that can wait
// holds a token and gives up soon after it fires.
#pragma once

#include "base/error.hpp"

#include <atomic>
#include <chrono>
#include <memory>

namespace slipway {

/// Why to stop. `signal` is the number received (SIGTERM, SIGINT, SIGHUP); a deadline has none.
struct StopReason {
    enum class Kind { none, signal, deadline } kind = Kind::none;
    int signal = 0;
};

namespace detail {
struct StopState;
}

/// Cheap to copy. A default-constructed token never fires.
class StopToken {
  public:
    StopToken() = default;

    [[nodiscard]] bool requested() const noexcept { return reason().kind != StopReason::Kind::none; }
    [[nodiscard]] StopReason reason() const noexcept;

    /// Descriptor that becomes readable when the token fires and stays so (never read it); -1 for a token
    /// that never fires. For poll(2) and event loops.
    [[nodiscard]] int fd() const noexcept;

    /// Sleeps for `duration` or until the token fires; true = it fired.
    [[nodiscard]] bool wait_for(std::chrono::milliseconds duration) const;

    /// The error a step ends with when it stops for this reason: `cancelled`, or resource/`deadline`.
    [[nodiscard]] Error error() const;

  private:
    friend class StopSource;
    explicit StopToken(std::shared_ptr<detail::StopState> state) : state_(std::move(state)) {}
    std::shared_ptr<detail::StopState> state_;
};

class StopSource {
  public:
    StopSource();
    /// The first request wins; later ones are ignored. Async-signal-safe.
    void request(StopReason reason) noexcept;
    [[nodiscard]] StopToken token() const { return StopToken(state_); }

  private:
    std::shared_ptr<detail::StopState> state_;
};

} // namespace slipway
