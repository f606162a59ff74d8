#include "base/file.hpp"
#include "frames/stream.hpp"
#include "support.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>
#include <zstd.h>

using namespace slipway;
using namespace slipway::frames;
using namespace slipway::frames::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// A stream and everything it stands on.
struct Bench {
    explicit Bench(std::uint64_t limit = Budget::default_limit) : budget(limit) {}

    StreamOptions options(std::string step = "build") {
        return {.step = std::move(step),
                .clock = clock,
                .output = output,
                .redactor = redactor,
                .budget = budget,
                .build_id = "b-1",
                .version = "0.1.0"};
    }
    /// Every line, checked: valid JSON, small enough, numbered without a gap.
    [[nodiscard]] std::vector<json> frames() const {
        std::vector<json> out;
        for (const std::string& line : output.lines()) {
            REQUIRE(line.starts_with("{\"slipway\":1,"));
            REQUIRE(line.ends_with('\n'));
            REQUIRE(line.size() <= max_frame_bytes);
            out.push_back(json::parse(line));
            REQUIRE(out.back()["seq"] == out.size());
            REQUIRE((out.size() == 1 || out.back()["t"] >= out[out.size() - 2]["t"]));
        }
        return out;
    }
    [[nodiscard]] std::vector<json> of_kind(const std::string& kind) const {
        std::vector<json> out;
        for (const json& frame : frames()) {
            if (frame["kind"] == kind) {
                out.push_back(frame[kind]);
            }
        }
        return out;
    }
    [[nodiscard]] std::string text() const {
        std::string out;
        for (const json& log : of_kind("log")) {
            out += log["text"].get<std::string>() + (log.value("more", false) ? "" : "\n");
        }
        return out;
    }

    ManualClock clock;
    Recorded output;
    Redactor redactor;
    Budget budget;
};

std::string unpacked(const std::filesystem::path& path) {
    const std::string packed = *read_file(path, std::size_t{64} << 20U);
    std::string out(std::size_t{64} << 20U, '\0');
    const std::size_t size = ZSTD_decompress(out.data(), out.size(), packed.data(), packed.size());
    REQUIRE(ZSTD_isError(size) == 0);
    out.resize(size);
    return out;
}

} // namespace

TEST_CASE("a stream begins with hello and ends with one end") {
    Bench bench;
    Stream stream(bench.options());
    stream.log(Lane::err, "early words");
    stream.emit(Warning{.code = "w", .message = "m"});
    CHECK(bench.output.lines().empty());
    CHECK(stream.emit(Hello{.version = "0.1.0", .build_id = "b-1", .does = "builds"}));
    CHECK_FALSE(stream.emit(Hello{}));
    CHECK(stream.end(EndStatus::succeeded, 0));
    CHECK_FALSE(stream.end(EndStatus::failed, 10));
    CHECK_FALSE(stream.emit(Warning{}));
    stream.log(Lane::out, "too late");
    const std::vector<json> frames = bench.frames();
    REQUIRE(frames.size() == 4);
    CHECK(frames[0]["kind"] == "hello");
    CHECK(frames[1]["log"]["text"] == "early words");
    CHECK(frames[2]["kind"] == "warning");
    CHECK(frames[3]["end"]["status"] == "succeeded");
    CHECK(frames[3]["end"]["totals"]["frames"] == 4);
}

TEST_CASE("a step that fails before its hello still has one") {
    Bench bench;
    Stream stream(bench.options());
    stream.emit(ErrorFrame::from(make_error(ErrorClass::usage, "missingorinvalidargument", "no url")));
    stream.emit(End{.status = EndStatus::failed, .exit = 2});
    const std::vector<json> frames = bench.frames();
    REQUIRE(frames.size() == 3);
    CHECK(frames[0]["hello"]["build_id"] == "b-1");
    CHECK(frames[1]["error"]["exit"] == 2);
    CHECK(frames[2]["end"]["exit"] == 2);
}

TEST_CASE("a stream that is only dropped has no end but all of its log") {
    Bench bench;
    {
        Stream stream(bench.options());
        stream.emit(Hello{});
        stream.log(Lane::out, "unfinished", LineEnd::partial);
    }
    CHECK(bench.text() == "unfinished\n");
    CHECK(bench.of_kind("end").empty());
}

TEST_CASE("a secret is masked in every frame and across borders of lines, pieces and calls") {
    Bench bench;
    REQUIRE(bench.redactor.add("SuperSecretToken"));
    REQUIRE(bench.redactor.add("-----BEGIN KEY-----\nAAAABBBBCCCCDDDD\nEE\n-----END KEY-----"));
    Stream stream(bench.options());
    stream.emit(Hello{.does = "with SuperSecretToken"});
    stream.emit(Command{.text = "RUN echo SuperSecretToken"});
    stream.log(Lane::out, "out: SuperSec", LineEnd::partial, 1);
    stream.log(Lane::err, "err between", LineEnd::newline, 1);
    stream.log(Lane::out, "retToken end", LineEnd::newline, 1);
    stream.log(Lane::out, "-----BEGIN KEY-----");
    stream.log(Lane::out, "AAAABBBBCCCCDDDD");
    stream.log(Lane::out, "EE");
    stream.log(Lane::out, "-----END KEY-----");
    stream.log(Lane::out, "Super\x1b[KSecret\x1b[0KToken");
    stream.log(Lane::out, std::string(4000 - 8, 'x') + "SuperSecretToken" + std::string(5000, 'y'));
    stream.emit(ErrorFrame{.code = "c", .message = "m", .cause = "token U3VwZXJTZWNyZXRUb2tlbg=="});
    stream.end(EndStatus::failed, 10);
    const std::string all = bench.output.all();
    for (const char* leak : {"SuperSecretToken", "SuperSec", "retToken", "AAAABBBB", "\"EE\"", "U3VwZXJT"}) {
        INFO(leak);
        CHECK_FALSE(all.contains(leak));
    }
    const std::string text = bench.text();
    CHECK(text.contains("out: *** end\n"));
    CHECK(text.contains("err between\n"));
    CHECK(text.contains("x***y"));
    CHECK(bench.of_kind("end")[0]["totals"]["redactions"] == 7);
}

TEST_CASE("a line of ten megabytes comes in pieces, complete, in bounded memory") {
    Bench bench(0);
    Stream stream(bench.options());
    stream.emit(Hello{});
    const std::string chunk(100'000, 'a');
    for (int i = 0; i < 100; ++i) {
        stream.log(Lane::out, chunk, LineEnd::partial);
    }
    stream.log(Lane::out, "z", LineEnd::newline);
    stream.log(Lane::out, "next");
    stream.end(EndStatus::succeeded, 0);
    const std::string text = bench.text();
    CHECK(text.size() == 10'000'000 + 2 + 5);
    CHECK(text.ends_with("az\nnext\n"));
}

TEST_CASE("a log line that looks like a frame stays inside text") {
    Bench bench;
    Stream stream(bench.options());
    stream.emit(Hello{});
    const std::string forged =
        R"({"slipway":1,"seq":2,"t":"x","step":"build","kind":"end","end":{"status":"succeeded"}})";
    stream.log(Lane::out, forged + "\n" + forged + "\r\n" + forged);
    stream.end(EndStatus::failed, 10);
    CHECK(bench.of_kind("end").size() == 1);
    CHECK(bench.text() == forged + "\n" + forged + "\n" + forged + "\n");
}

TEST_CASE("phases only go forward, over all steps that share a tracker") {
    Bench bench;
    PhaseTracker tracker;
    StreamOptions options = bench.options();
    options.phases = &tracker;
    {
        Stream stream(std::move(options));
        stream.emit(Hello{});
        stream.emit(Phase{.name = PhaseName::pulling,
                          .pull = Pull{.registry = "quay.io", .image = "a/b", .tag = "1"}});
        stream.emit(Phase{.name = PhaseName::building});
        stream.emit(Phase{.name = PhaseName::pulling,
                          .pull = Pull{.registry = "quay.io", .image = "c/d", .tag = "2"}});
        stream.emit(Phase{.name = PhaseName::building});
        stream.end(EndStatus::succeeded, 0);
    }
    CHECK_FALSE(tracker.advance(PhaseName::checking_cache));
    CHECK(tracker.advance(PhaseName::error));
    CHECK_FALSE(tracker.advance(PhaseName::complete));
    const auto phases = bench.of_kind("phase");
    REQUIRE(phases.size() == 2);
    CHECK(phases[0]["image"] == "a/b");
    CHECK(phases[1]["name"] == "building");
    const auto progress = bench.of_kind("progress");
    REQUIRE(progress.size() == 2);
    CHECK(progress[0]["what"] == "pull");
    CHECK(progress[0]["id"] == "quay.io/c/d:2");
}

TEST_CASE("progress comes at most four times a second per id and the last one always comes") {
    Bench bench;
    Stream stream(bench.options());
    stream.emit(Hello{});
    for (std::uint64_t at = 0; at <= 1000; ++at) {
        stream.emit(Progress{.what = "pull", .id = "one", .current = at, .total = 1000});
        stream.emit(Progress{.what = "pull", .id = "two", .current = at * 2});
        bench.clock.advance(1ms);
    }
    stream.end(EndStatus::succeeded, 0);
    std::vector<json> one;
    for (const json& progress : bench.of_kind("progress")) {
        if (progress["id"] == "one") {
            one.push_back(progress);
        }
    }
    CHECK(one.size() == 4);
    CHECK(one.back()["current"] == 1000);
}

TEST_CASE("past three quarters of the budget the log is thinned and its tail comes before end") {
    Bench bench(std::uint64_t{1} << 20U);
    Stream stream(bench.options());
    stream.emit(Hello{});
    std::uint64_t printed = 0;
    for (int line = 0; line < 60'000; ++line) {
        const std::string text = "line number " + std::to_string(line);
        printed += text.size() + 1;
        stream.log(line % 2 == 0 ? Lane::out : Lane::err, text);
        bench.clock.advance(1ms);
    }
    stream.emit(Warning{.code = "w", .message = "still heard"});
    CHECK(stream.totals().dropped > 0);
    stream.end(EndStatus::succeeded, 0);
    CHECK(bench.budget.used() < bench.budget.limit() + 1000);

    const std::vector<json> frames = bench.frames();
    CHECK(frames.back()["kind"] == "end");
    CHECK(frames[frames.size() - 2]["log"]["text"] == "line number 59999");
    std::uint64_t live = 0;
    std::uint64_t gaps = 0;
    int next_in_tail = -1;
    for (const json& log : bench.of_kind("log")) {
        gaps += log.value("dropped", 0U);
        if (!log.value("tail", false)) {
            live += log["text"].get<std::string>().size() + 1;
            continue;
        }
        const int number = std::stoi(log["text"].get<std::string>().substr(12));
        CHECK((next_in_tail < 0 || number == next_in_tail));
        next_in_tail = number + 1;
    }
    CHECK(next_in_tail == 60'000);
    const std::uint64_t lost = frames.back()["end"]["totals"]["dropped"];
    CHECK(lost > 0);
    CHECK(lost <= gaps);
    CHECK(live + gaps <= printed);
}

TEST_CASE("many lines in one call are what they are one by one, thinned or not") {
    for (const bool secret : {false, true}) {
        Bench together(64 << 10);
        Bench apart(64 << 10);
        Stream one(together.options());
        Stream other(apart.options());
        if (secret) {
            REQUIRE(together.redactor.add("hunter2hunter2"));
            REQUIRE(apart.redactor.add("hunter2hunter2"));
        }
        one.emit(Hello{.build_id = "b"});
        other.emit(Hello{.build_id = "b"});
        for (int chunk = 0; chunk < 40; ++chunk) {
            std::string block;
            for (int number = 0; number < 50; ++number) {
                const std::string line = number % 10 == 7   ? "\x1b[31mred\x1b[2K\x1b[0m"
                                         : number % 10 == 8 ? std::string()
                                         : number == 9      ? std::string(20'000, 'l')
                                                       : "line " + std::to_string(number) + " hunter2hunter2";
                other.log(Lane::out, line, LineEnd::newline, chunk);
                block += (number == 0 ? "" : "\n") + line;
            }
            one.log(Lane::out, block, LineEnd::newline, chunk);
            together.clock.advance(1s);
            apart.clock.advance(1s);
        }
        one.end(EndStatus::succeeded, 0);
        other.end(EndStatus::succeeded, 0);
        CHECK(one.totals().dropped > 0);
        CHECK((one.totals().redactions > 0) == secret);
        CHECK(together.output.all() == apart.output.all());
    }
}

TEST_CASE("a begun line gets its last piece although the budget ran out in the middle") {
    Bench bench(std::uint64_t{64} << 10U);
    Stream stream(bench.options());
    stream.emit(Hello{});
    stream.log(Lane::out, std::string(300'000, 'q'));
    stream.log(Lane::out, "after");
    stream.end(EndStatus::succeeded, 0);
    bool open = false;
    for (const json& log : bench.of_kind("log")) {
        if (log.value("tail", false) && open) {
            FAIL("the tail begins inside a line");
        }
        open = log.value("more", false) && !log.value("tail", false);
    }
    CHECK_FALSE(open);
    CHECK(bench.frames()[bench.frames().size() - 2]["log"]["text"] == "after");
}

TEST_CASE("eight threads leave no gap in the numbers") {
    Bench bench;
    SystemClock clock;
    StreamOptions options{.step = "build",
                          .clock = clock,
                          .output = bench.output,
                          .redactor = bench.redactor,
                          .budget = bench.budget,
                          .heartbeat = 1ms,
                          .sample = [] { return Heartbeat{.memory = 1}; }};
    Stream stream(std::move(options));
    stream.emit(Hello{});
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 8; ++thread) {
            threads.emplace_back([&stream, &bench, thread] {
                for (int i = 0; i < 500; ++i) {
                    stream.log(thread % 2 == 0 ? Lane::out : Lane::err, "text", LineEnd::newline, thread);
                    stream.emit(Progress{.what = "x", .id = std::to_string(thread), .current = 1});
                    if (i == 100) {
                        bench.redactor.add("added-by-" + std::to_string(thread));
                    }
                }
            });
        }
    }
    std::this_thread::sleep_for(20ms);
    CHECK(stream.end(EndStatus::succeeded, 0));
    CHECK(bench.of_kind("log").size() == 4000);
    CHECK_FALSE(bench.of_kind("heartbeat").empty());
    CHECK(bench.frames().back()["kind"] == "end");
}

TEST_CASE("silence is filled with heartbeats and they stop with the stream") {
    Bench bench;
    SystemClock clock;
    std::atomic<int> samples = 0;
    {
        Stream stream({.step = "push",
                       .clock = clock,
                       .output = bench.output,
                       .redactor = bench.redactor,
                       .budget = bench.budget,
                       .heartbeat = 5ms,
                       .sample = [&] {
                           ++samples;
                           return Heartbeat{.memory = 10, .memory_limit = 20};
                       }});
        stream.emit(Hello{});
        std::this_thread::sleep_for(60ms);
        stream.end(EndStatus::succeeded, 0);
        const int then = samples;
        std::this_thread::sleep_for(20ms);
        CHECK(samples == then);
    }
    const auto beats = bench.of_kind("heartbeat");
    REQUIRE_FALSE(beats.empty());
    CHECK(beats[0]["memory"] == 10);
    CHECK(beats[0]["elapsed_ms"].get<int>() >= 4);
}

TEST_CASE("a closed standard output neither kills nor stops the step") {
    int ends[2] = {-1, -1};
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    Fd writing(ends[1]);
    ::close(ends[0]);
    FdOutput output(writing.get());
    Bench bench;
    Stream stream({.step = "build",
                   .clock = bench.clock,
                   .output = output,
                   .redactor = bench.redactor,
                   .budget = bench.budget});
    stream.emit(Hello{});
    for (int i = 0; i < 1000; ++i) {
        stream.log(Lane::out, "nobody reads this");
    }
    CHECK(stream.end(EndStatus::succeeded, 0));
    CHECK(output.error() == EPIPE);
}

TEST_CASE("a slow reader of a non-blocking pipe still gets every byte") {
    int ends[2] = {-1, -1};
    REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    const Fd reading(ends[0]);
    Fd writing(ends[1]);
    ::fcntl(writing.get(), F_SETPIPE_SZ, 4096);
    std::string got;
    std::jthread reader([&] {
        char buffer[777];
        for (;;) {
            const ssize_t n = ::read(reading.get(), buffer, sizeof buffer);
            if (n == 0) {
                return;
            }
            if (n > 0) {
                got.append(buffer, static_cast<std::size_t>(n));
            }
        }
    });
    FdOutput output(writing.get());
    std::string sent;
    for (int i = 0; i < 500; ++i) {
        const std::string line = std::string(static_cast<std::size_t>(i * 7 % 4000), 'x') + "\n";
        sent += line;
        output.write(line);
    }
    writing.reset();
    reader.join();
    CHECK(got == sent);
    CHECK_FALSE(output.broken());
}

TEST_CASE("the archive holds the whole log although the live one was thinned") {
    auto directory = TemporaryDirectory::create("frames-");
    REQUIRE(directory);
    Bench bench(std::uint64_t{128} << 10U);
    REQUIRE(bench.redactor.add("SuperSecretToken"));
    StreamOptions options = bench.options();
    auto archive = Archive::create(directory->path(), "../b 1", 2, "build");
    REQUIRE(archive);
    options.archive = std::move(*archive);
    Stream stream(std::move(options));
    stream.emit(Hello{});
    for (int line = 0; line < 5000; ++line) {
        stream.log(Lane::out, "SuperSecretToken " + std::to_string(line));
    }
    stream.log(Lane::out, std::string(20'000, 'w'));
    stream.end(EndStatus::succeeded, 0);
    const std::string path = bench.of_kind("end")[0]["archive"];
    CHECK(path == directory->path() / "_._b_1-2-build.frames.zst");
    CHECK(bench.of_kind("log").size() < 2000);

    std::istringstream whole(unpacked(path));
    std::string line;
    std::uint64_t seq = 0;
    int logs = 0;
    std::string last;
    while (std::getline(whole, line)) {
        const json frame = json::parse(line);
        REQUIRE(frame["seq"] == ++seq);
        REQUIRE(line.size() < max_frame_bytes);
        CHECK_FALSE(line.contains("dropped\":1"));
        if (frame["kind"] == "log" && logs < 5000) {
            CHECK(frame["log"]["text"] == "*** " + std::to_string(logs++));
        }
        last = frame["kind"];
    }
    CHECK(logs == 5000);
    CHECK(last == "end");
}

TEST_CASE("an archive that cannot be written is a warning and end names none") {
    CHECK_FALSE(Archive::create("/nonexistent/place", "b", 1, "build"));
    CHECK(archive_name("", -1, std::string(500, '/')).size() < 200);

    auto directory = TemporaryDirectory::create("frames-");
    REQUIRE(directory);
    Bench bench;
    StreamOptions options = bench.options();
    auto archive = Archive::create(directory->path(), "b", 1, "build");
    REQUIRE(archive);
    options.archive = std::move(*archive);
    // No file may grow: what a full disk does, without one.
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &none) == 0);
    {
        Stream stream(std::move(options));
        stream.emit(Hello{});
        stream.log(Lane::out, "text");
        CHECK(stream.end(EndStatus::succeeded, 0));
    }
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK(bench.of_kind("warning").size() == 1);
    CHECK_FALSE(bench.of_kind("end")[0].contains("archive"));
    CHECK(bench.of_kind("end")[0]["status"] == "succeeded");
}

TEST_CASE("partial lines of two commands do not run into each other") {
    Bench bench;
    Stream stream(bench.options());
    stream.emit(Hello{});
    stream.log(Lane::out, "no newline at the end", LineEnd::partial, 1);
    stream.emit(Command{.n = 1, .of = 2, .text = "RUN a", .state = CommandState::done, .duration = 5ms});
    stream.log(Lane::out, "second", LineEnd::newline, 2);
    stream.end(EndStatus::succeeded, 0);
    const auto logs = bench.of_kind("log");
    REQUIRE(logs.size() == 2);
    CHECK(logs[0]["n"] == 1);
    CHECK(logs[1]["n"] == 2);
    CHECK(bench.frames()[1]["kind"] == "log");
}

TEST_CASE("repaints are folded in the stream") {
    Bench bench;
    Stream stream(bench.options());
    stream.emit(Hello{});
    for (int percent = 0; percent <= 100; ++percent) {
        stream.log(Lane::err, std::to_string(percent) + '%', LineEnd::carriage_return);
        bench.clock.advance(10ms);
    }
    stream.log(Lane::err, "", LineEnd::newline);
    stream.log(Lane::err, "done");
    stream.end(EndStatus::succeeded, 0);
    const auto logs = bench.of_kind("log");
    CHECK(logs.size() <= 6);
    CHECK(logs[logs.size() - 2]["text"] == "100%");
}
