#include "base/retry.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <random>
#include <string>

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

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value,
                                                      std::chrono::system_clock::time_point now) {
    using std::chrono::seconds;
    constexpr seconds most{3600};
    const auto first = value.find_first_not_of(" \t");
    if (first == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string text(value.substr(first, value.find_last_not_of(" \t\r\n") - first + 1));
    long long number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec == std::errc::result_out_of_range) {
        return text.starts_with('-') ? seconds(0) : most;
    }
    if (ec == std::errc() && end == text.data() + text.size()) {
        return seconds(std::clamp<long long>(number, 0, most.count()));
    }
    std::tm parts{};
    if (::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) == nullptr) {
        return std::nullopt;
    }
    const auto when = std::chrono::system_clock::from_time_t(::timegm(&parts));
    return std::clamp(std::chrono::ceil<seconds>(when - now), seconds(0), most);
}

double random_unit() {
    static thread_local std::mt19937_64 generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

} // namespace slipway
