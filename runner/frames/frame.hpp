// The frame kinds: one struct per kind, and the variant that makes a forgotten kind a compile error.
//
// The JSON member is named like the struct member unless a comment says otherwise. Durations are whole
// milliseconds and their JSON names end in `_ms`; sizes are bytes; an absent optional (and an empty string
// where marked "may be empty") leaves its member out. Contract for consumers: docs/frames.md.
#pragma once

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace slipway::frames {

inline constexpr int protocol_version = 1;

/// Longest encoded frame, newline included.
inline constexpr std::size_t max_frame_bytes = 4096;

/// Which of a child's two streams a piece of log came from.
enum class Lane { out, err };

enum class PhaseName {
    unpacking,
    pulling,
    checking_cache,
    priming_cache,
    building,
    pushing,
    complete,
    error
};

enum class CommandState { started, cached, done, failed };

/// How the frame's place in the build is known: by which process wrote it, or only by what the text says.
enum class Trust { writer, text };

enum class Unit { bytes, objects, commands, layers };

enum class LayerOrigin { base, own };

enum class EndStatus { succeeded, failed, cancelled };

/// Names as they stand in frames ("checking-cache", "out", …).
std::string_view to_string(Lane lane) noexcept;
std::string_view to_string(PhaseName name) noexcept;
std::string_view to_string(CommandState state) noexcept;
std::string_view to_string(Trust trust) noexcept;
std::string_view to_string(Unit unit) noexcept;
std::string_view to_string(LayerOrigin origin) noexcept;
std::string_view to_string(EndStatus status) noexcept;

/// Limits in force for the step; absent = none.
struct Limits {
    std::optional<std::chrono::milliseconds> timeout{};   ///< `timeout_ms`: of the whole step
    std::optional<std::chrono::milliseconds> grace{};     ///< `grace_ms`: between TERM and KILL
    std::optional<std::chrono::milliseconds> heartbeat{}; ///< `heartbeat_ms`
    std::optional<std::uint64_t> log_budget{};            ///< bytes of frames per container
    std::optional<std::uint64_t> memory{};                ///< of the cgroup
    std::optional<std::uint64_t> storage{};               ///< of the volume that storage lies on
    std::optional<std::uint64_t> processes{};             ///< pids limit of the cgroup
};

/// How this pod builds: docs/pod.md names the recipes.
struct Recipe {
    std::string name{};
    std::string isolation{}; ///< may be empty
    std::string reason{};    ///< why this one; may be empty
};

struct Storage {
    std::string driver{};
    std::string path{}; ///< may be empty
};

/// First frame of each step.
struct Hello {
    int protocol = protocol_version;
    std::string version{}; ///< of the program
    std::string build_id{};
    int attempt = 1;
    std::string does{}; ///< one line: what this step will do
    std::optional<Recipe> recipe{};
    std::optional<Storage> storage{};
    Limits limits{};
};

/// What is being pulled; only with the phase `pulling`. Members stand beside `name`; each may be empty.
struct Pull {
    std::string registry{};
    std::string image{};
    std::string tag{};
    std::string digest{};
    std::string username{};
};

struct Phase {
    PhaseName name = PhaseName::unpacking;
    std::optional<Pull> pull{};
};

/// One instruction of the Dockerfile, counted over all stages that will really run.
struct Command {
    int n = 1;
    int of = 1;
    std::string stage{}; ///< name or number of the stage; may be empty
    std::optional<int> line{};
    std::string text{}; ///< as written in the Dockerfile
    CommandState state = CommandState::started;
    std::optional<std::chrono::milliseconds> duration{}; ///< `duration_ms`, with `done` and `failed`
    Trust trust = Trust::writer;
};

struct Log {
    Lane stream = Lane::out;
    std::optional<int> n{}; ///< number of the command that printed it
    std::string text{};
    bool more = false;         ///< the line goes on in the next `log` of the same stream
    std::uint64_t dropped = 0; ///< bytes of log left out just before; 0 = member absent
    bool tail = false;         ///< repeated from the end of a thinned log; see docs/frames.md
};

struct Progress {
    std::string what{}; ///< "fetch", "pull", "build", "push", …
    std::string id{};   ///< one bar per what and id; may be empty
    std::uint64_t current = 0;
    std::optional<std::uint64_t> total{};
    Unit unit = Unit::bytes;
};

struct Heartbeat {
    std::optional<std::chrono::milliseconds> elapsed{}; ///< `elapsed_ms` since hello; Stream fills it in
    std::optional<std::uint64_t> memory{};              ///< of the process tree
    std::optional<std::uint64_t> memory_limit{};        ///< of the cgroup
    std::optional<std::uint64_t> storage_free{};        ///< bytes
    std::optional<std::uint64_t> inodes_free{};
};

struct Warning {
    std::string code{};
    std::string message{};
    std::string hint{}; ///< may be empty
    std::string rule{}; ///< of docs/lint.md; may be empty
    std::optional<Where> where{};
};

struct BaseImage {
    std::string name{};
    std::string digest{}; ///< may be empty
};

struct Image {
    std::string id{};
    std::string digest{};        ///< of the manifest
    std::string config_digest{}; ///< may be empty
    std::string media_type{};    ///< of the manifest; may be empty
    std::string platform{};      ///< "linux/amd64"; may be empty
    std::uint64_t size = 0;      ///< of all blobs, compressed
    int layers = 0;
    std::vector<BaseImage> base_images{};
};

struct Layer {
    std::string digest{};
    std::uint64_t size = 0; ///< compressed
    std::string media_type{};
    LayerOrigin from = LayerOrigin::own;
};

/// What is also written as a Tekton result.
struct ResultFrame {
    std::string name{};
    std::string value{};
};

/// A span of time.
struct Timing {
    std::string what{};
    std::chrono::system_clock::time_point start{};
    std::chrono::milliseconds duration{0};          ///< `duration_ms`
    std::optional<std::chrono::milliseconds> cpu{}; ///< `cpu_ms`
    std::optional<std::uint64_t> peak_memory{};
    std::optional<std::uint64_t> bytes{};
};

struct ErrorFrame {
    std::string code{};
    ErrorClass klass = ErrorClass::internal; ///< `class`
    std::string message{};
    std::string cause{}; ///< may be empty
    std::string hint{};  ///< may be empty
    std::optional<Where> where{};
    int exit = 0;                      ///< status this step will exit with because of it
    std::optional<int> child_exit{};   ///< status of the command that failed
    std::vector<std::string> output{}; ///< last lines the command that failed printed; empty = member absent
    std::optional<std::chrono::milliseconds> duration{}; ///< `duration_ms`: how long that command had run
    std::optional<std::uint64_t> peak_memory{};          ///< most memory seen, in bytes, without page cache

    /// `signal` counts only for class `cancelled`: the exit status is then 128 + signal.
    static ErrorFrame from(const Error& error, int signal = 15);
};

/// A line for a shell that repeats the failed build elsewhere.
struct Reproduce {
    std::string command{};
    bool more = false; ///< the line goes on in the next `reproduce`
};

/// Last frame of each step. Stream fills in all but `status` and `exit`.
struct End {
    EndStatus status = EndStatus::failed;
    int exit = 0;
    std::uint64_t frames = 0;     ///< in `totals`: of this step, this one included
    std::uint64_t dropped = 0;    ///< in `totals`: bytes of log that were never written
    std::uint64_t redactions = 0; ///< in `totals`: places masked
    std::string archive{};        ///< path of the whole log; may be empty
};

using Payload = std::variant<Hello, Phase, Command, Log, Progress, Heartbeat, Warning, Image, Layer,
                             ResultFrame, Timing, Reproduce, ErrorFrame, End>;

/// "hello", "phase", …: the kind, and the name of the payload member.
std::string_view kind_of(const Payload& payload) noexcept;

} // namespace slipway::frames
