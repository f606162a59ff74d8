// One step under way: what every verb's function is given, and the frame around it that keeps the promises of
// docs/frames.md whatever happens inside: one hello, results on disk before the one end, an exit status.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/retry.hpp"
#include "base/stop.hpp"
#include "cli/params.hpp"
#include "frames/stream.hpp"
#include "handoff/results.hpp"

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::steps {

/// What an error frame says beside the error.
struct Circumstances {
    std::vector<std::string> output{}; ///< last lines of the command that failed
    std::optional<Milliseconds> duration{};
    std::optional<std::uint64_t> peak_memory{};
};

/// What one process gives to all its steps. Everything referred to outlives them.
struct Ports {
    const Clock& clock;
    frames::Output& output;
    frames::Redactor& redactor;
    frames::Budget& budget;
    frames::PhaseTracker& phases;
    StopToken stop;
};

/// Handed to a verb's function. Thread-safe where Stream is.
class Step {
  public:
    Step(frames::Stream& to, const Ports& ports, const cli::Common& options, std::filesystem::path directory)
        : stream(to), stop(ports.stop), redactor(ports.redactor), clock(ports.clock), common(options),
          state(std::move(directory)) {}

    frames::Stream& stream;
    StopToken stop;
    frames::Redactor& redactor;
    const Clock& clock;
    const cli::Common& common;
    const std::filesystem::path state; ///< hand-off directory

    /// The step's first frame; `does` is one line for a person. Recipe and storage where the step has them.
    void hello(std::string does, std::optional<frames::Recipe> recipe = {},
               std::optional<frames::Storage> storage = {});
    void phase(frames::PhaseName name) { stream.emit(frames::Phase{.name = name, .pull = {}}); }
    void warn(std::string code, std::string message, std::string hint = {});
    /// Kept until the step ends, then written within the budget and said in a frame.
    void result(std::string name, std::string value);
    /// Registers what must never be shown.
    void secrets(const std::vector<std::string>& values);
    /// A RetryPolicy's OnRetry that says so in a warning frame.
    [[nodiscard]] OnRetry on_retry(std::string what);
    /// Samples for heartbeats from now on come from `sample`; a default-constructed one resets.
    void heartbeat_from(std::function<frames::Heartbeat()> sample);
    [[nodiscard]] frames::Heartbeat sample_heartbeat() const;

    [[nodiscard]] std::vector<handoff::NamedResult> take_results();

    /// To be said in the error frame, if there will be one.
    void circumstances(Circumstances known);
    [[nodiscard]] Circumstances circumstances() const;

  private:
    mutable std::mutex mutex_;
    std::vector<handoff::NamedResult> results_;
    Circumstances circumstances_;
    std::function<frames::Heartbeat()> sample_;
};

/// What `slipway version` and every hello say.
std::string program_version();

/// Runs `body` as the step `name`: stream, heartbeat, results, error frame, end. Returns the exit status: 0,
/// that of the error's class, or 128 + signal. If the step does not come to an end by itself soon after a
/// stop, it is ended from outside: results and `end` are written and the process exits.
int run_step(std::string_view name, const Ports& ports, const cli::Common& common,
             const std::filesystem::path& state, const std::function<Status(Step&)>& body);

} // namespace slipway::steps
