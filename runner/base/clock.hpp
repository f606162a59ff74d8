// Time: the clock as a port, and durations as people write them.
#pragma once

#include "base/result.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace slipway {

using Milliseconds = std::chrono::milliseconds;

/// What time it is. Tests hand in a fake.
class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual std::chrono::system_clock::time_point now() const = 0;
    [[nodiscard]] virtual std::chrono::steady_clock::time_point steady() const = 0;
};

class SystemClock final : public Clock {
  public:
    [[nodiscard]] std::chrono::system_clock::time_point now() const override {
        return std::chrono::system_clock::now();
    }
    [[nodiscard]] std::chrono::steady_clock::time_point steady() const override {
        return std::chrono::steady_clock::now();
    }
};

/// RFC 3339 in UTC with milliseconds: "2026-11-22T07:45:03.118Z".
std::string format_utc(std::chrono::system_clock::time_point time);

/// "1h30m", "10s", "250ms", "0", or a bare number of seconds. At most 365 days. Error: class usage.
Result<Milliseconds> parse_duration(std::string_view text);

/// Shortest exact form parse_duration reads back: "1h30m", "10s", "250ms", "0s".
std::string format_duration(Milliseconds duration);

/// For people, rounded: "0.4s", "12.3s", "3m05s", "1h02m".
std::string humane_duration(Milliseconds duration);

/// For people: "0 B", "999 B", "1.5 KiB", "54 MiB".
std::string humane_bytes(std::uint64_t bytes);

} // namespace slipway
