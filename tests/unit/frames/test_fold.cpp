#include "frames/budget.hpp"
#include "frames/fold.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace slipway::frames;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<std::string>;

constexpr Fold::Time start{1h};

Lines take(Fold& fold) {
    Lines out;
    for (const Fold::Line& line : fold.lines()) {
        out.push_back(line.text + (line.more ? "…" : ""));
    }
    fold.lines().clear();
    return out;
}

/// All at one moment at which no state in between may come out.
Lines folded(std::string_view bytes) {
    Fold fold;
    fold.feed("x\r\n", start);
    take(fold);
    fold.feed(bytes, start);
    fold.finish();
    return take(fold);
}

} // namespace

TEST_CASE("plain lines and colours stay as they are") {
    CHECK(folded("one\n\ntwo\n") == Lines{"one", "", "two"});
    CHECK(folded("\x1b[1;31mred\x1b[0m\tx\n") == Lines{"\x1b[1;31mred\x1b[0m\tx"});
    CHECK(folded("no end") == Lines{"no end"});
}

TEST_CASE("a carriage return keeps the last state") {
    CHECK(folded("10%\r50%\r100%\n") == Lines{"100%"});
    CHECK(folded("dos\r\nlines\r\n") == Lines{"dos", "lines"});
    CHECK(folded("10%\r\x1b[K20%\x1b[0K\r\x1b[2Kdone\n") == Lines{"done"});
    CHECK(folded("a\r\r\rb") == Lines{"b"});
    CHECK(folded("10%\x1b[1G20%\x1b[Gthe end\n") == Lines{"the end"});
    CHECK(folded("abc\b\bX\n") == Lines{"aX"});
    CHECK(folded("text\r\x1b[0m\n") == Lines{"text\x1b[0m"});
}

TEST_CASE("other escape sequences go, terminated or not") {
    CHECK(folded("\x1b]0;title\a"
                 "a\x1b]8;;http://x\x1b\\link\n") == Lines{"alink"});
    CHECK(folded("\x1b[?25lhidden\x1b[?25h\x1b(B\x1b=\x1b"
                 "7!\n") == Lines{"hidden!"});
    CHECK(folded("\x1b]never ended\nnext\n") == Lines{"", "next"});
    CHECK(folded("\x1b[12\nnext\n") == Lines{"", "next"});
    CHECK(folded("\x1b[" + std::string(10'000, '1') + "mx\n") == Lines{"x"});
    CHECK(folded("a\x1b[99999999999999999999Cb\n").at(0).size() == 202);
    CHECK(folded("\x1b") == Lines{});
}

TEST_CASE("lines repainted with the cursor keep their last state") {
    CHECK(folded("a 1%\nb 1%\n\x1b[2A\ra 9%\x1b[K\nb 9%\x1b[K\n") == Lines{"a 1%", "b 1%", "a 9%", "b 9%"});
    std::string bytes = "a 0\nb 0\n";
    for (int step = 1; step <= 50; ++step) {
        bytes += "\x1b[2A\x1b[2Ka " + std::to_string(step) + "\n\x1b[2Kb " + std::to_string(step) + "\n";
    }
    CHECK(folded(bytes + "\x1b[1Bend\n").size() <= 6);
    const Lines last = folded(bytes);
    REQUIRE(last.size() == 4);
    CHECK(last[2] == "a 50");
    CHECK(last[3] == "b 50");
}

TEST_CASE("states in between come out at most four times a second and the last one always does") {
    Fold fold;
    for (int step = 0; step < 3000; ++step) {
        fold.feed(std::to_string(step) + '\r', start + step * 1ms);
    }
    fold.feed("\n", start + 3s);
    const Lines lines = take(fold);
    CHECK(lines.size() >= 8);
    CHECK(lines.size() <= 10);
    CHECK(lines.back() == "2999");
}

TEST_CASE("what follows a finished repaint is not held back") {
    Fold fold;
    fold.feed("a\n\x1b[1Ab\n", start);
    CHECK(take(fold) == Lines{"a", "b"});
    fold.feed("plain 1\n", start + 2s);
    CHECK(take(fold) == Lines{"plain 1"});
    CHECK(fold.plain("plain 2"));
}

TEST_CASE("a line that never ends comes out in pieces at code point borders") {
    Fold fold;
    std::string text;
    for (int i = 0; i < 10'000; ++i) {
        text += "\xe2\x82\xac";
    }
    fold.feed(text, start);
    fold.feed("\n", start);
    std::string together;
    REQUIRE(fold.lines().size() == 4);
    for (const Fold::Line& line : fold.lines()) {
        CHECK(line.text.size() % 3 == 0);
        CHECK(line.more == (&line != &fold.lines().back()));
        together += line.text;
    }
    CHECK(together == text);
}

TEST_CASE("hostile movements stay within bounds") {
    Fold fold;
    for (int i = 0; i < 2000; ++i) {
        fold.feed("\x1b[999A\x1b[999Bx\x1b[999C\x1b[999D\n\x1bM\x1b[J\x1b[H\x1b[3Jz\b\b", start + i * 1ms);
    }
    fold.finish();
    CHECK(fold.lines().size() < 10'000);
    CHECK_FALSE(fold.pending());
}

TEST_CASE("the budget admits all, then a little, then nothing") {
    Budget budget(std::uint64_t{1} << 20U);
    Fold::Time now = start;
    std::uint64_t live = 0;
    while (!budget.thin()) {
        REQUIRE(budget.admit(150, now));
        budget.charge(150, true);
    }
    CHECK(budget.used() >= (std::uint64_t{1} << 20U) / 4 * 3);
    for (int window = 0; window < 5; ++window) {
        std::uint64_t in_window = 0;
        for (int line = 0; line < 1000; ++line) {
            if (budget.admit(150, now)) {
                budget.charge(150, true);
                in_window += 200;
            }
            now += 9ms;
        }
        CHECK(in_window > 0);
        CHECK(in_window <= Budget::thin_bytes);
        live += in_window;
        now += 1s;
    }
    for (int window = 0; window < 100'000; ++window) {
        if (budget.admit(150, now)) {
            budget.charge(150, true);
        }
        now += 10s;
    }
    CHECK(live > 0);
    CHECK(budget.used() <= budget.limit() - budget.tail());
    CHECK_FALSE(budget.admit(150, now));
}

TEST_CASE("a budget of nothing is no budget") {
    Budget budget(0);
    budget.charge(std::uint64_t{1} << 40U, true);
    CHECK(budget.admit(4000, start));
    CHECK_FALSE(budget.thin());
}
