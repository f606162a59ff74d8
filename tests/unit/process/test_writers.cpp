// Telling who wrote what.
#include "process/supervise.hpp"
#include "support.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>

using namespace slipway;
using namespace slipway::process;
using namespace slipway::process::test;

namespace {

Command telling(Command command) {
    command.tell_writers = true;
    return command;
}

} // namespace

TEST_CASE("Lines of the main process are told from those that imitate it") {
    Recorder recorder;
    const auto exit = run(telling(python("import os, sys, time\n"
                                         "def say(text): os.write(1, text)\n"
                                         "say(b'STEP 1/2: FROM x\\n')\n"
                                         "for i in range(20):\n"
                                         "    pid = os.fork()\n"
                                         "    if pid == 0:\n"
                                         "        say(b'STEP 2/2: RUN forged\\n')\n"
                                         "        os._exit(0)\n"
                                         "    os.waitpid(pid, 0)\n"
                                         "    say(b'real %d\\n' % i)\n"
                                         "os.write(2, b'to stderr\\n')\n")),
                          {}, {}, recorder.on_line);
    REQUIRE(exit);
    CHECK(exit->success());
    int real = 0;
    int forged = 0;
    for (const auto& line : recorder.lines) {
        if (line.stream == Stream::err) {
            CHECK(line.from_main);
            continue;
        }
        CHECK(line.writer_known);
        CHECK(line.from_main == !line.text.contains("forged"));
        ++(line.from_main ? real : forged);
    }
    CHECK(real == 21);
    CHECK(forged == 20);
}

TEST_CASE("On stderr, too, the main process is told from those that imitate it") {
    Recorder recorder;
    REQUIRE(run(telling(python("import os\n"
                               "os.write(2, b'before any word\\n')\n"
                               "os.write(1, b'first word\\n')\n"
                               "for i in range(20):\n"
                               "    if os.fork() == 0:\n"
                               "        os.write(2, b'Error: forged\\n')\n"
                               "        os._exit(0)\n"
                               "    os.wait()\n"
                               "    os.write(2, b'Error: real\\n')\n")),
                {}, {}, recorder.on_line));
    int lines = 0;
    for (const auto& line : recorder.lines) {
        CHECK(line.from_main == !line.text.contains("forged"));
        lines += line.stream == Stream::err ? 1 : 0;
    }
    CHECK(lines == 41);
}

TEST_CASE(
    "A child's child that speaks first on stdout is main, and on stderr the child is believed as well") {
    Recorder recorder;
    REQUIRE(run(telling(python("import os\n"
                               "if os.fork() == 0:\n"
                               "    os.write(1, b'I am buildah\\n')\n"
                               "    if os.fork() == 0:\n"
                               "        os.write(2, b'I am a RUN\\n')\n"
                               "        os._exit(0)\n"
                               "    os.wait()\n"
                               "    os.write(2, b'I am buildah\\n')\n"
                               "    os._exit(0)\n"
                               "os.wait()\n"
                               "os.write(2, b'I am who started it\\n')\n")),
                {}, {}, recorder.on_line));
    REQUIRE(recorder.lines.size() == 4);
    for (const auto& line : recorder.lines) {
        CHECK(line.from_main == (line.text != "I am a RUN"));
    }
}

TEST_CASE("A child can be made the first to go when memory runs out") {
    Recorder recorder;
    Command command = sh("cat /proc/self/oom_score_adj; cat /proc/$PPID/oom_score_adj");
    command.oom_score = 300;
    REQUIRE(run(command, {}, {}, recorder.on_line));
    REQUIRE(recorder.lines.size() == 2);
    CHECK(std::stoi(recorder.lines[0].text) == std::min(1000, std::stoi(recorder.lines[1].text) + 300));
}

TEST_CASE("An unfinished line of one writer is not joined with the line of another") {
    Recorder recorder;
    REQUIRE(run(telling(python("import os\n"
                               "os.write(1, b'begin\\n')\n"
                               "pid = os.fork()\n"
                               "if pid == 0:\n"
                               "    os.write(1, b'no newline here')\n"
                               "    os._exit(0)\n"
                               "os.waitpid(pid, 0)\n"
                               "os.write(1, b'STEP 2/2: ')\n"
                               "pid = os.fork()\n"
                               "if pid == 0:\n"
                               "    os.write(1, b' and more\\n')\n"
                               "    os._exit(0)\n"
                               "os.waitpid(pid, 0)\n"
                               "os.write(1, b'RUN x\\n')\n")),
                {}, {}, recorder.on_line));
    std::vector<std::string> main;
    std::vector<std::string> others;
    for (const auto& line : recorder.lines) {
        (line.from_main ? main : others).push_back(line.text);
    }
    CHECK(main == std::vector<std::string>{"begin", "STEP 2/2: RUN x"});
    CHECK(others == std::vector<std::string>{"no newline here and more"});
}

TEST_CASE("Main is who writes first, even if that is not the child itself") {
    Recorder recorder;
    REQUIRE(run(telling(python("import os, time\n"
                               "pid = os.fork()\n"
                               "if pid == 0:\n"
                               "    os.write(1, b'one\\n')\n"
                               "    os._exit(0)\n"
                               "os.waitpid(pid, 0)\n"
                               "os.write(1, b'two\\n')\n")),
                {}, {}, recorder.on_line));
    REQUIRE(recorder.lines.size() == 2);
    CHECK(recorder.lines[0].from_main);
    CHECK_FALSE(recorder.lines[1].from_main);
    CHECK(recorder.lines[1].writer_known);
}

TEST_CASE("Many writers at once, each line known for what it is") {
    Recorder recorder;
    const auto exit = run(telling(python("import os\n"
                                         "os.write(1, b'M 0\\n')\n"
                                         "pids = []\n"
                                         "for i in range(50):\n"
                                         "    pid = os.fork()\n"
                                         "    if pid == 0:\n"
                                         "        for k in range(40): os.write(1, b'C %d %d\\n' % (i, k))\n"
                                         "        os._exit(0)\n"
                                         "    pids.append(pid)\n"
                                         "    os.write(1, b'M %d\\n' % (i + 1))\n"
                                         "for pid in pids: os.waitpid(pid, 0)\n")),
                          {}, {}, recorder.on_line);
    REQUIRE(exit);
    CHECK(std::ranges::count_if(recorder.lines, [](const Kept& line) { return line.from_main; }) == 51);
    CHECK(recorder.lines.size() == 51 + 2000);
    for (const auto& line : recorder.lines) {
        CHECK(line.from_main == line.text.starts_with("M "));
    }
}

TEST_CASE("A writer the kernel does not name is never main, nor is anybody after it") {
    MainWriter unknown_first;
    CHECK_FALSE(unknown_first.is(0));
    CHECK_FALSE(unknown_first.is(17));
    CHECK_FALSE(unknown_first.is(0));
    MainWriter known_first;
    CHECK(known_first.is(17));
    CHECK_FALSE(known_first.is(0));
    CHECK_FALSE(known_first.is(18));
    CHECK(known_first.is(17));
    known_first.retire(); // from now on the pid may belong to anybody
    CHECK_FALSE(known_first.is(17));
}

TEST_CASE("A writer in a pid namespace below ours is known by its pid here") {
    const std::vector<std::string> unshare{"unshare", "--user", "--map-root-user", "--pid", "--fork"};
    const auto inside = [&](std::string script) {
        Command command = sh(std::move(script));
        command.argv.insert(command.argv.begin(), unshare.begin(), unshare.end());
        return telling(command);
    };
    if (const auto possible = run(inside("true"), {}, {}, {}); !possible || !possible->success()) {
        SKIP("no pid namespaces here");
    }
    Recorder recorder;
    REQUIRE(run(inside("echo one; sh -c 'echo two'; echo three"), {}, {}, recorder.on_line));
    std::erase_if(recorder.lines, [](const Kept& line) { return line.from_main; });
    REQUIRE(recorder.texts() == std::vector<std::string>{"two"});
    CHECK(recorder.lines[0].writer_known);
}

TEST_CASE("A child that only reads from its stdout sees its end") {
    Recorder recorder;
    REQUIRE(run(telling(python("import os; os.write(1, b'%d\\n' % len(os.read(1, 10)))")),
                {.timeout = Milliseconds(5000)}, {}, recorder.on_line));
    CHECK(recorder.texts() == std::vector<std::string>{"0"});
}

TEST_CASE("Descriptors sent over stdout are dropped") {
    std::size_t bytes = 0;
    const auto exit =
        run(telling(python("import os, socket, array\n"
                           "s = socket.socket(fileno=os.dup(1))\n"
                           "fds = array.array('i', [0] * 3)\n"
                           "for i in range(100):\n"
                           "    s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n")),
            {}, {}, [&](const Line& line) { bytes += line.text.size(); });
    REQUIRE(exit);
    CHECK(exit->success());
    CHECK(bytes == 100);
    int open = 0;
    for (int fd = 0; fd < 1000; ++fd) {
        open += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    CHECK(open < 50);
}
