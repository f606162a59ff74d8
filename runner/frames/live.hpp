// A stream of frames on a terminal while it is being written: log lines scroll, a status area at the bottom
// shows the phase, running commands, transfers and the state of the pod.
//
// In: consume(line) from the thread that writes frames, tick(now) about ten times a second from any thread;
// all members may be called at once. Out: one call of the sink per update, at most ten updates a second (more
// only if over 64 KiB of log came in between). The cursor rests at the start of the status area, so a
// resize, with or without re-flow, never makes it erase a log line.
// Where the output is no terminal (`size` gives nothing) this is a Renderer without colour and no more.
// The sink is called under the view's lock: it must not call back.
#pragma once

#include "frames/render.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace slipway::frames {

struct TerminalSize {
    int columns = 80;
    int rows = 24;
    bool operator==(const TerminalSize&) const = default;
};

/// Size of the terminal `fd` (TIOCGWINSZ; 80×24 where it does not know), or nothing if it is none or if
/// TERM is unset or "dumb".
std::optional<TerminalSize> terminal_size(int fd);

struct LiveOptions {
    RenderOptions render{.colour = true}; ///< `width` is taken from the terminal
    /// Asked before each redraw. No function, or no answer at construction = not a terminal. Usually
    /// `[] { return terminal_size(STDOUT_FILENO); }`.
    std::function<std::optional<TerminalSize>()> size;
};

class LiveView {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    LiveView(LiveOptions options, TextSink sink);
    /// Calls finish() if nobody has.
    ~LiveView();
    LiveView(const LiveView&) = delete;
    LiveView& operator=(const LiveView&) = delete;

    /// The next line, with or without its newline.
    void consume(std::string_view line, TimePoint now = std::chrono::steady_clock::now());

    /// Lets time pass: redraws if something changed or a clock on display moved on.
    void tick(TimePoint now);

    /// Erases the status area, gives the cursor back and writes what Renderer::finish() writes. Once.
    void finish();

    [[nodiscard]] StreamOutcome outcome() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace slipway::frames
