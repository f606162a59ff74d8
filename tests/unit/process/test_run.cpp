// Output and endings of real children.
#include "support.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <unistd.h>
#include <utility>

using namespace slipway;
using namespace slipway::process;
using namespace slipway::process::test;
using namespace std::chrono_literals;

TEST_CASE("Every exit code arrives as it was") {
    for (const int code : {0, 1, 2, 9, 126, 127, 128, 137, 255}) {
        const auto exit = run(sh("exit " + std::to_string(code)), {}, {}, {});
        REQUIRE(exit);
        CHECK(exit->kind == Exit::Kind::exited);
        CHECK(exit->code == code);
        CHECK(exit->signal == 0);
        CHECK(exit->shell_status() == code);
        CHECK(exit->success() == (code == 0));
        CHECK(exit->ended_by == Exit::EndedBy::itself);
        CHECK_FALSE(exit->pipe_left_open);
        CHECK(exit->swept == 0);
    }
}

TEST_CASE("A death by signal is no exit code") {
    for (const int signal : {SIGKILL, SIGTERM, SIGHUP, SIGUSR1}) {
        const auto exit = run(sh("kill -" + std::to_string(signal) + " $$"), {}, {}, {});
        REQUIRE(exit);
        CHECK(exit->kind == Exit::Kind::signalled);
        CHECK(exit->signal == signal);
        CHECK(exit->code == 0);
        CHECK(exit->shell_status() == 128 + signal);
        CHECK_FALSE(exit->success());
        CHECK(exit->ended_by == Exit::EndedBy::itself);
    }
}

TEST_CASE("Lines of both streams arrive in order, each with its stream") {
    Recorder recorder;
    REQUIRE(run(sh("echo one; echo two; echo three >&2; printf four"), {}, {}, recorder.on_line));
    std::vector<std::string> out;
    std::vector<std::string> err;
    for (const auto& line : recorder.lines) {
        (line.stream == Stream::out ? out : err).push_back(line.text);
        CHECK_FALSE(line.from_main);
        CHECK_FALSE(line.writer_known);
        CHECK(line.end == (line.text == "four" ? LineEnd::partial : LineEnd::newline));
    }
    CHECK(out == std::vector<std::string>{"one", "two", "four"});
    CHECK(err == std::vector<std::string>{"three"});
}

TEST_CASE("A line of one mebibyte comes in marked pieces and loses nothing") {
    Recorder recorder;
    REQUIRE(run(python("import sys; sys.stdout.write('x' * (1 << 20) + '\\nshort\\n')"), {}, {},
                recorder.on_line));
    REQUIRE(recorder.lines.size() == 65);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < 64; ++i) {
        bytes += recorder.lines[i].text.size();
        CHECK(recorder.lines[i].text.size() == 16U * 1024U);
        CHECK(recorder.lines[i].end == (i < 63 ? LineEnd::partial : LineEnd::newline));
    }
    CHECK(bytes == 1U << 20U);
    CHECK(recorder.lines.back().text == "short");
}

TEST_CASE("Malformed UTF-8 and NUL bytes are passed through untouched") {
    Recorder recorder;
    REQUIRE(run(sh("printf '\\377\\376 \\303\\050 \\000 \\200\\n'"), {}, {}, recorder.on_line));
    REQUIRE(recorder.lines.size() == 1);
    CHECK(recorder.lines[0].text == std::string("\xFF\xFE \xC3\x28 \0 \x80", 9));
}

TEST_CASE("Progress painted with carriage returns comes piece by piece") {
    Recorder recorder;
    REQUIRE(run(sh("printf '10%%\\r'; printf '20%%\\r'; printf '100%%\\r\\n'"), {}, {}, recorder.on_line));
    REQUIRE(recorder.texts() == std::vector<std::string>{"10%", "20%", "100%"});
    CHECK(recorder.lines[0].end == LineEnd::carriage_return);
    CHECK(recorder.lines[2].end == LineEnd::newline);
}

TEST_CASE("What a silent child left without a newline is handed out while it still runs") {
    std::chrono::steady_clock::time_point seen;
    const auto start = std::chrono::steady_clock::now();
    Recorder recorder;
    REQUIRE(run(sh("printf 'Proceed? '; sleep 1; echo yes"), {}, {}, [&](const Line& line) {
        if (recorder.lines.empty()) {
            seen = std::chrono::steady_clock::now();
        }
        recorder.on_line(line);
    }));
    REQUIRE(recorder.texts() == std::vector<std::string>{"Proceed? ", "yes"});
    CHECK(recorder.lines[0].end == LineEnd::partial);
    CHECK(seen - start >= 240ms);
    CHECK(seen - start < 900ms);
}

TEST_CASE("A hundred megabytes are counted exactly and kept nowhere") {
    std::size_t lines = 0;
    std::size_t bytes = 0;
    const auto exit = run(sh("yes 'a line of forty-nine characters, not one more of it' | head -c 100000000"),
                          {}, {}, [&](const Line& line) {
                              ++lines;
                              bytes += line.text.size() + (line.end == LineEnd::newline ? 1 : 0);
                          });
    REQUIRE(exit);
    CHECK(exit->success());
    CHECK(bytes == 100'000'000);
    CHECK(lines == (100'000'000 + 51) / 52);
}

TEST_CASE("A child waits for a slow reader instead of filling our memory") {
    // Prints to stderr how much it could write to stdout within a second that the reader sleeps through.
    bool slept = false;
    std::size_t written_early = 0;
    const auto exit = run(python("import os, time\n"
                                 "end = time.time() + 0.6\n"
                                 "n = 0\n"
                                 "os.set_blocking(1, False)\n"
                                 "while time.time() < end:\n"
                                 "    try: n += os.write(1, b'x' * 1023 + b'\\n')\n"
                                 "    except BlockingIOError: time.sleep(0.01)\n"
                                 "os.write(2, str(n).encode())\n"),
                          {}, {}, [&](const Line& line) {
                              if (line.stream == Stream::err) {
                                  written_early = std::stoul(std::string(line.text));
                              } else if (!std::exchange(slept, true)) {
                                  ::usleep(1'200'000);
                              }
                          });
    REQUIRE(exit);
    CHECK(written_early > 0);
    CHECK(written_early < 4U << 20U); // the pipe, the chunk being read, no more
}

TEST_CASE("What a child used is told") {
    const auto exit = run(python("b = bytearray(200 << 20)\nimport time\nt = time.process_time()\n"
                                 "while time.process_time() - t < 0.3: pass"),
                          {}, {}, {});
    REQUIRE(exit);
    CHECK(exit->usage.peak_memory_bytes > 200U << 20U);
    CHECK(exit->usage.peak_memory_bytes < 2000U << 20U);
    CHECK(exit->usage.user + exit->usage.system >= 300ms);
    CHECK(exit->usage.wall >= 300ms);
}

TEST_CASE("Ticks come while the child runs and name it") {
    std::vector<pid_t> seen;
    Recorder recorder;
    REQUIRE(
        run(sh("echo $$; sleep 1.1"), {}, {}, recorder.on_line, [&](pid_t child) { seen.push_back(child); }));
    CHECK(seen.size() >= 2);
    CHECK(seen.size() <= 5);
    CHECK(std::to_string(seen.front()) == recorder.lines.front().text);
}

TEST_CASE("Short captures keep both streams and mark what was cut") {
    const auto whole = capture(sh("printf 'out\\r\\n'; printf err >&2; exit 4"), {}, {});
    REQUIRE(whole);
    CHECK(whole->out == "out\r\n");
    CHECK(whole->err == "err");
    CHECK(whole->exit.code == 4);
    CHECK_FALSE(whole->truncated);
    const auto cut = capture(sh("yes | head -c 5000000; printf 1234567890"), {}, {}, 10);
    REQUIRE(cut);
    CHECK(cut->out == "y\ny\ny\ny\ny\n");
    CHECK(cut->truncated);
    CHECK(cut->exit.success());
}

TEST_CASE("An exception from a callback ends the child and goes on to the caller") {
    pid_t child = 0;
    CHECK_THROWS_AS(run(sh("echo $$; exec sleep 60"), {}, {},
                        [&](const Line& line) {
                            child = std::stoi(std::string(line.text));
                            throw std::runtime_error("no more");
                        }),
                    std::runtime_error);
    REQUIRE(child > 0);
    CHECK_FALSE(is_alive(child));
}
