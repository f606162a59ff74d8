#include "base/log.hpp"

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

namespace slipway::log {

namespace {

spdlog::logger& logger() {
    static spdlog::logger instance = [] {
        spdlog::logger made("slipway", std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>());
        made.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ slipway %l: %v", spdlog::pattern_time_type::utc);
        made.set_level(spdlog::level::warn);
        return made;
    }();
    return instance;
}

} // namespace

void set_level(std::string_view name) {
    logger().set_level(spdlog::level::from_str(std::string(name == "warning" ? "warn" : name)));
}

void debug(std::string_view message) {
    logger().debug(message);
}

void warning(std::string_view message) {
    logger().warn(message);
}

} // namespace slipway::log
