#include "base/retry.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace slipway {

Milliseconds retry_delay(const RetryPolicy& policy, int next_try, const Error& error, double random) {
    const double whole =
        static_cast<double>(policy.first_delay.count()) * std::pow(policy.factor, next_try - 2);
    const double capped = std::min(whole, static_cast<double>(policy.longest_delay.count()));
    Milliseconds delay(static_cast<std::int64_t>(capped * (0.5 + random / 2)));
    if (error.retry_after) {
        delay = std::max<Milliseconds>(delay, *error.retry_after);
    }
    return std::min(delay, policy.longest_delay);
}

double random_unit() {
    static thread_local std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

} // namespace slipway
