// What Renderer remembers and does, shared by its two source files: render.cpp (steps, phases, errors, the
// end) and render_log.cpp (commands, log lines, transfers). Internal to this room.
#pragma once

#include "base/clock.hpp"
#include "frames/page.hpp"
#include "frames/render.hpp"

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace slipway::frames {

// What a stream can make us remember is bounded; past these, later ones are shown less well, never wrongly.
inline constexpr std::size_t most_entries = 5000;
inline constexpr std::size_t tail_lines = 200;
inline constexpr std::size_t tail_bytes = std::size_t{128} << 10U;

/// Last lines of a log that is shown only after a failure.
struct LogTail {
    std::deque<std::pair<bool, std::string>> lines; ///< stderr?, text
    std::size_t bytes = 0;
    std::uint64_t left_out = 0;

    void add(bool err, std::string text) {
        bytes += text.size();
        lines.emplace_back(err, std::move(text));
        while (lines.size() > tail_lines || (bytes > tail_bytes && lines.size() > 1)) {
            bytes -= lines.front().second.size();
            lines.pop_front();
            ++left_out;
        }
    }
};

struct Renderer::Impl {
    struct Command {
        std::string label; ///< "[2/9 app]"
        std::string text;
        std::optional<FrameTime> started;
        LogTail tail;
    };
    struct Transfer {
        FrameTime began;
        std::uint64_t current = 0;
        std::optional<std::uint64_t> total;
        std::string what;
        std::string id;
        std::string unit;
        bool shown = false;
    };
    /// An over-long line under way.
    struct Pieces {
        bool open = false;
        std::int64_t n = 0;
        std::string text;
    };
    struct Step {
        std::string name;
        FrameTime began;
        FrameTime last;
        bool open = false;
        bool command_failed = false;
        bool in_tail = false;
        bool memory_told = false;
        std::size_t span = 0; ///< index of the step's span
        std::string phase;
        FrameTime phase_began;
        std::map<std::int64_t, Command> commands;
        std::map<std::pair<std::string, std::string>, Transfer> transfers;
        std::array<Pieces, 2> pieces; ///< of stdout, of stderr
        LogTail tail;                 ///< of log without a command
        std::string reproduce;        ///< the line that repeats the build, as far as it came
        std::optional<ReadFrame> image;
        std::uint64_t own_layers = 0;
        std::uint64_t own_bytes = 0;
    };

    Impl(RenderOptions options, TextSink text_sink) : page(options), sink(std::move(text_sink)) {}

    void deliver();

    // lines

    void line(std::string_view text);
    void foreign(std::string_view text);
    void frame(const ReadFrame& frame);
    [[nodiscard]] std::string head(Tone tone, std::string_view mark) const;

    // steps and phases

    void hello(const ReadFrame& frame, FrameTime now);
    [[nodiscard]] std::string joined(const std::vector<std::string>& facts) const;
    void unended();
    void close_phase(FrameTime now);
    void phase(const ReadFrame& frame, FrameTime now);

    // commands and their log

    void command(const ReadFrame& frame, FrameTime now);
    void instruction(const std::string& begin, std::string_view text, Tone tone);
    void start_line(const Command& it, Tone tone);

    /// A started command whose line was held back.
    void flush_pending();
    void log(const ReadFrame& frame);

    /// Pieces whose end never came: of command `n`, or all.
    void flush_pieces(std::optional<std::int64_t> n);
    void log_line(bool err, std::int64_t n, std::string_view raw);
    void log_row(bool err, std::string_view text);
    void show_tail(LogTail& tail, std::int64_t n);

    // transfers, state of the pod

    void progress(const ReadFrame& frame, FrameTime now);
    void show_transfer(Transfer& transfer, FrameTime now);

    /// What never said it was complete, because its total was unknown.
    void flush_transfers(FrameTime now);
    void heartbeat(const ReadFrame& frame);

    // warnings, errors, ends

    void warning(const ReadFrame& frame);

    /// One of the named texts below a warning or error; each line of it on its own.
    void note(std::string_view name, std::string_view text);
    /// The member `where`, with the line quoted.
    void place(const ReadFrame& frame);
    void error(const ReadFrame& frame);

    /// The line of the Dockerfile with a caret below the column (1-based, in bytes).
    void quote(std::string_view text, std::int64_t number, std::int64_t column);
    void end(const ReadFrame& frame, FrameTime now);
    void image();
    [[nodiscard]] StreamOutcome outcome() const noexcept;
    void finish();

    /// Steps in order of their start, each followed by its phases, which were noted before the step's end.
    void order_spans();
    void closing_line();

    Page page;
    TextSink sink;
    Step step;
    std::optional<std::int64_t> pending; ///< command that started and is not shown yet
    std::int64_t section = 0;            ///< command whose lines were shown last
    std::vector<Span> spans;
    std::vector<std::pair<std::string, std::string>> results;
    std::optional<std::pair<std::string, std::int64_t>> known_build;
    std::string failed_step;
    std::string last_error_code;
    std::int64_t last_exit = 0;
    std::uint64_t line_number = 0;
    std::uint64_t steps_ended = 0;
    StreamOutcome worst = StreamOutcome::succeeded;
    bool any_frame = false;
    bool any_step = false;
    bool unsupported = false;
    bool finished = false;
};

} // namespace slipway::frames
