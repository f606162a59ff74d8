// Trying again: only what is transient, with exponential back-off and full jitter.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/stop.hpp"

#include <functional>
#include <optional>
#include <string_view>

namespace slipway {

struct RetryPolicy {
    int retries = 3; ///< further tries after the first; 0 = none
    Milliseconds first_delay{1000};
    Milliseconds longest_delay{30'000}; ///< also bounds what a Retry-After may ask
    double factor = 2.0;
};

/// Told before each wait: the error, which try comes next (2, 3, …), of how many, after what delay.
using OnRetry = std::function<void(const Error& error, int next_try, int tries, Milliseconds delay)>;

/// Delay before try `next_try` (≥ 2): uniformly random in [half, whole] of the back-off, or what the other
/// side asked for if that is longer. `random` is in [0, 1).
Milliseconds retry_delay(const RetryPolicy& policy, int next_try, const Error& error, double random);

/// Value of a Retry-After header (RFC 9110, 10.2.3), seconds or a date, as what is left of it at `now`: from
/// nothing to an hour. Nothing understood: nullopt.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                      std::chrono::system_clock::time_point now);

/// A uniformly random number in [0, 1) from the system's generator.
double random_unit();

/// Calls `attempt` until it succeeds, fails for good (not transient), tries run out, or `stop` fires (then
/// the error is stop.error()).
template <class T>
Result<T> with_retries(const RetryPolicy& policy, const StopToken& stop, const OnRetry& on_retry,
                       const std::function<Result<T>()>& attempt) {
    for (int number = 1;; ++number) {
        Result<T> result = attempt();
        if (result || !result.error().transient || number > policy.retries) {
            return result;
        }
        const Milliseconds delay = retry_delay(policy, number + 1, result.error(), random_unit());
        if (on_retry) {
            on_retry(result.error(), number + 1, policy.retries + 1, delay);
        }
        if (stop.wait_for(delay)) {
            return fail(stop.error());
        }
    }
}

} // namespace slipway
