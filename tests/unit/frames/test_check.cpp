#include "base/file.hpp"
#include "frames/check.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <format>
#include <string>
#include <vector>

using namespace slipway;
using namespace slipway::frames;

namespace {

/// A stream made line by line, right unless asked otherwise.
struct Made {
    std::string text;
    int seq = 0;
    int ms = 0;

    Made& add(std::string_view kind, std::string_view payload, std::string_view step = "build") {
        ++seq;
        ++ms;
        text += std::format(
            R"({{"slipway":1,"seq":{0},"t":"2026-11-22T07:45:00.{1:03}Z","step":"{2}","kind":"{3}","{3}":{4}}})"
            "\n",
            seq, ms, step, kind, payload);
        return *this;
    }
    Made& hello(std::string_view step = "build") {
        seq = 0;
        return add("hello",
                   R"({"protocol":1,"version":"0.1.0","build_id":"b","attempt":1,"does":"x","limits":{}})",
                   step);
    }
    Made& command(int n, std::string_view state, int of = 3) {
        return add(
            "command",
            std::format(R"({{"n":{},"of":{},"text":"RUN x","state":"{}","trust":"writer"}})", n, of, state));
    }
    Made& phase(std::string_view name) { return add("phase", std::format(R"({{"name":"{}"}})", name)); }
    Made& end(std::string_view status = "succeeded", int exit = 0, std::string_view step = "build") {
        return add(
            "end",
            std::format(R"({{"status":"{}","exit":{},"totals":{{"frames":{},"dropped":0,"redactions":0}}}})",
                        status, exit, seq + 1),
            step);
    }
    Made& raw(std::string_view line) {
        text += line;
        text += '\n';
        return *this;
    }
};

CheckReport check(std::string_view text) {
    Checker checker;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        checker.consume(text.substr(0, end), 0, end != std::string_view::npos);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return checker.finish();
}

/// "rule@line rule@line …"
std::string verdict(std::string_view text) {
    std::string out;
    for (const Violation& it : check(text).violations) {
        out += std::format("{}{}@{}", out.empty() ? "" : " ", it.rule, it.line);
    }
    return out;
}

std::string verdict(const Made& made) {
    return verdict(std::string_view(made.text));
}

} // namespace

TEST_CASE("the recorded runs keep every rule") {
    for (const auto* name : {"render_run.frames", "render_failed.frames"}) {
        auto reader = StreamReader::open(std::format("{}/frames/golden/{}", SLIPWAY_TEST_DIR, name));
        REQUIRE(reader);
        const CheckReport report = check_stream(*reader);
        for (const Violation& it : report.violations) {
            UNSCOPED_INFO(it.line << " " << it.rule << " " << it.message);
        }
        CHECK(report.ok());
        CHECK(report.complete);
    }
    auto reader = StreamReader::open(std::format("{}/frames/golden/render_run.frames", SLIPWAY_TEST_DIR));
    REQUIRE(reader);
    const CheckReport report = check_stream(*reader);
    CHECK(report.steps == 4);
    CHECK(report.foreign == 1);
    CHECK(report.status == "succeeded");
}

TEST_CASE("a stream without end is incomplete and has no status") {
    const CheckReport report = check(Made().hello().phase("building").text);
    CHECK_FALSE(report.complete);
    CHECK(report.status.empty());
    CHECK(verdict(Made().hello().phase("building")) == "incomplete@3");
    CHECK(verdict("") == "incomplete@1");
    CHECK(verdict("text\n") == "incomplete@2");
    CHECK(verdict(Made().hello("fetch").hello("build").end()) == "end@2");
    CHECK_FALSE(check(Made().hello("fetch").hello("build").end().text).complete);
}

TEST_CASE("one end per step, and nothing after it but a hello") {
    CHECK(verdict(Made().hello().end()).empty());
    CHECK(verdict(Made().hello().end().phase("building")) == "end@3");
    CHECK(verdict(Made().hello().end().end()) == "end@3");
    CHECK(verdict(Made().hello("fetch").end("succeeded", 0, "fetch").raw("words").hello().end()).empty());
    CHECK(verdict(Made().hello().end("succeeded", 3)) == "end@2");
    CHECK(verdict(Made().hello().end("failed", 0)) == "end@2");
    CHECK(verdict(Made().hello().end("cancelled", 143)).empty());
}

TEST_CASE("seq starts at 1 with hello and has no gap") {
    Made late;
    late.hello();
    late.seq = 2;
    CHECK(verdict(late.phase("building").end()) == "seq@2");
    Made doubled;
    doubled.hello();
    doubled.seq = 0;
    CHECK(verdict(doubled.phase("building").end()) == "seq@2");
    CHECK(verdict(Made().phase("building").hello().end()) == "step@1");
}

TEST_CASE("time never goes back within a step and has milliseconds") {
    Made back;
    back.hello().phase("building");
    back.ms = 0;
    CHECK(verdict(back.end()) == "time@3");
    Made fresh;
    fresh.hello("fetch").end("succeeded", 0, "fetch");
    fresh.ms = 0;
    CHECK(verdict(fresh.hello().end()).empty());
    CHECK(verdict(Made().hello().raw(
              R"({"slipway":1,"seq":2,"t":"2026-11-22T07:45:00Z","step":"build","kind":"x"})")) ==
          "time@2 incomplete@3");
}

TEST_CASE("a frame is at most 4,096 bytes with its newline") {
    const auto padded = [](std::size_t bytes) {
        Made made;
        made.hello();
        const std::size_t before = made.text.size();
        Made probe = made;
        probe.add("log", R"({"stream":"out","text":""})");
        const std::string filler(bytes - (probe.text.size() - before), 'x');
        return made.add("log", R"({"stream":"out","text":")" + filler + R"("})").end();
    };
    CHECK(verdict(padded(4096)).empty());
    CHECK(verdict(padded(4097)) == "size@2");
    Made open = Made().hello().end();
    open.text.pop_back();
    CHECK(verdict(open) == "size@2");
}

TEST_CASE("what is not JSON, not UTF-8, or of a newer protocol is named") {
    CHECK(verdict(Made().hello().raw("{\"slipway\":1,").end()).starts_with("json@2"));
    CHECK(verdict(Made().hello().raw("{\"slipway\":1,\"seq\":2,\"x\":\"\xc0\x80\"}").end())
              .starts_with("utf8@2"));
    CHECK(verdict(Made().hello().raw("{\"slipway\":7}").end()).starts_with("protocol@2"));
    CHECK(verdict(Made().hello().raw("{\"slipway\":1,\"seq\":2,\"seq\":2}").end()).starts_with("json@2"));
}

TEST_CASE("phases go forward only, over all steps of a build") {
    CHECK(verdict(Made().hello().phase("pulling").phase("building").end()).empty());
    CHECK(verdict(Made().hello().phase("pulling").phase("pulling").end()) == "phase@3");
    CHECK(verdict(Made().hello().phase("pulling").end().hello().phase("pulling").end()).empty());
    CHECK(verdict(Made().hello().phase("building").phase("pulling").end()) == "phase@3");
    CHECK(verdict(Made().hello().phase("complete").phase("error").end()) == "phase@3");
    Made steps = Made().hello().phase("pushing").end().hello().phase("building").end();
    CHECK(verdict(steps) == "phase@5");
    CHECK(verdict(Made().hello().phase("reversing").end()) == "member@2");
}

TEST_CASE("a command starts, then ends once, and a succeeded step leaves none open") {
    CHECK(verdict(Made().hello().command(1, "started").command(1, "cached").end()).empty());
    CHECK(verdict(Made().hello().command(1, "done").end()) == "command@2");
    CHECK(verdict(Made().hello().command(1, "started").command(1, "started").command(1, "done").end()) ==
          "command@3");
    CHECK(verdict(Made().hello().command(1, "started").command(1, "done").command(1, "failed").end()) ==
          "command@4");
    CHECK(verdict(Made().hello().command(4, "started").command(4, "done").end()) == "command@2 command@3");
    CHECK(verdict(Made().hello().command(1, "started").end()) == "command@3");
    CHECK(verdict(Made().hello().command(1, "started").end("failed", 10)).empty());
    CHECK(verdict(Made().hello().command(1, "paused").end()) == "member@2");
}

TEST_CASE("the last piece of an over-long line must come") {
    const auto piece = [](Made made, std::string_view members) {
        return made.add("log", std::format(R"({{"stream":"out","n":1,"text":"x"{}}})", members));
    };
    CHECK(verdict(piece(piece(Made().hello(), R"(,"more":true)"), "").end()).empty());
    CHECK(verdict(piece(Made().hello(), R"(,"more":true)").end()) == "more@3");
    CHECK(verdict(piece(Made().hello(), R"(,"more":true)")
                      .add("log", R"({"stream":"err","text":"y","dropped":10})")
                      .end())
              .empty());
}

TEST_CASE("every member of every kind is checked, unknown ones are not") {
    const auto one = [](std::string_view kind, std::string_view payload) {
        return verdict(Made().hello().add(kind, payload).end());
    };
    CHECK(one("novelty", R"("anything")").empty());
    CHECK(one("warning", R"({"code":"a","message":"b","novel":[1]})").empty());
    CHECK(one("warning", R"({"code":"a"})") == "member@2");
    CHECK(one("warning", R"({"code":1,"message":""})") == "member@2 member@2");
    CHECK(one("warning", R"("text")") == "member@2");
    CHECK(one("heartbeat", R"({"elapsed_ms":1,"memory":-1})") == "member@2");
    CHECK(one("error", R"({"code":"a","class":"weather","message":"m","exit":1})") == "member@2");
    CHECK(one("error", R"({"code":"a","class":"build","message":"m","exit":1,"where":{"line":1}})") ==
          "member@2");
    CHECK(one("timing", R"({"what":"x","start":"noon","duration_ms":1})") == "member@2");
    CHECK(one("progress", R"({"what":"x","current":1,"unit":"parsecs"})") == "member@2");
    CHECK(one("log", R"({"stream":"out","text":"x","truncated":"many"})") == "member@2");
    CHECK(verdict(Made().hello().raw(
              R"({"slipway":1,"seq":2,"t":"2026-11-22T07:45:00.500Z","step":"push","kind":"x"})")) ==
          "step@2 incomplete@3");
}

TEST_CASE("violations are counted past what is kept, and their words are harmless") {
    Made made;
    made.hello();
    for (int i = 0; i < 2000; ++i) {
        made.raw(
            R"({"slipway":1,"seq":1,"t":"\u001b[2J","step":"\u001b[2J\n","kind":"phase","phase":{"name":"\u001b[2J"}})");
    }
    const CheckReport report = check(made.text);
    CHECK(report.violations.size() == Checker::violations_kept);
    CHECK(report.violation_count > 6000);
    CHECK(std::ranges::none_of(report.violations, [](const Violation& it) {
        return it.message.find_first_of("\x1b\n") != std::string::npos;
    }));
}

TEST_CASE("a damaged recording is incomplete") {
    auto directory = TemporaryDirectory::create("check");
    REQUIRE(directory);
    const auto path = directory->path() / "x.zst";
    REQUIRE(write_file_atomic(path, std::string_view("\x28\xb5\x2f\xfd\x00", 5)));
    auto reader = StreamReader::open(path);
    REQUIRE(reader);
    const CheckReport report = check_stream(*reader);
    CHECK_FALSE(report.ok());
    CHECK_FALSE(report.complete);
    CHECK(report.violations.back().rule == "incomplete");
}
