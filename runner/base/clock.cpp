#include "base/clock.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <format>

namespace slipway {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t milliseconds;
};

constexpr std::array<Unit, 5> units{{{.name = "d", .milliseconds = 86'400'000},
                                     {.name = "h", .milliseconds = 3'600'000},
                                     {.name = "m", .milliseconds = 60'000},
                                     {.name = "s", .milliseconds = 1'000},
                                     {.name = "ms", .milliseconds = 1}}};

constexpr std::int64_t longest_ms = 365LL * 86'400'000;

std::unexpected<Error> not_a_duration(std::string_view text) {
    return fail_usage(std::format("'{}' is not a duration", text), "write it like 90s, 10m, 1h30m or 250ms");
}

} // namespace

std::string format_utc(std::chrono::system_clock::time_point time) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(time);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(ms);
    return std::format("{:%FT%T}.{:03}Z", seconds, (ms - seconds).count());
}

Result<Milliseconds> parse_duration(std::string_view text) {
    std::string_view rest = text;
    std::int64_t total = 0;
    bool any = false;
    while (!rest.empty()) {
        std::int64_t number = 0;
        const auto [end, ec] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
        if (ec != std::errc() || number < 0 || number > longest_ms) {
            return not_a_duration(text);
        }
        rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
        const auto name = rest.substr(0, rest.find_first_of("0123456789"));
        const Unit* unit = nullptr;
        for (const Unit& candidate : units) {
            if (candidate.name == name || (name.empty() && candidate.name == "s" && !any)) {
                unit = &candidate;
            }
        }
        if (unit == nullptr) {
            return not_a_duration(text);
        }
        rest.remove_prefix(name.size());
        any = true;
        if (number > (longest_ms - total) / unit->milliseconds) {
            return not_a_duration(text);
        }
        total += number * unit->milliseconds;
    }
    if (!any) {
        return not_a_duration(text);
    }
    return Milliseconds(total);
}

std::string format_duration(Milliseconds duration) {
    std::int64_t left = duration.count();
    std::string text;
    for (const Unit& unit : units) {
        if (unit.name != "d" && left >= unit.milliseconds) {
            text += std::to_string(left / unit.milliseconds) + std::string(unit.name);
            left %= unit.milliseconds;
        }
    }
    return text.empty() ? "0s" : text;
}

std::string humane_duration(Milliseconds duration) {
    const std::int64_t seconds = (duration.count() + 500) / 1000;
    if (duration < std::chrono::minutes(1)) {
        return std::format("{:.1f}s", static_cast<double>(duration.count()) / 1000.0);
    }
    if (seconds < 3600) {
        return std::format("{}m{:02}s", seconds / 60, seconds % 60);
    }
    return std::format("{}h{:02}m", seconds / 3600, seconds % 3600 / 60);
}

std::string humane_bytes(std::uint64_t bytes) {
    if (bytes < 1024) {
        return std::format("{} B", bytes);
    }
    constexpr std::array<std::string_view, 5> names{"KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1023.95 && unit + 1 < names.size()) {
        value /= 1024;
        ++unit;
    }
    return value < 9.95 ? std::format("{:.1f} {}", value, names.at(unit))
                        : std::format("{:.0f} {}", value, names.at(unit));
}

} // namespace slipway
