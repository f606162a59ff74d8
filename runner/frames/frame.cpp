#include "frames/frame.hpp"

#include <array>

namespace slipway::frames {

namespace {

template <class Enum, std::size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, Enum value) noexcept {
    const auto index = static_cast<std::size_t>(value);
    return index < N ? names[index] : std::string_view("unknown");
}

struct KindName {
    std::string_view operator()(const Hello&) const noexcept { return "hello"; }
    std::string_view operator()(const Phase&) const noexcept { return "phase"; }
    std::string_view operator()(const Command&) const noexcept { return "command"; }
    std::string_view operator()(const Log&) const noexcept { return "log"; }
    std::string_view operator()(const Progress&) const noexcept { return "progress"; }
    std::string_view operator()(const Heartbeat&) const noexcept { return "heartbeat"; }
    std::string_view operator()(const Warning&) const noexcept { return "warning"; }
    std::string_view operator()(const Image&) const noexcept { return "image"; }
    std::string_view operator()(const Layer&) const noexcept { return "layer"; }
    std::string_view operator()(const ResultFrame&) const noexcept { return "result"; }
    std::string_view operator()(const Timing&) const noexcept { return "timing"; }
    std::string_view operator()(const Reproduce&) const noexcept { return "reproduce"; }
    std::string_view operator()(const ErrorFrame&) const noexcept { return "error"; }
    std::string_view operator()(const End&) const noexcept { return "end"; }
};

} // namespace

std::string_view to_string(Lane lane) noexcept {
    return lane == Lane::err ? "err" : "out";
}

std::string_view to_string(PhaseName name) noexcept {
    static constexpr std::array<std::string_view, 8> names{"unpacking",     "pulling",  "checking-cache",
                                                           "priming-cache", "building", "pushing",
                                                           "complete",      "error"};
    return name_in(names, name);
}

std::string_view to_string(CommandState state) noexcept {
    static constexpr std::array<std::string_view, 4> names{"started", "cached", "done", "failed"};
    return name_in(names, state);
}

std::string_view to_string(Trust trust) noexcept {
    return trust == Trust::writer ? "writer" : "text";
}

std::string_view to_string(Unit unit) noexcept {
    static constexpr std::array<std::string_view, 4> names{"bytes", "objects", "commands", "layers"};
    return name_in(names, unit);
}

std::string_view to_string(LayerOrigin origin) noexcept {
    return origin == LayerOrigin::base ? "base" : "own";
}

std::string_view to_string(EndStatus status) noexcept {
    static constexpr std::array<std::string_view, 3> names{"succeeded", "failed", "cancelled"};
    return name_in(names, status);
}

std::string_view kind_of(const Payload& payload) noexcept {
    return std::visit(KindName{}, payload);
}

ErrorFrame ErrorFrame::from(const Error& error, int signal) {
    ErrorFrame frame;
    frame.code = error.code;
    frame.klass = error.klass;
    frame.message = error.message;
    frame.cause = error.cause;
    frame.hint = error.hint;
    frame.where = error.where;
    frame.exit = error.klass == ErrorClass::cancelled ? 128 + signal : exit_status(error.klass);
    frame.child_exit = error.child_exit;
    return frame;
}

} // namespace slipway::frames
