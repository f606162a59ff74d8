#include "steps/output.hpp"

#include "base/fd.hpp"
#include "frames/live.hpp"

#include <thread>
#include <unistd.h>

namespace slipway::steps {

namespace {

/// Frames into a view for people, redrawn ten times a second by a thread of its own.
class LiveOutput final : public frames::Output {
  public:
    LiveOutput()
        : view_({.render = {.colour = ::isatty(STDOUT_FILENO) == 1},
                 .size = [] { return frames::terminal_size(STDOUT_FILENO); }},
                // A terminal that went away is no reason to end a build.
                [](std::string_view text) { static_cast<void>(write_all(STDOUT_FILENO, text)); }),
          ticker_([this](const std::stop_token& done) {
              while (!done.stop_requested()) {
                  std::this_thread::sleep_for(std::chrono::milliseconds(100));
                  view_.tick(std::chrono::steady_clock::now());
              }
          }) {}

    ~LiveOutput() override {
        ticker_.request_stop();
        ticker_.join();
        view_.finish();
    }

    void write(std::string_view line) override { view_.consume(line); }

  private:
    frames::LiveView view_;
    std::jthread ticker_;
};

} // namespace

std::unique_ptr<frames::Output> make_output(cli::OutputMode mode) {
    const bool pretty = mode == cli::OutputMode::pretty ||
                        (mode == cli::OutputMode::automatic && ::isatty(STDOUT_FILENO) == 1);
    if (pretty) {
        return std::make_unique<LiveOutput>();
    }
    return std::make_unique<frames::FdOutput>(STDOUT_FILENO);
}

} // namespace slipway::steps
