// What a child finds when it starts: environment, directory, descriptors, signals, group; and failing to
// start.
#include "base/fd.hpp"
#include "base/file.hpp"
#include "support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace slipway;
using namespace slipway::process;
using namespace slipway::process::test;

namespace {

std::string output_of(const Command& wanted) {
    const auto captured = capture(wanted, {}, {});
    REQUIRE(captured);
    CHECK(captured->err.empty());
    return captured->out;
}

} // namespace

TEST_CASE("A child has exactly the environment it was given") {
    ::setenv("SLIPWAY_TEST_LEAK", "yes", 1);
    CHECK(output_of({.argv = {"/usr/bin/env"}, .environment = {"A=1", "B=two words", "EMPTY="}}) ==
          "A=1\nB=two words\nEMPTY=\n");
    CHECK(output_of({.argv = {"/usr/bin/env"}}).empty());
}

TEST_CASE("Arguments arrive one by one, the program's own name included") {
    CHECK(output_of(command({"sh", "-c", "printf '%s|' \"$0\" \"$@\"", "name", "a b", "", "*", "\xFF"})) ==
          "name|a b||*|\xFF|");
    CHECK(output_of(command({"python3", "-c", "print(open('/proc/self/cmdline').read().split('\\0')[0])"})) ==
          "python3\n");
}

TEST_CASE("A child runs in the directory it was given") {
    auto place = TemporaryDirectory::create("cwd");
    REQUIRE(place);
    Command pwd = command({"/bin/pwd"});
    pwd.directory = place->path();
    CHECK(output_of(pwd) == place->path().string() + "\n");
    pwd.directory = place->path() / "missing";
    const auto failed = run(pwd, {}, {}, {});
    REQUIRE_FALSE(failed);
    CHECK(failed.error().klass == ErrorClass::internal);
    CHECK(failed.error().message.contains("missing"));
}

TEST_CASE("No descriptor of ours reaches a child") {
    // One that forgot close-on-exec at a low, one at a high number: below and above the launcher's own.
    const Fd low(::open("/dev/null", O_RDONLY)); // NOLINT(android-cloexec-open)
    const Fd high(::fcntl(low.get(), F_DUPFD, 700));
    std::vector<Fd> many;
    for (int i = 0; i < 40; ++i) {
        many.emplace_back(::open("/dev/null", O_RDONLY)); // NOLINT(android-cloexec-open)
    }
    REQUIRE(high);
    for (const bool telling : {false, true}) {
        Command list = python("import os\n"
                              "for fd in sorted(map(int, os.listdir('/proc/self/fd'))):\n"
                              "    try: print(fd, os.readlink('/proc/self/fd/%d' % fd).split(':')[0])\n"
                              "    except OSError: pass\n");
        list.tell_writers = telling;
        CHECK(output_of(list) ==
              (telling ? "0 /dev/null\n1 socket\n2 socket\n" : "0 /dev/null\n1 pipe\n2 pipe\n"));
    }
}

TEST_CASE("No descriptor of ours is left over after many runs") {
    const auto count = [] {
        int open = 0;
        for (int fd = 0; fd < 1000; ++fd) {
            open += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
        }
        return open;
    };
    REQUIRE(run(sh("true"), {}, {}, {}));
    const int before = count();
    for (int i = 0; i < 10; ++i) {
        Command command = sh("echo x");
        command.tell_writers = i % 2 == 0;
        REQUIRE(run(command, {}, {}, {}));
        REQUIRE_FALSE(run(test::command({"/no/such/program"}), {}, {}, {}));
    }
    CHECK(count() == before);
}

TEST_CASE("A child starts with nothing blocked and nothing ignored") {
    sigset_t all;
    sigset_t old;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &old);
    void (*const old_pipe)(int) = ::signal(SIGPIPE, SIG_IGN);
    void (*const old_usr)(int) = ::signal(SIGUSR1, SIG_IGN);
    void (*const old_rt)(int) = ::signal(SIGRTMIN + 3, SIG_IGN);
    const auto captured = capture(command({"grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"}), {}, {});
    ::signal(SIGPIPE, old_pipe);
    ::signal(SIGUSR1, old_usr);
    ::signal(SIGRTMIN + 3, old_rt);
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    REQUIRE(captured);
    CHECK(captured->out.starts_with("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"));
}

TEST_CASE("A child gets the signal state our program was started with, once that is noted") {
    // In a stand-in, because the note is for good.
    const pid_t runner = ::fork();
    REQUIRE(runner >= 0);
    if (runner == 0) {
        sigset_t only;
        ::sigemptyset(&only);
        ::sigaddset(&only, SIGUSR2);
        ::pthread_sigmask(SIG_SETMASK, &only, nullptr);
        ::signal(SIGHUP, SIG_IGN); // as nohup does
        remember_signals();
        ::sigaddset(&only, SIGTERM);
        ::pthread_sigmask(SIG_SETMASK, &only, nullptr);
        ::signal(SIGPIPE, SIG_IGN);
        const auto captured = capture(command({"grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"}), {}, {});
        const bool right =
            captured && captured->out == "SigBlk:\t0000000000000800\nSigIgn:\t0000000000000001\n";
        ::_exit(right ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(runner, &status, 0) == runner);
    CHECK(status == 0);
}

TEST_CASE("A child leads a process group of its own and reads nothing from stdin") {
    CHECK(output_of(python("import os, sys; print(os.getpgrp() == os.getpid(), len(sys.stdin.read()))")) ==
          "True 0\n");
}

TEST_CASE("A child dies with the program that started it") {
    // A stand-in for the runner: starts a child, tells its pid, and is killed.
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const pid_t runner = ::fork();
    REQUIRE(runner >= 0);
    if (runner == 0) {
        (void)run(sh("echo $$; exec sleep 60"), {}, {}, [&](const Line& line) {
            (void)::write(ends[1], line.text.data(), line.text.size());
            ::kill(::getpid(), SIGKILL);
        });
        ::_exit(1);
    }
    ::close(ends[1]);
    auto told = read_all(ends[0], 100);
    ::close(ends[0]);
    ::waitpid(runner, nullptr, 0);
    REQUIRE(told);
    const pid_t child = std::stoi(*told);
    for (int i = 0; i < 100 && is_alive(child); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    CHECK_FALSE(is_alive(child));
    ::waitpid(child, nullptr, 0); // we are its subreaper
}

TEST_CASE("A program that is missing, forbidden or no program is an error that names it") {
    auto place = TemporaryDirectory::create("exec");
    REQUIRE(place);
    const auto text = place->path() / "text";
    const auto noise = place->path() / "noise";
    const auto orphan = place->path() / "orphan";
    REQUIRE(write_file_atomic(text, "hello", 0644));
    REQUIRE(write_file_atomic(noise,
                              std::string("\x7F"
                                          "ELF\0\0\0\0noise",
                                          13),
                              0755));
    REQUIRE(write_file_atomic(orphan, "#!/no/such/interpreter\n", 0755));

    const auto error_of = [](const std::string& program) {
        const auto result = run(command({program}), {}, {}, {});
        REQUIRE_FALSE(result);
        CHECK(result.error().code == code::build_run_error);
        CHECK(result.error().klass == ErrorClass::pod);
        CHECK(result.error().message.contains(program));
        CHECK_FALSE(result.error().hint.empty());
        return result.error();
    };
    CHECK(error_of("/no/such/program").message.contains("was not found"));
    CHECK(error_of("no-such-program").message.contains("was not found"));
    CHECK(error_of(text.string()).message.contains("may not be executed"));
    CHECK(error_of(noise.string()).message.contains("not a program this machine can run"));
    CHECK(error_of(orphan.string()).cause.contains("No such file"));
    CHECK_FALSE(run({}, {}, {}, {}));
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1); // nothing is left to reap
}
