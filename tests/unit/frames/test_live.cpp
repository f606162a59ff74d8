#include "base/file.hpp"
#include "frames/live.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <format>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace slipway;
using namespace slipway::frames;

namespace {

using namespace std::chrono_literals;

/// The part of a VT100 the live view may use, and nothing else: an unknown sequence fails the test. Each cell
/// holds one UTF-8 character; `history` is what scrolled off the top.
class Terminal {
  public:
    Terminal(int columns, int rows) : columns_(columns), screen_(static_cast<std::size_t>(rows)) {}

    void write(std::string_view text) {
        for (std::size_t at = 0; at < text.size();) {
            const auto c = static_cast<unsigned char>(text[at]);
            if (c == 0x1b) {
                at += escape(text.substr(at));
            } else if (c == '\r') {
                column_ = 0;
                ++at;
            } else if (c == '\n') {
                column_ = 0; // a terminal in cooked mode turns line feed into both
                line_feed();
                ++at;
            } else {
                REQUIRE(c >= 0x20);
                const std::size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
                put(std::string(text.substr(at, length)));
                at += length;
            }
        }
    }

    [[nodiscard]] std::string line(std::size_t index) const { return joined(screen_.at(index)); }

    /// Everything ever shown: scrolled off, then the screen without empty lines at its end.
    [[nodiscard]] std::vector<std::string> all() const {
        std::vector<std::string> lines = history_;
        for (const auto& row : screen_) {
            lines.push_back(joined(row));
        }
        while (!lines.empty() && lines.back().empty()) {
            lines.pop_back();
        }
        return lines;
    }

    [[nodiscard]] std::string text() const {
        std::string text;
        for (const auto& line : all()) {
            text += line + "\n";
        }
        return text;
    }

    bool cursor_visible = true;
    bool wraps = true;

    /// As xterm does it: rows keep their place, what no longer fits is cut.
    void narrow(int columns) {
        columns_ = columns;
        for (auto& row : screen_) {
            row.resize(std::min(row.size(), static_cast<std::size_t>(columns)));
        }
    }

  private:
    using Row = std::vector<std::string>;

    static std::string joined(const Row& row) {
        std::string text;
        for (const auto& cell : row) {
            text += cell.empty() ? " " : cell;
        }
        while (text.ends_with(' ')) {
            text.pop_back();
        }
        return text;
    }

    void line_feed() {
        if (row_ + 1 < screen_.size()) {
            ++row_;
            return;
        }
        history_.push_back(joined(screen_.front()));
        screen_.erase(screen_.begin());
        screen_.emplace_back();
    }

    void put(const std::string& character) {
        if (column_ == columns_) {
            if (wraps) {
                column_ = 0;
                line_feed();
            } else {
                --column_;
            }
        }
        Row& row = screen_.at(row_);
        const auto at = static_cast<std::size_t>(column_);
        row.resize(std::max(row.size(), at + 1));
        row[at] = character;
        ++column_;
    }

    std::size_t escape(std::string_view text) {
        REQUIRE(text.starts_with("\x1b["));
        const std::size_t end = text.find_first_not_of("0123456789;?", 2);
        REQUIRE(end != std::string_view::npos);
        const std::string parameters(text.substr(2, end - 2));
        Row& row = screen_.at(row_);
        const auto here = static_cast<std::size_t>(std::min(column_, columns_ - 1));
        switch (text[end]) {
        case 'm': break;
        case 'A': row_ -= std::min(row_, static_cast<std::size_t>(std::stoi(parameters))); break;
        case 'K':
            REQUIRE(parameters.empty());
            row.resize(std::min(row.size(), here));
            break;
        case 'J':
            REQUIRE(parameters.empty());
            row.resize(std::min(row.size(), here));
            std::fill(screen_.begin() + static_cast<std::ptrdiff_t>(row_) + 1, screen_.end(), Row());
            break;
        case 'h':
        case 'l':
            REQUIRE((parameters == "?25" || parameters == "?7"));
            (parameters == "?25" ? cursor_visible : wraps) = text[end] == 'h';
            break;
        default: FAIL("unknown sequence ESC[" << parameters << text[end]);
        }
        return end + 1;
    }

    int columns_;
    std::vector<Row> screen_;
    std::vector<std::string> history_;
    std::size_t row_ = 0;
    int column_ = 0;
};

/// A live view on a terminal model, its clock turned by hand.
struct Stage {
    explicit Stage(TerminalSize first = {.columns = 80, .rows = 24}, RenderOptions render = {.colour = true})
        : size(first), terminal(first.columns, first.rows),
          view({.render = render, .size = [this] { return std::optional(size); }},
               [this](std::string_view text) {
                   ++updates;
                   terminal.write(text);
               }) {}

    void say(std::string_view kind, std::string_view payload, std::string_view step = "build") {
        const int number = ++seq;
        view.consume(
            std::format(
                R"({{"slipway":1,"seq":{0},"t":"2026-11-22T07:45:{1:02}.{2:03}Z","step":"{3}","kind":"{4}","{4}":{5}}})",
                number, (since.count() / 1000) % 60, since.count() % 1000, step, kind, payload),
            start + since);
    }
    void hello(std::string_view step = "build") {
        seq = 0;
        say("hello", R"({"protocol":1,"version":"0.1.0","build_id":"b","attempt":1})", step);
    }
    void wait(std::chrono::milliseconds time) {
        for (auto left = time; left > 0ms; left -= 100ms) {
            since += std::min(left, 100ms);
            view.tick(start + since);
        }
    }
    void log(std::string_view text, int n = 1) {
        say("log", std::format(R"({{"stream":"out","n":{},"text":"{}"}})", n, text));
    }
    void command(int n, std::string_view state) {
        say("command",
            std::format(R"({{"n":{},"of":9,"stage":"app","text":"RUN step {}","state":"{}"}})", n, n, state));
    }

    LiveView::TimePoint start{1000s};
    std::chrono::milliseconds since{0};
    int seq = 0;
    int updates = 0;
    TerminalSize size;
    Terminal terminal;
    LiveView view;
};

} // namespace

TEST_CASE("the status area shows phase, running commands, transfers and the pod below the log") {
    Stage stage;
    stage.hello();
    stage.say("phase", R"({"name":"building"})");
    stage.command(1, "started");
    stage.log("compiling");
    stage.say("progress", R"({"what":"pull","id":"layer","current":1048576,"total":4194304,"unit":"bytes"})");
    stage.wait(2s);
    stage.say("progress", R"({"what":"pull","id":"layer","current":3145728,"total":4194304,"unit":"bytes"})");
    stage.say("heartbeat", R"({"memory":1073741824,"memory_limit":4294967296,"storage_free":8589934592})");
    stage.wait(200ms);
    const std::string text = stage.terminal.text();
    INFO(text);
    CHECK(text.contains("      │ compiling\n\n"));
    CHECK(text.contains("build building  0 of 9 done  2s"));
    CHECK(text.contains("memory 1.0 GiB of 4.0 GiB · 8.0 GiB free\n"));
    CHECK(text.contains("  [1/9 app] RUN step 1"));
    CHECK(text.contains("━━━━━━━━━━━━━━━─────"));
    CHECK(text.contains("3.0 MiB of 4.0 MiB"));
    CHECK(text.contains("KiB/s"));
    CHECK_FALSE(stage.terminal.cursor_visible);
    CHECK(stage.terminal.wraps);
}

TEST_CASE("at the end the screen holds exactly what the plain renderer writes") {
    for (const auto* name : {"render_run.frames", "render_failed.frames"}) {
        const auto stream = read_file(std::format("{}/frames/golden/{}", SLIPWAY_TEST_DIR, name));
        REQUIRE(stream);
        for (const auto size :
             {TerminalSize{.columns = 80, .rows = 24}, TerminalSize{.columns = 40, .rows = 6},
              TerminalSize{.columns = 120, .rows = 3}, TerminalSize{.columns = 20, .rows = 2}}) {
            Stage stage(size);
            std::string plain;
            Renderer renderer({.width = size.columns - 1}, [&](std::string_view text) { plain += text; });
            std::string_view rest = *stream;
            while (!rest.empty()) {
                const std::string_view line = rest.substr(0, rest.find('\n'));
                rest.remove_prefix(line.size() + 1);
                renderer.consume(line);
                stage.view.consume(line, stage.start + stage.since);
                stage.wait(130ms);
            }
            renderer.finish();
            stage.view.finish();
            CHECK(stage.terminal.text() == plain);
            CHECK(stage.terminal.cursor_visible);
            CHECK(stage.terminal.wraps);
            CHECK(stage.view.outcome() == renderer.outcome());
        }
    }
}

TEST_CASE("a flood of log makes at most ten updates a second and loses no line") {
    Stage stage;
    stage.hello();
    stage.command(1, "started");
    stage.updates = 0;
    for (int i = 0; i < 1000; ++i) {
        stage.since += 1ms;
        stage.log(std::format("line {:04}", i));
        stage.view.tick(stage.start + stage.since);
    }
    CHECK(stage.updates <= 11);
    stage.view.finish();
    const auto lines = stage.terminal.all();
    for (int i = 0; i < 1000; ++i) {
        const std::string wanted = std::format("      │ line {:04}", i);
        CHECK(std::ranges::count(lines, wanted) == 1);
    }
}

TEST_CASE("when nothing moves nothing is written") {
    Stage stage({.columns = 80, .rows = 24}, {.unicode = false});
    stage.hello();
    stage.command(1, "started");
    stage.wait(1s);
    stage.updates = 0;
    stage.view.tick(stage.start + stage.since);
    stage.view.tick(stage.start + stage.since + 10ms);
    CHECK(stage.updates == 0);
    stage.wait(10s);
    CHECK(stage.updates <= 50); // spinner and clock, not every tick
    CHECK(stage.updates >= 10);
}

TEST_CASE("a narrower terminal loses no log line and leaves no old status behind") {
    Stage stage;
    stage.hello();
    stage.command(1, "started");
    for (int i = 0; i < 5; ++i) {
        stage.log(std::format("keep {}", i));
    }
    stage.wait(200ms);
    stage.terminal.narrow(30);
    stage.size.columns = 30;
    stage.wait(300ms);
    stage.log("after the resize, a line that is longer than thirty columns");
    stage.wait(200ms);
    const std::string text = stage.terminal.text();
    INFO(text);
    for (int i = 0; i < 5; ++i) {
        CHECK(text.contains(std::format("│ keep {}\n", i)));
    }
    CHECK(text.find("RUN step 1", text.find("after the resize")) != std::string::npos);
    CHECK(text.contains("      │ after the resize, a l\n      │ ine that is longer th\n"));
    stage.view.finish();
    CHECK_FALSE(stage.terminal.text().contains("of 9 done"));
}

TEST_CASE("more commands and transfers than fit are counted") {
    Stage stage;
    stage.hello();
    for (int n = 1; n <= 9; ++n) {
        stage.command(n, "started");
        stage.say("progress", std::format(R"({{"what":"pull","id":"l{}","current":1,"unit":"layers"}})", n));
    }
    stage.wait(200ms);
    const std::string text = stage.terminal.text();
    INFO(text);
    CHECK(text.contains("… 5 more running"));
    CHECK(text.contains("… 5 more transfers"));
    for (int n = 1; n <= 9; ++n) {
        stage.command(n, "done");
    }
    stage.wait(200ms);
    CHECK(stage.terminal.text().contains("9 of 9 done"));
}

TEST_CASE("hostile text cannot leave its place on a live screen") {
    Stage stage;
    stage.hello();
    const std::string attack = R"(\u001b[2J\u001b[5A\r\nfake\u001b]0;t\u0007\u009b1A)";
    stage.log("first");
    stage.say("command",
              R"({"n":1,"of":1,"stage":")" + attack + R"(","text":")" + attack + R"(","state":"started"})");
    stage.say("phase", R"({"name":")" + attack + R"("})");
    stage.say("progress", R"({"what":")" + attack + R"(","id":")" + attack + R"(","current":1,"unit":")" +
                              attack + R"("})");
    stage.log(attack);
    stage.log(std::string(300, 'w'));
    stage.wait(500ms); // the model fails on any sequence but ours
    stage.view.finish();
    CHECK(stage.terminal.text().contains("      │ first\n"));
    for (const auto& line : stage.terminal.all()) {
        CHECK_FALSE(line.starts_with("fake"));
        CHECK_FALSE(line.starts_with("www"));
    }
}

TEST_CASE("without a terminal the live view is the plain renderer") {
    const auto stream = read_file(std::format("{}/frames/golden/render_run.frames", SLIPWAY_TEST_DIR));
    const auto golden = read_file(std::format("{}/frames/golden/render_run.txt", SLIPWAY_TEST_DIR));
    REQUIRE(stream);
    REQUIRE(golden);
    std::string text;
    {
        LiveView view({.render = {.colour = true}, .size = {}},
                      [&](std::string_view piece) { text += piece; });
        std::string_view rest = *stream;
        while (!rest.empty()) {
            const std::string_view line = rest.substr(0, rest.find('\n') + 1);
            rest.remove_prefix(line.size());
            view.consume(line);
            view.tick(std::chrono::steady_clock::now());
        }
    } // going away finishes it
    CHECK(text == *golden);
}

TEST_CASE("a pipe is no terminal") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    CHECK_FALSE(terminal_size(ends[0]));
    CHECK_FALSE(terminal_size(-1));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("consume and tick may come from two threads") {
    std::string text;
    LiveView view({.render = {}, .size = [] { return std::optional(TerminalSize{}); }},
                  [&](std::string_view piece) { text += piece; });
    std::atomic<bool> done = false;
    std::thread ticker([&] {
        while (!done) {
            view.tick(std::chrono::steady_clock::now());
            std::this_thread::yield();
        }
    });
    view.consume(
        R"({"slipway":1,"seq":1,"t":"2026-11-22T07:45:00.000Z","step":"build","kind":"hello","hello":{"version":"1"}})");
    for (int i = 0; i < 2000; ++i) {
        view.consume(std::format(
            R"({{"slipway":1,"seq":{},"t":"2026-11-22T07:45:00.000Z","step":"build","kind":"log","log":{{"stream":"out","text":"{}"}}}})",
            i + 2, i));
    }
    done = true;
    ticker.join();
    view.finish();
    CHECK(text.contains("│ 1999\n"));
    CHECK(view.outcome() == StreamOutcome::incomplete);
}
