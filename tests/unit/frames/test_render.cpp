#include "base/file.hpp"
#include "frames/render.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <format>
#include <string>

using namespace slipway;
using namespace slipway::frames;

namespace {

std::string golden_path(std::string_view name) {
    return std::format("{}/frames/golden/{}", SLIPWAY_TEST_DIR, name);
}

std::string contents(std::string_view name) {
    auto text = read_file(golden_path(name));
    return text ? *text : "(missing: " + std::string(name) + ")";
}

struct Rendered {
    std::string text;
    StreamOutcome outcome = StreamOutcome::empty;
};

Rendered render(std::string_view stream, RenderOptions options = {}) {
    Rendered result;
    Renderer renderer(options, [&](std::string_view text) { result.text += text; });
    while (!stream.empty()) {
        const std::size_t end = stream.find('\n');
        renderer.consume(stream.substr(0, end));
        stream.remove_prefix(end == std::string_view::npos ? stream.size() : end + 1);
    }
    renderer.finish();
    result.outcome = renderer.outcome();
    return result;
}

/// With SLIPWAY_UPDATE_GOLDEN set the file is written instead: look at the difference before keeping it.
void check_golden(std::string_view name, const std::string& text) {
    if (std::getenv("SLIPWAY_UPDATE_GOLDEN") != nullptr) { // NOLINT(concurrency-mt-unsafe)
        REQUIRE(write_file_atomic(golden_path(name), text));
    }
    CHECK(contents(name) == text);
}

std::string frame(std::string_view kind, std::string_view payload, int seq = 2,
                  std::string_view step = "build") {
    return std::format(
        R"({{"slipway":1,"seq":{0},"t":"2026-11-22T07:45:00.{0:03}Z","step":"{1}","kind":"{2}","{2}":{3}}})"
        "\n",
        seq, step, kind, payload);
}

std::string hello(std::string_view step = "build") {
    return frame("hello", R"({"protocol":1,"version":"0.1.0","build_id":"b","attempt":1})", 1, step);
}

} // namespace

TEST_CASE("a whole run reads as the golden text says") {
    const std::string stream = contents("render_run.frames");
    const Rendered plain = render(stream);
    check_golden("render_run.txt", plain.text);
    CHECK(plain.outcome == StreamOutcome::succeeded);
    check_golden("render_run.failed_only.txt", render(stream, {.logs = ShowLogs::failed_only}).text);
    check_golden("render_run.ascii60.txt", render(stream, {.unicode = false, .width = 60}).text);
    check_golden("render_run.colour.txt", render(stream, {.colour = true, .width = 100}).text);
}

TEST_CASE("a failed build shows where, what and what to do") {
    const std::string stream = contents("render_failed.frames");
    const Rendered plain = render(stream);
    check_golden("render_failed.txt", plain.text);
    CHECK(plain.outcome == StreamOutcome::failed);
    const std::string quiet = render(stream, {.logs = ShowLogs::failed_only}).text;
    check_golden("render_failed.failed_only.txt", quiet);
    CHECK_FALSE(quiet.contains("quiet please"));
    CHECK(quiet.contains("expected ;"));
}

TEST_CASE("no golden text without colour holds an escape or another control character") {
    for (const auto* name :
         {"render_run.txt", "render_run.failed_only.txt", "render_run.ascii60.txt", "render_failed.txt"}) {
        for (const char c : contents(name)) {
            CHECK((static_cast<unsigned char>(c) >= 0x20 || c == '\n'));
        }
    }
    for (const char c : contents("render_run.ascii60.txt")) {
        CHECK(static_cast<unsigned char>(c) < 0x80);
    }
}

TEST_CASE("a stream that stops is incomplete, whatever it said before") {
    const Rendered open = render(hello() + frame("phase", R"({"name":"complete"})"));
    CHECK(open.outcome == StreamOutcome::incomplete);
    CHECK(open.text.contains("incomplete"));
    const Rendered first_open =
        render(hello("fetch") + hello("build") + frame("end", R"({"status":"succeeded","exit":0})"));
    CHECK(first_open.outcome == StreamOutcome::incomplete);
    CHECK(render("").outcome == StreamOutcome::empty);
    CHECK(render("only text\n").outcome == StreamOutcome::empty);
    CHECK(render(frame("log", R"({"stream":"out","text":"x"})")).outcome == StreamOutcome::incomplete);
}

TEST_CASE("a failed step is not healed by one that succeeds") {
    const std::string failed = hello("fetch") + frame("end", R"({"status":"failed","exit":10})", 2, "fetch");
    const std::string good = hello("build") + frame("end", R"({"status":"succeeded","exit":0})");
    CHECK(render(failed + good).outcome == StreamOutcome::failed);
    CHECK(render(hello() + frame("end", R"({"status":"cancelled","exit":143})")).outcome ==
          StreamOutcome::cancelled);
}

TEST_CASE("frames of a newer protocol are named, not guessed at") {
    const Rendered newer =
        render("{\"slipway\":2,\"seq\":1,\"kind\":\"hello\"}\n{\"slipway\":2,\"seq\":2}\n");
    CHECK(newer.outcome == StreamOutcome::unsupported);
    CHECK(newer.text.contains("frame protocol 2"));
    CHECK(newer.text.find("frame protocol 2") == newer.text.rfind("frame protocol 2"));
}

TEST_CASE("hostile text cannot act on the terminal or pass for one of our lines") {
    const std::string attack =
        R"(\u001b]0;owned\u0007\u001b[2J\u001b[1;1H\u001b[8mhidden\u001b[0m\r✓ build succeeded in 1s\n● push\u009b2J\u202eevil)";
    std::string stream = hello();
    stream += frame("log", R"({"stream":"out","text":")" + attack + R"("})", 2);
    stream += frame(
        "command",
        R"({"n":1,"of":1,"stage":")" + attack + R"(","text":")" + attack + R"(","state":"started"})", 3);
    stream +=
        frame("warning",
              R"({"code":")" + attack + R"(","message":")" + attack + R"(","hint":")" + attack + R"("})", 4);
    stream += frame("error",
                    R"({"code":")" + attack + R"(","class":"build","message":")" + attack + R"(","cause":")" +
                        attack + R"(","where":{"file":")" + attack + R"(","line":1,"column":9,"quote":")" +
                        attack + R"("},"exit":10})",
                    5);
    stream += frame("result", R"({"name":")" + attack + R"(","value":")" + attack + R"("})", 6);
    stream += frame("phase", R"({"name":"pulling","image":")" + attack + R"("})", 7);
    stream += frame("progress",
                    R"({"what":")" + attack + R"(","id":")" + attack + R"(","current":1,"total":1,"unit":")" +
                        attack + R"("})",
                    8);
    stream += "\x1b[2J\x1b]0;title\x07● push foreign\n";
    stream += frame(attack, attack, 9); // kind as hostile as the rest
    for (const bool colour : {false, true}) {
        for (const int width : {0, 20, 80}) {
            const std::string text = render(stream, {.colour = colour, .width = width}).text;
            INFO(text);
            std::string_view rest = text;
            while (!rest.empty()) {
                const std::string_view line = rest.substr(0, rest.find('\n'));
                CHECK_FALSE(line.starts_with("● push"));
                CHECK_FALSE(line.starts_with("  ✓ build"));
                CHECK_FALSE(line.starts_with("✓"));
                rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            }
            for (std::size_t at = 0; at < text.size(); ++at) {
                const auto c = static_cast<unsigned char>(text[at]);
                if (c == 0x1b) {
                    REQUIRE(colour);
                    const std::size_t end = text.find_first_not_of("0123456789;:", at + 2);
                    REQUIRE(text[at + 1] == '[');
                    REQUIRE(text[end] == 'm');
                } else {
                    REQUIRE((c >= 0x20 || c == '\n'));
                    REQUIRE(c != 0x7f);
                }
            }
            CHECK_FALSE(text.contains("\u009b"));
            CHECK_FALSE(text.contains("\u202e"));
            CHECK_FALSE(text.contains("\x1b[8m"));
        }
    }
}

TEST_CASE("colour in a log line stays where colour is on, and ends with the line") {
    const std::string stream = hello() + frame("log", R"({"stream":"out","text":"\u001b[31mred"})");
    CHECK(render(stream, {.colour = true}).text.contains("\x1b[31mred\x1b[0m\n"));
    CHECK_FALSE(render(stream).text.contains('\x1b'));
}

TEST_CASE("foreign lines and damaged frames are shown behind a gutter") {
    const std::string text = render(hello() + "plain words\n{\"slipway\":1,\"seq\":\n").text;
    CHECK(text.contains("  ┆ plain words\n"));
    CHECK(text.contains("line 3: not a readable frame"));
    CHECK(text.contains("  ┆ {\"slipway\":1,\"seq\":\n"));
}
