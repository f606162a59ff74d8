#include "base/file.hpp"
#include "frames/reader.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <format>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>
#include <zstd.h>

using namespace slipway;
using namespace slipway::frames;

namespace {

struct Read {
    std::vector<std::string> lines;
    std::uint64_t cut = 0;
    bool terminated = true;
    std::string error;
};

Read read_stream(std::string_view bytes) {
    auto directory = TemporaryDirectory::create("reader");
    REQUIRE(directory);
    const auto path = directory->path() / "stream";
    REQUIRE(write_file_atomic(path, bytes));
    auto reader = StreamReader::open(path);
    REQUIRE(reader);
    Read result;
    while (true) {
        auto line = reader->next();
        if (!line) {
            result.error = line.error().message;
            CHECK(line.error().klass == ErrorClass::usage);
            return result;
        }
        if (!*line) {
            return result;
        }
        result.lines.emplace_back((*line)->text);
        CHECK((*line)->number == result.lines.size());
        result.cut += (*line)->cut;
        result.terminated = (*line)->terminated;
    }
}

std::string compressed(std::string_view text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    const std::size_t size = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3);
    REQUIRE(ZSTD_isError(size) == 0);
    out.resize(size);
    return out;
}

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("lines come out as they stand, the last one with or without its newline") {
    CHECK(read_stream("").lines.empty());
    CHECK(read_stream("a\n\nb\n").lines == Lines{"a", "", "b"});
    const Read open = read_stream("a\nb");
    CHECK(open.lines == Lines{"a", "b"});
    CHECK_FALSE(open.terminated);
    CHECK(read_stream("abc").lines == Lines{"abc"});
}

TEST_CASE("an over-long line is cut and the next one is whole") {
    const std::string longest(StreamReader::line_limit, 'x');
    const Read exact = read_stream(longest + "\nnext\n");
    CHECK(exact.lines == Lines{longest, "next"});
    CHECK(exact.cut == 0);
    const Read longer = read_stream(longest + std::string(1'000'000, 'y') + "\nnext\n");
    CHECK(longer.lines == Lines{longest, "next"});
    CHECK(longer.cut == 1'000'000);
}

TEST_CASE("zstd is recognised by its first bytes, several frames are one stream") {
    std::string text;
    for (int i = 0; i < 50'000; ++i) {
        text += std::format("line {}\n", i);
    }
    const std::string skippable("\x50\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
    const Read read =
        read_stream(skippable + compressed(text) + compressed("second\n") + compressed("third"));
    CHECK(read.error.empty());
    REQUIRE(read.lines.size() == 50'002);
    CHECK(read.lines[49'999] == "line 49999");
    CHECK(read.lines.back() == "third");
}

TEST_CASE("damaged zstd gives the lines it can, then an error") {
    std::string text;
    for (int i = 0; i < 100'000; ++i) {
        text += std::format("line {} {}\n", i, (i * 7919) % 10'007);
    }
    const std::string whole = compressed(text);
    const Read half = read_stream(std::string_view(whole).substr(0, whole.size() / 2));
    CHECK(half.error.contains("in the middle"));
    CHECK(half.lines.size() > 100);
    CHECK(half.lines.front() == "line 0 0");
    CHECK(read_stream(whole + "garbage").error.contains("damaged"));
    CHECK(read_stream(std::string_view(whole).substr(0, 4)).error.contains("in the middle"));
}

TEST_CASE("a pipe is read as it fills") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    auto reader = StreamReader::from_fd(Fd(ends[0]), "pipe");
    REQUIRE(reader);
    Fd writer(ends[1]);
    REQUIRE(write_all(writer.get(), "{\"slipway\":1}\n"));
    const auto first = reader->next(); // would hang if it waited for more
    REQUIRE(first);
    REQUIRE(*first);
    CHECK((*first)->text == "{\"slipway\":1}");
    writer.reset();
    const auto last = reader->next();
    REQUIRE(last);
    CHECK_FALSE(*last);
}

TEST_CASE("what cannot be opened or read is an error of class usage") {
    const auto missing = StreamReader::open("/nonexistent/stream");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().klass == ErrorClass::usage);
    auto directory = StreamReader::open("/");
    REQUIRE(directory);
    CHECK_FALSE(directory->next());
}

TEST_CASE("only a line that begins as a frame does is a frame") {
    CHECK(is_frame_line(R"({"slipway":1})"));
    CHECK_FALSE(is_frame_line(R"( {"slipway":1})"));
    CHECK_FALSE(is_frame_line(R"({ "slipway":1})"));
    CHECK_FALSE(is_frame_line(""));
    CHECK_FALSE(is_frame_line("text {\"slipway\":1}"));
}

TEST_CASE("a frame is read with its envelope and payload") {
    const auto frame = parse_frame(
        R"({"slipway":1,"seq":41,"t":"2026-11-22T07:45:03.118Z","step":"build","kind":"command","command":{"n":3,"of":9,"text":"RUN \"x\"","deep":{"er":[1,2.5,true,null]}},"unknown":[{}]})"
        "\n");
    REQUIRE(frame);
    CHECK(frame->seq == 41);
    CHECK(frame->step == "build");
    CHECK(frame->kind == "command");
    CHECK(frame->time.has_value());
    CHECK(frame->integer("n") == 3);
    CHECK(frame->text("text") == "RUN \"x\"");
    CHECK(frame->text("n").empty());
    CHECK_FALSE(frame->integer("text"));
    const ReadValue* list = frame->find("deep.er");
    REQUIRE(list != nullptr);
    REQUIRE(list->members.size() == 4);
    CHECK(list->members[1].value.number == 2.5);
    CHECK(list->members[2].value.boolean);
    CHECK(frame->find("deep.er.x") == nullptr);
}

TEST_CASE("what is no frame of this protocol is an error that says why") {
    const auto message = [](std::string_view line) {
        const auto frame = parse_frame(line);
        return frame ? std::string("(fine)") : frame.error().message;
    };
    CHECK(message(R"({"slipway":1)").contains("not valid JSON"));
    CHECK(message(R"({"slipway":1,"a":1,"a":2})").contains("twice"));
    CHECK(message(R"({"slipway":"1"})").contains("protocol number"));
    CHECK(message(R"({"slipway":0})").contains("protocol number"));
    CHECK(message(R"([1])").contains("protocol number"));
    CHECK(message("{\"slipway\":1,\"a\":\"\xff\"}").contains("not valid JSON"));
    CHECK(message("{\"slipway\":1,\"a\":" + std::string(30'000, '[')).contains("nested"));
    CHECK(message(R"({"slipway":1,"a":1e999})") != "(fine)");
    const auto newer = parse_frame(R"({"slipway":2,"anything":true})");
    REQUIRE_FALSE(newer);
    CHECK(newer.error().code == newer_protocol);
    CHECK(newer.error().message.contains("protocol 2"));
    CHECK_FALSE(newer.error().hint.empty());
}

TEST_CASE("times are read strictly") {
    REQUIRE(parse_utc("1970-01-02T00:00:00.001Z"));
    CHECK(parse_utc("1970-01-02T00:00:00.001Z")->time_since_epoch().count() == 86'400'001);
    CHECK(parse_utc("2024-02-29T23:59:59.999Z"));
    for (const auto* bad :
         {"", "2023-02-29T00:00:00.000Z", "2024-01-01T24:00:00.000Z", "2024-01-01T00:60:00.000Z",
          "2024-01-01T00:00:60.000Z", "2024-01-01T00:00:00Z", "2024-01-01 00:00:00.000Z",
          "2024-01-01T00:00:00.000+", "2024-1-01T000:00:00.000Z", "2024-01-01T00:00:00.00xZ"}) {
        CHECK_FALSE(parse_utc(bad));
    }
}
