// Running other programs, watched: start, read what they print line by line, bound their time, take down
// everything they left behind, and say exactly how they ended.
//
// In: a command line, its whole environment and directory, limits, a stop token.
// Out: lines as they are printed (callback, on the calling thread), then how the child ended and what it
// used. Errors: only what kept the program from running or from being watched: not found or not executable
// (class pod, `buildrunerror`), stop requested before the start (stop.error()), system calls (class
// internal). A child that ran and failed, or was ended by its deadline or by `stop`, is an Exit, not an
// Error.
//
// The child: process group of its own, stdin /dev/null, no descriptor but 0, 1, 2, signal mask and
// dispositions as this program once got them, SIGKILL when the calling thread ends. This process becomes a
// child subreaper with the first run. Not copied from our environment: anything.
//
// Call from a thread that lives on, best the main one. Several runs at once work, but descendants that
// detached from their parent are then swept only when the last of these runs ends. A child that this program
// starts in some other way before a run is left alone; one started during a run is taken for an orphan.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/stop.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace slipway::process {

enum class Stream { out, err };

/// What ended a piece of text. `\r\n` counts as newline.
enum class LineEnd {
    newline,
    carriage_return, ///< the child is about to paint over this line
    partial ///< cut: over-long, or nothing more came for 250 ms, or the stream ended without a newline
};

/// One piece of output. Raw bytes, terminators removed, never longer than Limits::longest_piece (but see
/// Command::blocks).
struct Line {
    Stream stream = Stream::out;
    std::string_view text{}; ///< valid during the callback only
    LineEnd end = LineEnd::newline;
    /// Written by the process that wrote the first bytes to stdout; on stderr also by the child itself, and
    /// by anybody before those first bytes. Only with Command::tell_writers.
    bool from_main = false;
    /// The kernel named the writer (a pid of our own pid namespace).
    bool writer_known = false;
};

struct Command {
    /// Program and arguments. A program without '/' is looked up in the PATH of `environment`.
    std::vector<std::string> argv{};
    /// "KEY=value", the whole environment of the child.
    std::vector<std::string> environment{};
    /// Where it runs; empty = where we are.
    std::filesystem::path directory{};
    /// Gives the child Unix stream sockets as stdout and stderr instead of pipes, so that each piece of text
    /// is known by its writer and what the main one writes is never joined with what others do. (A child can
    /// not open /dev/stdout or /dev/stderr then: Linux refuses that for sockets.)
    bool tell_writers = false;
    /// Whole lines that writers other than the main one print together on stdout come as one Line, which has
    /// '\n' inside and may be as long as what was read at once. For those who do not look at each.
    bool blocks = false;
    /// Added to our own oom_score_adj for the child and all its descendants: whom the kernel kills first when
    /// memory runs out. Raising it is always allowed; where it is not, the child runs all the same.
    int oom_score = 0;
};

struct Limits {
    Milliseconds timeout{0};            ///< from the start; 0 = none
    Milliseconds grace{5'000};          ///< between SIGTERM and SIGKILL
    std::size_t longest_piece = 16'384; ///< bytes of one Line; at least 16
};

struct Usage {
    Milliseconds wall{0};
    Milliseconds user{0};   ///< of the child and all it waited for, and of the orphans we reaped
    Milliseconds system{0}; ///< likewise
    /// Largest resident set of any one of them. Linux counts the moment between fork and exec too, so it is
    /// never less than our own resident set was at the start.
    std::uint64_t peak_memory_bytes = 0;
};

/// How a child ended.
struct Exit {
    enum class Kind { exited, signalled };
    enum class EndedBy { itself, deadline, stop };

    Kind kind = Kind::exited;
    int code = 0;      ///< 0..255, when exited
    int signal = 0;    ///< when signalled
    bool core = false; ///< when signalled: a core was written
    /// Who ended it: `deadline` and `stop` mean that it was told to end before it did, whatever it then
    /// returned.
    EndedBy ended_by = EndedBy::itself;
    /// A descendant still held stdout or stderr when the child was gone and the pipes had been quiet for a
    /// while.
    bool pipe_left_open = false;
    int swept = 0;     ///< descendants that outlived the child and were killed
    int survivors = 0; ///< descendants that could not be killed in time
    Usage usage{};

    [[nodiscard]] bool success() const noexcept { return kind == Kind::exited && code == 0; }
    /// As a shell counts: the code, or 128 + signal.
    [[nodiscard]] int shell_status() const noexcept { return kind == Kind::exited ? code : 128 + signal; }
};

/// "ended with status 3", "was killed by SIGSEGV (core written)"; for messages: "<program> <this>".
std::string to_string(const Exit& exit);

using OnLine = std::function<void(const Line&)>;
/// About every 250 ms while the child runs; its pid, which is also the id of its process group.
using OnTick = std::function<void(pid_t child)>;

/// Runs `command` to its end. While a callback works nothing is read, so a child that prints faster than we
/// take waits; memory stays bounded. On stop or deadline: SIGTERM to the group, `grace`, SIGKILL to the
/// group. In every case all descendants left over are killed and reaped before this returns (bounded in
/// time). A callback that throws ends the child (SIGKILL, sweep) and the exception goes on to the caller.
Result<Exit> run(const Command& command, const Limits& limits, const StopToken& stop, const OnLine& on_line,
                 const OnTick& on_tick = {});

struct Captured {
    Exit exit{};
    std::string out{}; ///< raw bytes, the first `most_bytes` of them
    std::string err{};
    bool truncated = false; ///< more was printed than kept, on either stream
};

/// Runs something short and keeps what it printed, at most `most_bytes` per stream (the rest is read and
/// dropped).
Result<Captured> capture(const Command& command, const Limits& limits, const StopToken& stop,
                         std::size_t most_bytes = 1U << 20U);

/// The executable `name` means: itself if it has a '/', otherwise the first match in `path` ("a:b:c"; entries
/// that are empty or relative are passed over, since the working directory may belong to somebody else).
/// Error: class pod, `buildrunerror`, telling "not found" from "not executable".
Result<std::filesystem::path> find_program(std::string_view name, std::string_view path);

/// Command line as one would type it in a POSIX shell, on one line, in printable characters only: control
/// characters and malformed UTF-8 appear as $'\x1b'.
std::string quote(const std::vector<std::string>& argv);

/// Notes the signal mask and dispositions this program was started with, for its children. Call first thing
/// in main, before anything is blocked or ignored; without it children get an empty mask and all defaults.
void remember_signals();

} // namespace slipway::process
