// One step's stream of frames: numbered, timed, redacted, folded, budgeted, archived, and ended once.
//
//     Stream stream({.step = "build", .clock = clock, .output = output, .redactor = redactor,
//                    .budget = budget, .phases = phases, .build_id = id});
//     stream.emit(Hello{…});                    // always the first frame
//     stream.emit(Phase{PhaseName::building, {}});
//     stream.log(Lane::out, "compiling", LineEnd::newline, 3);
//     stream.end(EndStatus::succeeded, 0);      // exactly once, after all results are on disk
//
// What comes before hello waits for it (at most 256 frames); what comes after end is refused.
#pragma once

#include "base/clock.hpp"
#include "frames/archive.hpp"
#include "frames/budget.hpp"
#include "frames/frame.hpp"
#include "frames/output.hpp"
#include "frames/redact.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::frames {

/// How a piece of log ended: `partial` = no line end yet (end of a chunk, over-long line).
enum class LineEnd { newline, carriage_return, partial };

/// Phases go forward only, over all steps of a build; one tracker is shared by the streams of `run`.
/// Order: unpacking, pulling, checking-cache, priming-cache, building, pushing, then complete or error, which
/// are final. Thread-safe.
class PhaseTracker {
  public:
    /// True = `name` lies ahead of every phase so far, and is now the current one.
    [[nodiscard]] bool advance(PhaseName name);

  private:
    std::mutex mutex_;
    std::optional<PhaseName> current_;
};

struct Totals {
    std::uint64_t frames = 0;     ///< written so far
    std::uint64_t dropped = 0;    ///< bytes of log not written (a tail may still bring some of them)
    std::uint64_t redactions = 0; ///< places masked
};

/// Everything referred to must outlive the Stream.
struct StreamOptions {
    std::string step; ///< "fetch", "resolve", "build", "push", "doctor"
    const Clock& clock;
    Output& output;
    const Redactor& redactor;
    Budget& budget;
    PhaseTracker* phases = nullptr;      ///< none = phases of this stream alone
    std::optional<Archive> archive{};    ///< none = the whole log is kept nowhere
    Milliseconds heartbeat{0};           ///< interval of silence; 0 = no heartbeats
    std::function<Heartbeat()> sample{}; ///< called on a thread of its own, never under a lock
    std::string build_id{};              ///< for the hello that end() makes up when none was emitted
    std::string version{};               ///< likewise
};

/// Thread-safe.
class Stream {
  public:
    explicit Stream(StreamOptions options);
    /// Without end() the held log is written, but no `end`: such a stream is never a success.
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Every string is redacted. A phase that would go back or repeat becomes `progress` (complete and error:
    /// nothing). Progress comes at most 4 times a second per what and id, the last one always; rarer when
    /// the budget runs low. A Log goes the same way as log(). An End is end(). False = refused: the
    /// stream has ended, or a second hello.
    bool emit(Payload payload);

    /// What a child printed: redacted (also across calls), folded, split into pieces, thinned. `text` has no
    /// line end of its own, `end` tells it; a '\n' or '\r' inside counts as one all the same. `n` is the
    /// number of the command that printed it.
    void log(Lane lane, std::string_view text, LineEnd end = LineEnd::newline, std::optional<int> n = {});

    /// Writes what is held of an unfinished line (a command's end does this by itself). Beginnings of secrets
    /// stay held.
    void flush_log();

    /// Stops the heartbeat, writes what is held and the tail of a thinned log, closes the archive, then
    /// writes `end` with the totals. False = it had ended. Not to be called from `sample`.
    bool end(EndStatus status, int exit);

    [[nodiscard]] bool ended() const;
    [[nodiscard]] Totals totals() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace slipway::frames
