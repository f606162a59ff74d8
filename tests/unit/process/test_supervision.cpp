// Deadlines, stopping, and what a child leaves behind.
#include "base/file.hpp"
#include "support.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace slipway;
using namespace slipway::process;
using namespace slipway::process::test;
using namespace std::chrono_literals;

namespace {

struct Timed {
    Result<Exit> exit;
    Milliseconds took;
};

Timed timed(const Command& command, const Limits& limits, const StopToken& stop = {},
            const OnLine& on_line = {}) {
    const auto start = std::chrono::steady_clock::now();
    auto exit = run(command, limits, stop, on_line);
    return {std::move(exit),
            std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start)};
}

} // namespace

TEST_CASE("A deadline ends a child with SIGTERM") {
    const auto result = timed(sh("exec sleep 60"), {.timeout = 300ms});
    REQUIRE(result.exit);
    CHECK(result.exit->ended_by == Exit::EndedBy::deadline);
    CHECK(result.exit->kind == Exit::Kind::signalled);
    CHECK(result.exit->signal == SIGTERM);
    CHECK(result.took >= 300ms);
    CHECK(result.took < 3s);
}

TEST_CASE("A child that handles SIGTERM ends in its own way, and it still was the deadline") {
    Recorder recorder;
    const auto result = timed(sh("trap 'echo bye; exit 7' TERM; while :; do sleep 0.05; done"),
                              {.timeout = 300ms}, {}, recorder.on_line);
    REQUIRE(result.exit);
    CHECK(result.exit->ended_by == Exit::EndedBy::deadline);
    CHECK(result.exit->kind == Exit::Kind::exited);
    CHECK(result.exit->code == 7);
    std::erase_if(recorder.lines,
                  [](const Kept& line) { return line.stream == Stream::err; }); // the shell's remark
    CHECK(recorder.texts() == std::vector<std::string>{"bye"});
}

TEST_CASE("A child that ignores SIGTERM is killed after the grace period") {
    const auto result = timed(sh("trap '' TERM; echo ready; while :; do sleep 0.05; done"),
                              {.timeout = 300ms, .grace = 500ms});
    REQUIRE(result.exit);
    CHECK(result.exit->ended_by == Exit::EndedBy::deadline);
    CHECK(result.exit->signal == SIGKILL);
    CHECK(result.took >= 800ms);
    CHECK(result.took < 4s);
}

TEST_CASE("A stopped child can be ended too") {
    const auto result = timed(sh("kill -STOP $$; sleep 60"), {.timeout = 300ms, .grace = 10s});
    REQUIRE(result.exit);
    CHECK(result.exit->signal == SIGTERM);
    CHECK(result.took < 5s);
}

TEST_CASE("A child that has left its process group is ended all the same") {
    const auto result =
        timed(python("import os, time; os.setpgid(0, os.getpgid(os.getppid())); time.sleep(60)"),
              {.timeout = 300ms, .grace = 10s});
    REQUIRE(result.exit);
    CHECK(result.exit->signal == SIGTERM);
    CHECK(result.took < 5s);
}

TEST_CASE("The stop token ends a child") {
    StopSource source;
    std::thread later([&] {
        std::this_thread::sleep_for(300ms);
        source.request({.kind = StopReason::Kind::signal, .signal = SIGTERM});
    });
    const auto result = timed(sh("echo up; exec sleep 60"), {}, source.token());
    later.join();
    REQUIRE(result.exit);
    CHECK(result.exit->ended_by == Exit::EndedBy::stop);
    CHECK(result.exit->signal == SIGTERM);
    CHECK(result.took < 3s);

    const auto never = run(sh("exit 3"), {}, source.token(), {});
    REQUIRE_FALSE(never);
    CHECK(never.error().klass == ErrorClass::cancelled);
}

TEST_CASE("A grandchild that holds the pipe does not hold us") {
    Recorder recorder;
    const auto result = timed(sh("sleep 60 & echo $!; exit 5"), {}, {}, recorder.on_line);
    REQUIRE(result.exit);
    CHECK(result.exit->code == 5);
    CHECK(result.exit->ended_by == Exit::EndedBy::itself);
    CHECK(result.exit->pipe_left_open);
    CHECK(result.exit->swept == 1);
    CHECK(result.exit->survivors == 0);
    CHECK(result.took < 2s);
    CHECK_FALSE(is_alive(std::stoi(recorder.lines.at(0).text)));
}

TEST_CASE("A grandchild that goes on talking is heard for a while, then ended") {
    Recorder recorder;
    const auto result = timed(sh("(i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done) & exit 0"), {}, {},
                              recorder.on_line);
    REQUIRE(result.exit);
    CHECK(result.exit->pipe_left_open);
    CHECK(result.took >= 1500ms);
    CHECK(result.took < 5s);
    CHECK(recorder.lines.size() >= 10);
}

TEST_CASE("The last words of a grandchild that ends in time are not lost") {
    Recorder recorder;
    const auto result = timed(sh("(sleep 0.1; echo late) & exit 0"), {}, {}, recorder.on_line);
    REQUIRE(result.exit);
    CHECK(recorder.texts() == std::vector<std::string>{"late"});
    CHECK_FALSE(result.exit->pipe_left_open);
    CHECK(result.exit->swept == 0);
}

TEST_CASE("A daemon in a session of its own is swept") {
    Recorder recorder;
    const auto result = timed(python("import os, time\n"
                                     "if os.fork() == 0:\n"
                                     "    os.setsid()\n"
                                     "    if os.fork() == 0:\n"
                                     "        print(os.getpid(), flush=True)\n"
                                     "        n = os.open('/dev/null', os.O_RDWR)\n"
                                     "        os.dup2(n, 1); os.dup2(n, 2)\n"
                                     "        time.sleep(60)\n"
                                     "    os._exit(0)\n"
                                     "time.sleep(0.3)\n"),
                              {}, {}, recorder.on_line);
    REQUIRE(result.exit);
    CHECK(result.exit->success());
    CHECK(result.exit->swept == 1);
    CHECK_FALSE(result.exit->pipe_left_open);
    CHECK_FALSE(is_alive(std::stoi(recorder.lines.at(0).text)));
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("On a stop the whole tree goes, whatever it ignores") {
    StopSource source;
    Recorder recorder;
    const auto result =
        timed(sh("trap '' TERM; for i in 1 2 3; do (trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; "
                 "while :; do sleep 1; done') & done; while :; do sleep 1; done"),
              {.grace = 200ms}, source.token(), [&](const Line& line) {
                  recorder.on_line(line);
                  if (recorder.lines.size() == 3) {
                      source.request({.kind = StopReason::Kind::signal, .signal = SIGINT});
                  }
              });
    REQUIRE(result.exit);
    CHECK(result.exit->ended_by == Exit::EndedBy::stop);
    CHECK(result.exit->signal == SIGKILL);
    CHECK(result.exit->swept >= 3);
    CHECK(result.exit->survivors == 0);
    CHECK(result.took < 5s);
    for (const auto& text : recorder.texts()) {
        CHECK_FALSE(is_alive(std::stoi(text)));
    }
}

TEST_CASE("A process that keeps forking is caught") {
    const auto result = timed(python("import os, time\n"
                                     "if os.fork() == 0:\n"
                                     "    os.setsid()\n"
                                     "    end = time.time() + 20\n"
                                     "    while time.time() < end:\n"
                                     "        if os.fork() != 0: os._exit(0)\n"
                                     "        time.sleep(0.002)\n"
                                     "time.sleep(0.2)\n"),
                              {});
    REQUIRE(result.exit);
    CHECK(result.exit->survivors == 0);
    CHECK(result.took < 6s);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("Orphans that die during a run are reaped during the run") {
    // The child counts zombies among the children of its parent, which is this program.
    Recorder recorder;
    REQUIRE(run(sh("for i in 1 2 3 4 5; do (true & exec true); done; sleep 0.8; "
                   "cat /proc/[0-9]*/stat 2>/dev/null | grep -c \") Z $PPID \""),
                {}, {}, recorder.on_line));
    CHECK(recorder.texts() == std::vector<std::string>{"0"});
}

TEST_CASE("A child that somebody else started is left alone") {
    const pid_t other = ::fork();
    REQUIRE(other >= 0);
    if (other == 0) {
        ::execl("/bin/sleep", "sleep", "60", static_cast<char*>(nullptr));
        ::_exit(127);
    }
    const auto exit = run(sh("sleep 60 & exit 0"), {}, {}, {});
    REQUIRE(exit);
    CHECK(exit->swept == 1);
    CHECK(is_alive(other));
    ::kill(other, SIGKILL);
    int status = 0;
    CHECK(::waitpid(other, &status, 0) == other);
}

TEST_CASE("Runs side by side do not reap each other's children") {
    std::atomic<int> wrong = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&wrong, t] {
            for (int i = 0; i < 15; ++i) {
                const auto exit = run(sh("exit " + std::to_string(10 * t + i)), {}, {}, {});
                wrong += exit && exit->code == 10 * t + i ? 0 : 1;
            }
        });
    }
    // Ticks, and with them the reaping of orphans, come from a run that lasts.
    CHECK(run(sh("sleep 1.2"), {}, {}, {}));
    threads.clear();
    CHECK(wrong == 0);
}

TEST_CASE("Runs side by side do not sweep each other") {
    Result<Exit> slow = fail(Error{});
    std::jthread beside(
        [&] { slow = run(sh("setsid sh -c 'sleep 1; exit 0' & sleep 0.1; wait; exit 6"), {}, {}, {}); });
    std::this_thread::sleep_for(200ms);
    for (int i = 0; i < 3; ++i) {
        const auto exit = run(sh("sleep 60 & exit 1"), {}, {}, {});
        REQUIRE(exit);
        CHECK(exit->code == 1);
        CHECK(exit->swept == 1);
    }
    beside.join();
    REQUIRE(slow);
    CHECK(slow->code == 6);
    CHECK(slow->swept == 0);
}
