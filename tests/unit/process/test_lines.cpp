#include "process/lines.hpp"
#include "support.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway::process;
using slipway::process::test::Recorder;

namespace {

struct Splitting {
    Recorder recorder;
    LineSplitter splitter;
    explicit Splitting(std::size_t longest = 64, bool blocks = false)
        : splitter(Line{}, longest, recorder.on_line, blocks) {}

    /// Text and end of each piece, ends as \n, \r and ~ for partial.
    [[nodiscard]] std::string shown() const {
        std::string all;
        for (const auto& line : recorder.lines) {
            all += line.text;
            all += line.end == LineEnd::newline ? "\\n" : line.end == LineEnd::carriage_return ? "\\r" : "~";
        }
        return all;
    }
};

} // namespace

TEST_CASE("Lines come out whole, with their terminators told apart") {
    Splitting s;
    s.splitter.feed("one\ntwo\r\n10%\r20%\rdone\n\nrest");
    s.splitter.finish();
    CHECK(s.shown() == "one\\ntwo\\n10%\\r20%\\rdone\\n\\nrest~");
}

TEST_CASE("Where the chunks are cut makes no difference") {
    const std::string text = "one\ntwo\r\n10%\r20%\r\r\n\n\r\nd\xC3\xA4ne\n" + std::string(200, 'x') +
                             "\xE2\x82\xAC\xE2\x82\xAC\n" + std::string(64, 'y') + "\nlast";
    Splitting whole;
    whole.splitter.feed(text);
    whole.splitter.finish();
    for (std::size_t size = 1; size < 80; ++size) {
        Splitting pieces;
        for (std::size_t at = 0; at < text.size(); at += size) {
            pieces.splitter.feed(std::string_view(text).substr(at, size));
        }
        pieces.splitter.finish();
        CHECK(pieces.shown() == whole.shown());
    }
}

TEST_CASE("Blocks hold the whole lines of a chunk, and the same text however it is cut") {
    const std::string text = "one\n\ntwo\nthree\n10%\r20%\r\nfour\nfi" + std::string(80, 'x') + "ve\nrest";
    Splitting block(64, true);
    block.splitter.feed("one\n\ntwo\nthr");
    block.splitter.feed("ee\nfour\nfive\n");
    block.splitter.feed("10%\r20%\r\nrest");
    block.splitter.finish();
    CHECK(block.shown() == "one\n\ntwo\\nthree\\nfour\nfive\\n10%\\r20%\\nrest~");

    const auto flat = [](const Splitting& splitting) {
        std::string all;
        for (const auto& line : splitting.recorder.lines) {
            all += line.text + (line.end == LineEnd::newline           ? "\n"
                                : line.end == LineEnd::carriage_return ? "\r"
                                                                       : "");
        }
        return all;
    };
    Splitting lines;
    lines.splitter.feed(text);
    lines.splitter.finish();
    for (std::size_t size = 1; size <= text.size(); ++size) {
        Splitting pieces(64, true);
        for (std::size_t at = 0; at < text.size(); at += size) {
            pieces.splitter.feed(std::string_view(text).substr(at, size));
        }
        pieces.splitter.finish();
        CHECK(flat(pieces) == flat(lines));
    }
}

TEST_CASE("A line of exactly the longest size is one piece, one byte more makes two") {
    Splitting exact(16);
    exact.splitter.feed(std::string(16, 'a') + "\n");
    CHECK(exact.shown() == std::string(16, 'a') + "\\n");
    Splitting longer(16);
    longer.splitter.feed(std::string(17, 'a') + "\n");
    CHECK(longer.shown() == std::string(16, 'a') + "~a\\n");
}

TEST_CASE("Over-long lines are cut between characters") {
    std::string euros;
    for (int i = 0; i < 100; ++i) {
        euros += "\xE2\x82\xAC";
    }
    Splitting s(16);
    s.splitter.feed(euros + "\n");
    std::string joined;
    for (const auto& line : s.recorder.lines) {
        CHECK(line.text.size() <= 16);
        CHECK(line.text.size() % 3 == 0);
        joined += line.text;
    }
    CHECK(joined == euros);
}

TEST_CASE("Bytes that are not UTF-8 are passed on as they are, in bounded pieces") {
    const std::string garbage = std::string(50, '\xFF') + std::string(50, '\x80') + std::string(50, '\xE2');
    Splitting s(16);
    for (const char c : garbage) {
        s.splitter.feed({&c, 1});
    }
    s.splitter.finish();
    std::string joined;
    for (const auto& line : s.recorder.lines) {
        CHECK(line.text.size() <= 16);
        joined += line.text;
    }
    CHECK(joined == garbage);
}

TEST_CASE("A flush hands out a partial line and the rest follows") {
    Splitting s;
    s.splitter.feed("Password: ");
    s.splitter.flush();
    s.splitter.flush();
    s.splitter.feed("ok\n");
    CHECK(s.shown() == "Password: ~ok\\n");
}

TEST_CASE("A flush waits for the rest of a character once, not for ever") {
    Splitting s;
    s.splitter.feed("ab\xE2\x82");
    s.splitter.flush();
    CHECK(s.shown() == "ab~");
    s.splitter.flush();
    CHECK(s.shown() == "ab~\xE2\x82~");
    CHECK_FALSE(s.splitter.holds_anything());
}

TEST_CASE("A carriage return at the end of a chunk waits for what follows") {
    Splitting s;
    s.splitter.feed("50%\r");
    CHECK(s.shown().empty());
    CHECK(s.splitter.holds_anything());
    s.splitter.flush();
    CHECK(s.shown() == "50%\\r");
    s.splitter.feed("a\r");
    s.splitter.feed("\n");
    CHECK(s.shown() == "50%\\ra\\n");
}

TEST_CASE("Characters are counted whole from the end") {
    CHECK(whole_characters("abc") == 3);
    CHECK(whole_characters("ab\xC3") == 2);
    CHECK(whole_characters("ab\xC3\xA4") == 4);
    CHECK(whole_characters("a\xF0\x9F\x98") == 1);
    CHECK(whole_characters("\xF0\x9F\x98") == 3); // nothing else would be left
    CHECK(whole_characters("a\x80\x80\x80\x80") == 5);
    CHECK(whole_characters("") == 0);
}
