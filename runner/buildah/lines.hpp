// What buildah's lines mean. Pure: lines in, events out.
//
// Only lines written by buildah's main process are believed (`trusted`): a RUN may print anything, also a
// perfect "STEP 3/4: …". Where writers cannot be told apart the caller passes true and says so in its frames.
// Texts as observed with buildah 1.39.3; unknown ones become Output, so a newer buildah loses detail, not
// lines.
//
// Telling writers apart (SO_PASSCRED on a socket pair, chroot isolation): the program spawned re-executes
// itself in a user namespace, so STEP lines come from a *child* of it, RUN output from one helper
// ("buildah-chroot-runtime") per RUN. Rule: whoever writes to standard output first is buildah (no RUN has
// started by then); trust that pid and the spawned one on both streams. "subprocess exited …" on standard
// error comes from the helper. With --layers stages interleave: a stage that waits for another has its STEP
// line out before the other's begin.
#pragma once

#include "base/result.hpp"

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace slipway::buildah {

enum class Stream { out, err };

/// "[2/3] STEP 4/7: RUN make" (a lone stage has no bracket: 1 of 1).
struct StepStarted {
    int stage = 1;
    int stages = 1;
    int position = 0; ///< of `count`, 1 = FROM
    int count = 0;
    std::string text; ///< buildah's echo; shown only where the plan has none
    bool operator==(const StepStarted&) const = default;
};
/// The step last started came from the cache.
struct Cached {
    int stage = 1;
    int position = 0;
    std::string image_id;
    bool operator==(const Cached&) const = default;
};
/// A step's own layer was committed ("--> 0123456789ab").
struct LayerCommitted {
    int stage = 1;
    int position = 0;
    std::string id; ///< abbreviated
    bool operator==(const LayerCommitted&) const = default;
};
/// "COMMIT name", "[2/3] COMMIT": the stage's end.
struct CommitStarted {
    int stage = 1;
    int stages = 1;
    std::string name;
    bool operator==(const CommitStarted&) const = default;
};
/// The whole image's id, 64 hexadecimal digits.
struct ImageCommitted {
    std::string id;
    bool operator==(const ImageCommitted&) const = default;
};
struct Tagged {
    std::string name;
    bool operator==(const Tagged&) const = default;
};
/// Copying an image, in (pull) or out (push).
struct Copying {
    enum class What { trying, signatures, blob, blob_skipped, config, manifest, done };
    What what = What::trying;
    std::string subject; ///< reference or digest; may be empty
    bool operator==(const Copying&) const = default;
};
/// buildah's own complaint: "Error: …" (final) or a warning of its logger.
struct ErrorText {
    std::string text;
    bool final = false; ///< an "Error: …" line, not a warning
    bool operator==(const ErrorText&) const = default;
};
/// Anything else: a RUN's output, or what we do not know.
struct Output {
    Stream stream = Stream::out;
    std::string text;
    bool operator==(const Output&) const = default;
};

using Event = std::variant<StepStarted, Cached, LayerCommitted, CommitStarted, ImageCommitted, Tagged,
                           Copying, ErrorText, Output>;

/// One per buildah process. Keeps the last lines of its standard error for classify_failure().
class Interpreter {
  public:
    /// `line` without its newline. Exactly one event per line.
    Event feed(Stream stream, std::string_view line, bool trusted);

    /// The step last started, if any: where a failure happened.
    [[nodiscard]] const std::optional<StepStarted>& current() const noexcept { return current_; }
    /// Believed lines of standard error, oldest first; at most 64 lines and 16 KiB.
    [[nodiscard]] std::vector<std::string> error_tail() const;
    /// The same for lines of standard error nobody vouches for: a RUN's, and buildah's helper's.
    [[nodiscard]] std::vector<std::string> helper_tail() const;

  private:
    struct Tail {
        std::deque<std::string> lines;
        std::size_t bytes = 0;
        void add(std::string_view line);
        [[nodiscard]] std::vector<std::string> all() const { return {lines.begin(), lines.end()}; }
    };

    Event interpret_out(std::string_view line);
    Event interpret_err(std::string_view line);
    Event step(StepStarted step);
    Event arrow(std::string_view rest);

    std::optional<StepStarted> current_;
    std::vector<StepStarted> open_; ///< started and not yet known to be finished, oldest first
    std::optional<Cached> cached_;  ///< the cache hit whose "--> id" line may follow
    Tail tail_;
    Tail helper_tail_;
};

/// What buildah was asked to do: the same text means different things to different people.
enum class Verb { pull, build, push, other };

/// How it ended.
struct Ending {
    Verb verb = Verb::build;
    std::vector<std::string> tail;        ///< Interpreter::error_tail()
    std::vector<std::string> helper_tail; ///< Interpreter::helper_tail(): only consulted for how a RUN died
    std::vector<std::string> output;      ///< the failed command's last lines, on either stream, for hints
    std::string step;        ///< Interpreter::current()'s text, so that it is never read as an error
    int exit_code = 0;       ///< a failed RUN's own status comes through; 125 = buildah itself
    int signal = 0;          ///< 0 unless buildah was killed
    bool oom_killed = false; ///< the cgroup counted an out-of-memory kill while the step ran
};

/// Why buildah failed. Always returns an error; class internal only for what no pattern knows.
Error classify_failure(const Ending& ending);

} // namespace slipway::buildah
