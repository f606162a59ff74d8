// A running `buildah build`, as frames: lines in, command, log and progress frames out.
#pragma once

#include "buildah/lines.hpp"
#include "handoff/values.hpp"
#include "process/process.hpp"
#include "steps/step.hpp"

#include <chrono>
#include <deque>
#include <optional>
#include <set>
#include <vector>

namespace slipway::steps {

/// Commands that frames have spoken of, by number: where a build is made again, nothing is told twice.
struct Told {
    std::set<int> begun;
    std::set<int> ended;
};

/// Follows one build. Which instruction is running is believed only from buildah's own process (`from_main`);
/// where writers cannot be told apart every line is read as text and the frames say `trust: text`.
class BuildFrames {
  public:
    /// `appended`: steps buildah adds to the last stage, one for each --label.
    BuildFrames(Step& step, const handoff::Plan& plan, frames::Trust trust, int appended, Told& told)
        : step_(step), plan_(plan), told_(told), trust_(trust),
          total_(static_cast<int>(plan.commands.size())), appended_(appended) {}

    void on_line(const process::Line& line);
    /// buildah is gone: the running command is done or failed.
    void finish(bool succeeded);

    /// The planned command that runs, or ran last; nullptr before the first.
    [[nodiscard]] const handoff::PlannedCommand* current() const noexcept { return current_; }
    /// What the current command printed last: at most 8 lines of at most 200 bytes, oldest first.
    [[nodiscard]] std::vector<std::string> last_lines() const {
        return {last_lines_.begin(), last_lines_.end()};
    }
    /// How long the command that ended last had run.
    [[nodiscard]] std::optional<Milliseconds> last_took() const noexcept { return last_took_; }
    /// How many commands came from a cache.
    [[nodiscard]] int cached() const noexcept { return cached_total_; }
    [[nodiscard]] const buildah::Interpreter& interpreter() const noexcept { return interpreter_; }

  private:
    /// The planned command a STEP line speaks of; end() when it is none of the file's.
    [[nodiscard]] std::vector<handoff::PlannedCommand>::const_iterator
    find(const buildah::StepStarted& started) const;
    void start(const buildah::StepStarted& started);
    void finish_current(frames::CommandState state);
    void emit(frames::CommandState state, std::optional<Milliseconds> duration);
    void log(const process::Line& line);
    void remember(std::string_view text);

    Step& step_;
    const handoff::Plan& plan_;
    Told& told_;
    frames::Trust trust_;
    int total_;
    int appended_;
    buildah::Interpreter interpreter_;
    const handoff::PlannedCommand* current_ = nullptr;
    bool running_ = false;
    bool cached_ = false;
    std::deque<std::string> last_lines_;
    std::optional<Milliseconds> last_took_;
    int cached_total_ = 0;
    std::chrono::steady_clock::time_point started_;
};

} // namespace slipway::steps
