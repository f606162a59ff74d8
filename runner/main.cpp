// slipway: builds a container image inside an ordinary Kubernetes pod and says what it does, frame by frame.
//
// The composition root: signals, the command line, one verb, an exit status. docs/cli.md is the contract.
#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/stop.hpp"
#include "cli/verbs.hpp"
#include "emulation/enclosure.hpp"
#include "process/process.hpp"
#include "steps/verbs.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <netdb.h>
#include <nss.h>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace slipway;

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

/// Turns stop signals and the step's deadline into a request on `source`. The signals are blocked in every
/// thread and read here, so no handler ever runs. SIGURG, SIGWINCH and the like keep their defaults: Tekton's
/// entrypoint forwards stray ones.
class StopWatch {
  public:
    StopWatch(StopSource& source, Milliseconds timeout)
        : thread_([this, &source, timeout] {
              const auto start = std::chrono::steady_clock::now();
              int wait = timeout.count() > 0 ? -2 : -1;
              for (;;) {
                  if (wait != -1) {
                      const auto left =
                          std::chrono::ceil<Milliseconds>(start + timeout - std::chrono::steady_clock::now());
                      wait = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
                  }
                  std::array<pollfd, 2> events{{{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                                                {.fd = done_.get(), .events = POLLIN, .revents = 0}}};
                  ::poll(events.data(), events.size(), wait);
                  if (events[1].revents != 0) {
                      return;
                  }
                  signalfd_siginfo info{};
                  if (events[0].revents != 0 && ::read(signals_.get(), &info, sizeof info) == sizeof info) {
                      source.request(
                          {.kind = StopReason::Kind::signal, .signal = static_cast<int>(info.ssi_signo)});
                  }
                  if (wait != -1 && std::chrono::steady_clock::now() - start >= timeout) {
                      source.request({.kind = StopReason::Kind::deadline});
                      wait = -1;
                  }
              }
          }) {}
    StopWatch(const StopWatch&) = delete;
    StopWatch& operator=(const StopWatch&) = delete;
    ~StopWatch() {
        const std::uint64_t one = 1;
        static_cast<void>(write_all(done_.get(), {reinterpret_cast<const char*>(&one), sizeof one}));
    }

  private:
    Fd signals_{[] {
        const sigset_t set = stop_signals();
        return ::signalfd(-1, &set, SFD_CLOEXEC);
    }()};
    Fd done_{::eventfd(0, EFD_CLOEXEC)};
    std::jthread thread_;
};

int run(int argc, char** argv) {
    const auto environment = [](const std::string& name) {
        const char* value = std::getenv(name.c_str());
        return std::string(value != nullptr ? value : "");
    };
    const auto invocation = cli::parse(std::vector<std::string>(argv + 1, argv + argc), environment);
    if (!invocation) {
        return steps::refuse(argc > 1 ? argv[1] : "", invocation.error());
    }
    StopSource stop;
    const StopWatch watch(stop, invocation->common.timeout);
    return steps::run_verb(*invocation, stop.token());
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1 && argv[1] == emulation::enclosure_word) {
        return emulation::enter({argv + 2, argv + argc});
    }
    process::remember_signals();
    const sigset_t signals = stop_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    // A reader that went away is an error of write(2), not our death.
    std::signal(SIGPIPE, SIG_IGN);
    // A static program has `files` and `dns` built in; anything else in nsswitch.conf would be loaded as a
    // shared library. In a dynamic build this changes nothing that tests rely on.
    ::__nss_configure_lookup("hosts", "files dns");
    ::__nss_configure_lookup("passwd", "files");
    ::__nss_configure_lookup("group", "files");
    try {
        return run(argc, argv);
    } catch (const std::exception& bug) {
        std::fputs("slipway: internal error: ", stderr);
        std::fputs(bug.what(), stderr);
        std::fputs("\n", stderr);
        return exit_status(ErrorClass::internal);
    }
}
