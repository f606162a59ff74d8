#include "base/encoding.hpp"
#include "frames/encode.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>
#include <string>

using namespace slipway;
using namespace slipway::frames;
using nlohmann::json;

namespace {

constexpr std::chrono::system_clock::time_point when{std::chrono::seconds(1'795'333'503)};

json parse(const std::string& line) {
    REQUIRE(line.ends_with('\n'));
    REQUIRE(line.size() <= max_frame_bytes);
    REQUIRE(line.find('\n') == line.size() - 1);
    return json::parse(line);
}

std::string escaped(std::string_view text, std::size_t limit = std::string::npos) {
    std::string out;
    append_escaped(out, text, limit);
    return out;
}

} // namespace

TEST_CASE("a frame begins with the protocol version and carries its payload under the name of its kind") {
    const std::string line =
        encode(41, when + std::chrono::milliseconds(118), "build",
               Command{.n = 3, .of = 9, .stage = "app", .line = 12, .text = "RUN make -j2"});
    CHECK(line ==
          R"({"slipway":1,"seq":41,"t":"2026-11-22T07:45:03.118Z","step":"build","kind":"command",)"
          R"("command":{"n":3,"of":9,"stage":"app","line":12,"text":"RUN make -j2","state":"started",)"
          R"("trust":"writer"}})"
          "\n");
}

TEST_CASE("what a child prints cannot leave its string") {
    const std::string hostile =
        std::string("\"}}\n{\"slipway\":1,\"seq\":9,\"kind\":\"end\"}\r\t\\\x1b[0m\x7f") + '\0' + "x";
    std::string line;
    const std::size_t used = encode_log(line, 1, "t", "build", {.text = hostile});
    CHECK(used == hostile.size());
    CHECK(parse(line)["log"]["text"].get<std::string>() == hostile);
    for (const char byte : line.substr(0, line.size() - 1)) {
        CHECK(static_cast<unsigned char>(byte) >= 0x20);
    }
    CHECK(parse(encode(1, when, hostile, Warning{.code = hostile, .message = hostile}))["warning"]["code"] ==
          hostile);
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD, as base does it") {
    for (const std::string& bytes :
         {std::string("\xff"), std::string("a\xc3"), std::string("\xed\xa0\x80 lone surrogate"),
          std::string("\xf0\x9f\x98"), std::string("\xc0\xaf"), std::string("ok \xe2\x82\xac")}) {
        CHECK(json::parse('"' + escaped(bytes) + '"').get<std::string>() == to_valid_utf8(bytes));
    }
}

TEST_CASE("cutting never splits a code point or an escape") {
    const std::string text = "a\xe2\x82\xac\"\x01z";
    for (std::size_t limit = 0; limit <= 14; ++limit) {
        const std::string out = escaped(text, limit);
        CHECK(out.size() <= limit);
        CHECK(json::accept('"' + out + '"'));
    }
    CHECK(escaped(text, 3) == "a");
    CHECK(escaped(text, 4) == "a\xe2\x82\xac");
    CHECK(escaped(text, 5) == "a\xe2\x82\xac");
}

TEST_CASE("over-long strings are cut, the longest first, and what is left out is counted") {
    const ErrorFrame error{.code = "builderror",
                           .message = "the command failed",
                           .cause = std::string(100'000, 'c'),
                           .hint = "look above"};
    const std::string line = encode(7, when, "build", error);
    const json payload = parse(line)["error"];
    CHECK(line.size() > max_frame_bytes - 8);
    CHECK(payload["message"] == "the command failed");
    CHECK(payload["hint"] == "look above");
    const std::string cause = payload["cause"];
    CHECK(payload["truncated"] == 100'000 - cause.size());
}

TEST_CASE("hostile payloads of every size fit into a frame") {
    const std::string huge(1'000'000, '\x02');
    Image image{.id = huge, .digest = huge};
    image.base_images.assign(5000, BaseImage{.name = huge.substr(0, 300), .digest = huge.substr(0, 90)});
    const json payload = parse(encode(~0ULL, when, huge, image))["image"];
    CHECK(payload["truncated"].get<std::uint64_t>() > 1'900'000);
    Hello hello{.version = huge,
                .build_id = huge,
                .does = huge,
                .recipe = Recipe{huge, huge, huge},
                .storage = Storage{huge, huge}};
    CHECK(parse(encode(1, when, "build", hello))["hello"].contains("truncated"));
    Phase phase{.name = PhaseName::pulling, .pull = Pull{huge, huge, huge, huge, huge}};
    CHECK(parse(encode(1, when, "build", phase))["phase"]["name"] == "pulling");
}

TEST_CASE("an over-long line comes in pieces that put together are the line") {
    std::string text;
    while (text.size() < 50'000) {
        text += "\x1b[31m"
                "r\xc3\xa9"
                "d\"\x1b[0m"
                "12345678901234567890";
    }
    std::string together;
    std::string line;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t used = encode_log(line, 1, "2026-11-22T07:45:03.118Z", "build", {.text = rest});
        REQUIRE(used > 0);
        const json log = parse(line)["log"];
        CHECK(log.value("more", false) == (used < rest.size()));
        const std::string piece = log["text"];
        const std::size_t escape = piece.rfind('\x1b');
        CHECK(piece.find('m', escape) != std::string::npos);
        together += piece;
        rest.remove_prefix(used);
    }
    CHECK(together == text);
}

TEST_CASE("an escape without an end does not stop a piece from going out") {
    const std::string text = '\x1b' + std::string(20'000, '[');
    std::string line;
    std::string_view rest = text;
    int pieces = 0;
    while (!rest.empty() && ++pieces < 100) {
        const std::size_t used = encode_log(line, 1, "t", "build", {.text = rest});
        REQUIRE(used > 0);
        rest.remove_prefix(used);
    }
    CHECK(pieces < 10);
}

TEST_CASE("cached time text is the same as formatted time") {
    TimeText text;
    for (const int ms : {0, 1, 17, 118, 999, 1000, 1005, 61'234, 500}) {
        const auto time = when + std::chrono::milliseconds(ms);
        CHECK(text.format(time) == encode(1, time, "x", End{}).substr(26, 24));
    }
}
