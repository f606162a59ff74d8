#include "frames/check_rules.hpp"

#include <array>

namespace slipway::frames {

namespace {

using Type = ReadValue::Type;

constexpr bool yes = true;
constexpr bool no = false;

constexpr std::string_view class_names = "usage build auth network registry pod resource internal cancelled";

// docs/frames.md as a table. A new optional member of an old kind needs no row.
constexpr auto rules = std::to_array<Rule>({
    {"hello", "protocol", Want::ordinal, yes},
    {"hello", "version", Want::filled, yes},
    {"hello", "build_id", Want::string, yes},
    {"hello", "attempt", Want::ordinal, yes},
    {"hello", "does", Want::string, yes},
    {"hello", "recipe", Want::object, no},
    {"hello", "recipe.name", Want::filled, yes},
    {"hello", "recipe.isolation", Want::string, no},
    {"hello", "recipe.reason", Want::string, no},
    {"hello", "storage", Want::object, no},
    {"hello", "storage.driver", Want::filled, yes},
    {"hello", "storage.path", Want::string, no},
    {"hello", "limits", Want::object, yes},
    {"hello", "limits.timeout_ms", Want::count, no},
    {"hello", "limits.grace_ms", Want::count, no},
    {"hello", "limits.heartbeat_ms", Want::count, no},
    {"hello", "limits.log_budget", Want::count, no},
    {"hello", "limits.memory", Want::count, no},
    {"hello", "limits.storage", Want::count, no},
    {"hello", "limits.processes", Want::count, no},
    {"phase", "name", Want::string, yes, phase_names},
    {"phase", "registry", Want::string, no},
    {"phase", "image", Want::string, no},
    {"phase", "tag", Want::string, no},
    {"phase", "digest", Want::string, no},
    {"phase", "username", Want::string, no},
    {"command", "n", Want::ordinal, yes},
    {"command", "of", Want::ordinal, yes},
    {"command", "stage", Want::string, no},
    {"command", "line", Want::ordinal, no},
    {"command", "text", Want::string, yes},
    {"command", "state", Want::string, yes, "started cached done failed"},
    {"command", "duration_ms", Want::count, no},
    {"command", "trust", Want::string, yes, "writer text"},
    {"log", "stream", Want::string, yes, "out err"},
    {"log", "n", Want::ordinal, no},
    {"log", "text", Want::string, yes},
    {"log", "more", Want::boolean, no},
    {"log", "dropped", Want::ordinal, no},
    {"log", "tail", Want::boolean, no},
    {"progress", "what", Want::filled, yes},
    {"progress", "id", Want::string, no},
    {"progress", "current", Want::count, yes},
    {"progress", "total", Want::count, no},
    {"progress", "unit", Want::string, yes, "bytes objects commands layers"},
    {"heartbeat", "elapsed_ms", Want::count, yes},
    {"heartbeat", "memory", Want::count, no},
    {"heartbeat", "memory_limit", Want::count, no},
    {"heartbeat", "storage_free", Want::count, no},
    {"heartbeat", "inodes_free", Want::count, no},
    {"warning", "code", Want::filled, yes},
    {"warning", "message", Want::filled, yes},
    {"warning", "hint", Want::string, no},
    {"warning", "rule", Want::string, no},
    {"warning", "where", Want::object, no},
    {"warning", "where.file", Want::string, yes},
    {"warning", "where.line", Want::count, no},
    {"warning", "where.column", Want::count, no},
    {"warning", "where.quote", Want::string, no},
    {"image", "id", Want::string, yes},
    {"image", "digest", Want::filled, yes},
    {"image", "config_digest", Want::string, no},
    {"image", "media_type", Want::string, no},
    {"image", "platform", Want::string, no},
    {"image", "size", Want::count, yes},
    {"image", "layers", Want::count, yes},
    {"image", "base_images", Want::array, yes},
    {"layer", "digest", Want::filled, yes},
    {"layer", "size", Want::count, yes},
    {"layer", "media_type", Want::string, yes},
    {"layer", "from", Want::string, yes, "base own"},
    {"result", "name", Want::filled, yes},
    {"result", "value", Want::string, yes},
    {"timing", "what", Want::filled, yes},
    {"timing", "start", Want::time, yes},
    {"timing", "duration_ms", Want::count, yes},
    {"timing", "cpu_ms", Want::count, no},
    {"timing", "peak_memory", Want::count, no},
    {"timing", "bytes", Want::count, no},
    {"error", "code", Want::filled, yes},
    {"error", "class", Want::string, yes, class_names},
    {"error", "message", Want::filled, yes},
    {"error", "cause", Want::string, no},
    {"error", "hint", Want::string, no},
    {"error", "where", Want::object, no},
    {"error", "where.file", Want::string, yes},
    {"error", "where.line", Want::count, no},
    {"error", "where.column", Want::count, no},
    {"error", "where.quote", Want::string, no},
    {"error", "exit", Want::count, yes},
    {"error", "child_exit", Want::integer, no},
    {"error", "output", Want::array, no},
    {"error", "duration_ms", Want::count, no},
    {"error", "peak_memory", Want::count, no},
    {"reproduce", "command", Want::filled, yes},
    {"reproduce", "more", Want::boolean, no},
    {"end", "status", Want::string, yes, "succeeded failed cancelled"},
    {"end", "exit", Want::count, yes},
    {"end", "totals", Want::object, yes},
    {"end", "totals.frames", Want::count, yes},
    {"end", "totals.dropped", Want::count, yes},
    {"end", "totals.redactions", Want::count, yes},
    {"end", "archive", Want::string, no},
});

} // namespace

std::span<const Rule> frame_rules() noexcept {
    return rules;
}

bool listed(std::string_view words, std::string_view word) {
    while (!words.empty()) {
        const std::size_t space = words.find(' ');
        if (words.substr(0, space) == word) {
            return true;
        }
        words.remove_prefix(space == std::string_view::npos ? words.size() : space + 1);
    }
    return false;
}

std::string_view describe(Want want) {
    constexpr std::array<std::string_view, 9> names{"a string",
                                                    "a string that is not empty",
                                                    "an integer of 0 or more",
                                                    "an integer of 1 or more",
                                                    "an integer",
                                                    "true or false",
                                                    "an object",
                                                    "an array",
                                                    "a time like 2026-11-22T07:45:03.118Z"};
    return names.at(static_cast<std::size_t>(want));
}

bool fits(Want want, const ReadValue& value) {
    switch (want) {
    case Want::string: return value.type == Type::string;
    case Want::filled: return value.type == Type::string && !value.string.empty();
    case Want::count: return value.type == Type::integer && value.integer >= 0;
    case Want::ordinal: return value.type == Type::integer && value.integer >= 1;
    case Want::integer: return value.type == Type::integer;
    case Want::boolean: return value.type == Type::boolean;
    case Want::object: return value.type == Type::object;
    case Want::array: return value.type == Type::array;
    case Want::time: return value.type == Type::string && parse_utc(value.string).has_value();
    }
    return false;
}

} // namespace slipway::frames
