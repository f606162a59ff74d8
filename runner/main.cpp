// slipway: builds a container image inside an ordinary Kubernetes pod and says what it does, frame by frame.
//
// The composition root: signals, the command line, one verb, an exit status. docs/cli.md is the contract.
#include "base/clock.hpp"
#include "base/stop.hpp"
#include "cli/verbs.hpp"
#include "process/process.hpp"
#include "steps/verbs.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <netdb.h>
#include <nss.h>
#include <optional>
#include <thread>

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
/// thread and taken here, so no handler ever runs. SIGURG, SIGWINCH and the like keep their defaults:
/// Tekton's entrypoint forwards stray ones.
class StopWatch {
  public:
    StopWatch(StopSource& source, Milliseconds timeout)
        : thread_([&source, timeout](const std::stop_token& done) {
              const sigset_t signals = stop_signals();
              const auto start = std::chrono::steady_clock::now();
              while (!done.stop_requested()) {
                  const timespec tick{.tv_sec = 0, .tv_nsec = 50'000'000};
                  if (const int signal = ::sigtimedwait(&signals, nullptr, &tick); signal > 0) {
                      source.request({.kind = StopReason::Kind::signal, .signal = signal});
                  }
                  if (timeout.count() > 0 && std::chrono::steady_clock::now() - start >= timeout) {
                      source.request({.kind = StopReason::Kind::deadline});
                  }
              }
          }) {}

  private:
    std::jthread thread_;
};

int run(int argc, char** argv) {
    const auto environment = [](const std::string& name) {
        const char* value =
            std::getenv(name.c_str()); // NOLINT(concurrency-mt-unsafe): only read, before threads
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
