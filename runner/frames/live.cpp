#include "frames/live.hpp"

#include "base/clock.hpp"
#include "frames/page.hpp"
#include "frames/terminal_text.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <format>
#include <map>
#include <mutex>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace slipway::frames {

namespace {

constexpr std::chrono::milliseconds redraw_interval{100};
constexpr std::chrono::milliseconds spinner_interval{250};
constexpr std::size_t most_scroll = std::size_t{64} << 10U;
constexpr std::size_t most_shown = 4; ///< commands, and transfers
constexpr std::size_t most_known = 1000;
constexpr std::size_t bar_columns = 20;

constexpr std::array<std::string_view, 4> spinner{"◐", "◓", "◑", "◒"};
constexpr std::array<std::string_view, 4> ascii_spinner{"|", "/", "-", "\\"};

constexpr std::string_view to_start = "\r";
constexpr std::string_view erase_line_end = "\x1b[K";
constexpr std::string_view erase_below = "\x1b[J";
constexpr std::string_view hide_cursor = "\x1b[?25l";
constexpr std::string_view show_cursor = "\x1b[?25h";
constexpr std::string_view no_line_wrap = "\x1b[?7l";
constexpr std::string_view line_wrap = "\x1b[?7h";

/// Whole seconds, so that the status area moves once a second and not ten times.
std::string ticking(LiveView::TimePoint::duration elapsed) {
    const auto seconds = std::max<std::int64_t>(std::chrono::floor<std::chrono::seconds>(elapsed).count(), 0);
    return seconds < 60 ? std::format("{}s", seconds) : humane_duration(std::chrono::seconds(seconds));
}

} // namespace

std::optional<TerminalSize> terminal_size(int fd) {
    // Read once, by whoever builds the view, before there are threads that could change it.
    const char* term = std::getenv("TERM");
    if (::isatty(fd) != 1 || term == nullptr || *term == '\0' || std::string_view(term) == "dumb") {
        return std::nullopt;
    }
    winsize size{};
    TerminalSize result;
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        result = {.columns = size.ws_col, .rows = size.ws_row};
    }
    return result;
}

struct LiveView::Impl {
    struct Running {
        std::string label;
        std::string text;
        TimePoint since;
    };
    struct Sample {
        TimePoint at;
        std::uint64_t current = 0;
    };
    struct Transfer {
        std::pair<std::string, std::string> key;
        std::string name;
        std::uint64_t current = 0;
        std::optional<std::uint64_t> total;
        std::string unit;
        Sample older; ///< the rate is measured from here
        Sample newer; ///< and from here once this is old enough
    };

    Impl(LiveOptions live_options, TextSink text_sink)
        : options(std::move(live_options)), sink(std::move(text_sink)), terminal(ask_size()),
          page(options.render), renderer(options.render, [this](std::string_view text) { print(text); }) {}

    /// True = there is a terminal; options.render is made to fit what there is.
    bool ask_size() {
        const auto answer = options.size ? options.size() : std::nullopt;
        if (answer) {
            size = usable(*answer);
            options.render.width = size.columns - 1;
        } else {
            options.render.colour = false;
            options.render.width = 0;
        }
        return answer.has_value();
    }

    static TerminalSize usable(TerminalSize size) {
        return {.columns = std::max(size.columns, 10), .rows = std::max(size.rows, 2)};
    }

    /// One column stays free: a character in the last one leaves terminals between two lines.
    void apply_width() {
        page.options().width = size.columns - 1;
        renderer.set_width(size.columns - 1);
    }

    void print(std::string_view text) {
        if (terminal) {
            scroll += text;
        } else {
            sink(text);
        }
    }

    void consume(std::string_view line, TimePoint now) {
        if (finished) {
            return;
        }
        renderer.consume(line);
        if (!terminal) {
            return;
        }
        if (is_frame_line(line)) {
            if (const auto frame = parse_frame(line)) {
                note(*frame, now);
            }
        }
        if (scroll.size() > most_scroll) {
            draw(now);
        } else {
            tick(now);
        }
    }

    void note(const ReadFrame& frame, TimePoint now) {
        if (frame.kind == "hello") {
            step = clean(frame.step);
            step_began = now;
            phase.clear();
            running.clear();
            transfers.clear();
            commands_done = commands_of = 0;
            pod.clear();
        } else if (frame.kind == "phase") {
            phase = clean(frame.text("name"));
            if (const std::string what = pull_name(frame); !what.empty()) {
                phase += " " + what;
            }
            transfers.clear();
        } else if (frame.kind == "command") {
            command(frame, now);
        } else if (frame.kind == "progress") {
            progress(frame, now);
        } else if (frame.kind == "heartbeat") {
            heartbeat(frame);
        } else if (frame.kind == "end") {
            step.clear();
            running.clear();
            transfers.clear();
        }
    }

    void command(const ReadFrame& frame, TimePoint now) {
        const std::int64_t n = frame.integer("n").value_or(0);
        commands_of = frame.integer("of").value_or(0);
        if (frame.text("state") != "started") {
            commands_done += running.erase(n) != 0 ? 1 : 0;
        } else if (running.size() < most_known) {
            running[n] = {.label = command_label(frame, page.marks()),
                          .text = clean(one_line(frame.text("text"))),
                          .since = now};
        }
    }

    void progress(const ReadFrame& frame, TimePoint now) {
        if (frame.text("unit") == "commands") {
            return;
        }
        auto key = std::pair(std::string(frame.text("what")), std::string(frame.text("id")));
        auto it = std::ranges::find(transfers, key, &Transfer::key);
        if (it == transfers.end()) {
            if (transfers.size() >= most_known) {
                return;
            }
            const std::string id = short_digest(frame.text("id"));
            transfers.push_back({.key = std::move(key),
                                 .name = clean(frame.text("what")) + (id.empty() ? "" : " ") + id,
                                 .current = 0,
                                 .total = std::nullopt,
                                 .unit = clean(frame.text("unit")),
                                 .older = {.at = now},
                                 .newer = {.at = now}});
            it = std::prev(transfers.end());
            it->older.current = it->newer.current = frame.size("current").value_or(0);
        }
        it->current = frame.size("current").value_or(0);
        it->total = frame.size("total");
        if (now - it->newer.at >= std::chrono::seconds(3)) {
            it->older = std::exchange(it->newer, {.at = now, .current = it->current});
        }
        if (it->total && it->current >= *it->total) {
            transfers.erase(it);
        }
    }

    void heartbeat(const ReadFrame& frame) {
        pod.clear();
        if (const auto memory = frame.size("memory")) {
            pod = "memory " + humane_bytes(*memory);
            if (const auto limit = frame.size("memory_limit"); limit && *limit > 0) {
                pod += " of " + humane_bytes(*limit);
            }
        }
        if (const auto space = frame.size("storage_free")) {
            pod += (pod.empty() ? "" : std::string(page.marks().dot)) + humane_bytes(*space) + " free";
        }
    }

    // --- the status area -------------------------------------------------------------------------------

    /// `left` and, where there is room, `right` at the right edge.
    [[nodiscard]] std::string spread(const std::string& left, const std::string& right) const {
        const auto width = static_cast<std::size_t>(size.columns - 1);
        const std::size_t right_columns = columns_of(right);
        if (right_columns + 12 > width) {
            return shortened(left, width, page.marks().more);
        }
        const std::size_t room = width - right_columns - (right.empty() ? 0 : 2);
        std::string row = shortened(left, room, page.marks().more);
        if (!right.empty()) {
            row.append(width - right_columns - columns_of(row), ' ');
            row += right;
        }
        return row;
    }

    [[nodiscard]] std::string heading(TimePoint now) const {
        const auto turn = static_cast<std::size_t>((now - step_began) / spinner_interval) % spinner.size();
        std::string left =
            page.paint(Tone::accent, options.render.unicode ? spinner.at(turn) : ascii_spinner.at(turn));
        left += " " + page.paint(Tone::strong, step);
        if (!phase.empty()) {
            left += " " + page.paint(Tone::accent, phase);
        }
        if (commands_of > 0) {
            left += page.paint(Tone::faint, std::format("  {} of {} done", commands_done, commands_of));
        }
        left += "  " + ticking(now - step_began);
        const bool fits = columns_of(left) + columns_of(pod) + 3 < static_cast<std::size_t>(size.columns);
        return spread(left, fits ? page.paint(Tone::faint, pod) : "");
    }

    [[nodiscard]] std::string amount(const Transfer& it) const {
        const bool bytes = it.unit == "bytes";
        const auto number = [&](std::uint64_t value) {
            return bytes ? humane_bytes(value) : std::to_string(value);
        };
        std::string text = number(it.current);
        if (it.total) {
            text += " of " + number(*it.total);
        }
        return bytes || it.unit.empty() ? text : text + " " + it.unit;
    }

    [[nodiscard]] std::string transfer_row(const Transfer& it, TimePoint now) const {
        std::string right;
        if (it.total && *it.total > 0 && size.columns >= 72) {
            const double share =
                std::min(1.0, static_cast<double>(it.current) / static_cast<double>(*it.total));
            const auto full = static_cast<std::size_t>(share * static_cast<double>(bar_columns));
            std::string done;
            std::string rest;
            for (std::size_t i = 0; i < bar_columns; ++i) {
                (i < full ? done : rest) += i < full ? page.marks().bar : page.marks().bar_rest;
            }
            right += page.paint(Tone::accent, done) + page.paint(Tone::faint, rest) + "  ";
        }
        right += std::format("{:>18}", amount(it));
        std::string rate;
        const double seconds = std::chrono::duration<double>(now - it.older.at).count();
        if (it.unit == "bytes" && seconds >= 0.5 && it.current > it.older.current) {
            rate = humane_bytes(static_cast<std::uint64_t>(
                       static_cast<double>(it.current - it.older.current) / seconds)) +
                   "/s";
        }
        right += std::format("  {:>10}", rate);
        return spread("  " + it.name, right);
    }

    [[nodiscard]] std::vector<std::string> status_rows(TimePoint now) const {
        std::vector<std::string> rows;
        if (step.empty()) {
            return rows;
        }
        if (size.rows >= 8) {
            rows.emplace_back();
        }
        rows.push_back(heading(now));
        std::size_t shown = 0;
        for (const auto& [n, it] : running) {
            if (++shown > most_shown) {
                rows.push_back("  " +
                               page.paint(Tone::faint, std::format("{} {} more running", page.marks().more,
                                                                   running.size() - most_shown)));
                break;
            }
            rows.push_back(
                spread("  " + page.paint(Tone::faint, it.label) + " " + it.text, ticking(now - it.since)));
        }
        shown = 0;
        for (const Transfer& it : transfers) {
            if (++shown > most_shown) {
                rows.push_back("  " +
                               page.paint(Tone::faint, std::format("{} {} more transfers", page.marks().more,
                                                                   transfers.size() - most_shown)));
                break;
            }
            rows.push_back(transfer_row(it, now));
        }
        const auto most = static_cast<std::size_t>(size.rows - 1);
        if (rows.size() > most) {
            rows.resize(most);
        }
        return rows;
    }

    void tick(TimePoint now) {
        if (!terminal || finished || (drawn_once && now - last_draw < redraw_interval)) {
            return;
        }
        draw(now);
    }

    void draw(TimePoint now) {
        bool resized = false;
        if (const auto answer = options.size(); answer && usable(*answer) != size) {
            size = usable(*answer);
            apply_width();
            resized = true;
        }
        std::vector<std::string> rows = status_rows(now);
        if (scroll.empty() && !resized && rows == last_rows) {
            return;
        }
        // The cursor stands at the start of the area, so what lies at and below it is ours to overwrite,
        // however the terminal re-flowed it. Old text is erased first only where new lines scroll in.
        std::string out(drawn_once ? "" : hide_cursor);
        out += to_start;
        if (!scroll.empty() || resized) {
            out += erase_below;
            out += std::exchange(scroll, {});
        }
        out += no_line_wrap;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            out += i == 0 ? "" : "\r\n";
            out += rows[i];
            out += erase_line_end;
        }
        out += rows.size() < last_rows.size() ? erase_below : std::string_view();
        out += line_wrap;
        out += to_start;
        if (rows.size() > 1) {
            out += std::format("\x1b[{}A", rows.size() - 1);
        }
        last_rows = std::move(rows);
        last_draw = now;
        drawn_once = true;
        sink(out);
    }

    void finish() {
        if (std::exchange(finished, true)) {
            return;
        }
        renderer.finish();
        if (!terminal) {
            return;
        }
        std::string out;
        if (drawn_once) {
            out += to_start;
            out += erase_below;
        }
        out += std::exchange(scroll, {});
        out += drawn_once ? show_cursor : std::string_view();
        if (!out.empty()) {
            sink(out);
        }
    }

    mutable std::mutex mutex;
    LiveOptions options;
    TextSink sink;
    TerminalSize size;
    std::string scroll; ///< lines not yet written
    bool terminal;
    bool finished = false;
    Page page; ///< for its marks and tones
    Renderer renderer;

    std::string step; ///< empty between steps
    TimePoint step_began;
    std::string phase;
    std::map<std::int64_t, Running> running;
    std::vector<Transfer> transfers;
    std::int64_t commands_done = 0;
    std::int64_t commands_of = 0;
    std::string pod;

    bool drawn_once = false;
    TimePoint last_draw;
    std::vector<std::string> last_rows;
};

LiveView::LiveView(LiveOptions options, TextSink sink)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(sink))) {}

LiveView::~LiveView() {
    finish();
}

void LiveView::consume(std::string_view line, TimePoint now) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->consume(line, now);
}

void LiveView::tick(TimePoint now) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->tick(now);
}

void LiveView::finish() {
    const std::scoped_lock lock(impl_->mutex);
    impl_->finish();
}

StreamOutcome LiveView::outcome() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->renderer.outcome();
}

} // namespace slipway::frames
