// Reading a recorded stream of frames: from a file, from standard input, plain or zstd-compressed.
//
// In: bytes somebody else wrote (hostile until parsed). Out: lines, told apart into frames and foreign lines,
// and a parsed, type-safe view of a frame. Format: docs/frames.md, protocol 1.
// Memory is bounded whatever the input: a line keeps at most `line_limit` bytes, a decompression window at
// most 128 MiB, a frame nests at most 16 deep.
// Errors: class usage for what cannot be opened, is damaged, or speaks a newer protocol.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames {

/// The newest protocol this program reads.
inline constexpr int readable_protocol = 1;

/// Code of the error parse_frame gives for a newer protocol.
inline constexpr std::string_view newer_protocol = "newerprotocol";

/// True for a line that claims to be a frame: it begins with `{"slipway":`. Everything else is foreign.
bool is_frame_line(std::string_view line) noexcept;

/// A JSON value as plain data. Objects and arrays keep their order; array items have empty names.
struct ReadValue {
    enum class Type : std::uint8_t { null, boolean, integer, number, string, array, object };

    struct Member;

    Type type = Type::null;
    bool boolean = false;
    std::int64_t integer = 0; ///< for integer; what lies beyond int64 is clamped
    double number = 0;        ///< for integer and number
    std::string string;
    std::vector<Member> members; ///< of an object or array

    /// The member `name` of an object, or nullptr.
    [[nodiscard]] const ReadValue* find(std::string_view name) const noexcept;
};

struct ReadValue::Member {
    std::string name;
    ReadValue value;
};

/// "object", "integer", …
std::string_view to_string(ReadValue::Type type) noexcept;

/// A frame as read. Members that are absent or of another type read as empty or zero here; check.hpp is
/// where that is a violation. Accessors take a path below the payload: "where.file", "n".
class ReadFrame {
  public:
    int protocol = 0;
    std::uint64_t seq = 0;
    std::optional<std::chrono::sys_time<std::chrono::milliseconds>> time;
    std::string step;
    std::string kind;
    ReadValue root; ///< the whole object

    /// The payload: the member named like the kind; nullptr where there is none.
    [[nodiscard]] const ReadValue* payload() const noexcept;
    [[nodiscard]] const ReadValue* find(std::string_view path) const noexcept;

    [[nodiscard]] std::string_view text(std::string_view path) const noexcept;
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view path) const noexcept;
    [[nodiscard]] std::optional<double> number(std::string_view path) const noexcept;
    [[nodiscard]] bool flag(std::string_view path) const noexcept;
    /// Integers of 0 or more.
    [[nodiscard]] std::optional<std::uint64_t> size(std::string_view path) const noexcept;
    [[nodiscard]] std::optional<std::chrono::milliseconds> milliseconds(std::string_view path) const noexcept;
};

/// Parses one line (with or without its newline). Errors, all class usage: not JSON, a member twice in one
/// object, nested too deep, no protocol number; a protocol newer than `readable_protocol` has the code
/// `newer_protocol` and a hint.
Result<ReadFrame> parse_frame(std::string_view line);

/// "2026-11-22T07:45:03.118Z", nothing else.
std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_utc(std::string_view text) noexcept;

/// One line of a stream. `text` lives until the next call of next().
struct StreamLine {
    std::uint64_t number = 0; ///< 1-based
    std::string_view text;    ///< without its newline
    std::uint64_t cut = 0;    ///< bytes of an over-long line that are not in `text`
    bool terminated = true;   ///< false for a last line without newline
};

/// Lines of a file or a pipe. zstd is recognised by its magic number, several zstd frames in a row are read
/// as one stream.
class StreamReader {
  public:
    /// Longest line kept. Frames are 4,096 bytes; a foreign line may be anything.
    static constexpr std::size_t line_limit = std::size_t{64} << 10U;

    /// A path, or "-" for standard input.
    static Result<StreamReader> open(const std::filesystem::path& path);
    static Result<StreamReader> from_fd(Fd fd, std::string name);

    /// The next line; nothing at the end. A truncated or damaged zstd stream gives every line that can be
    /// had, then an error.
    Result<std::optional<StreamLine>> next();

    StreamReader(StreamReader&&) noexcept;
    StreamReader& operator=(StreamReader&&) noexcept;
    StreamReader(const StreamReader&) = delete;
    StreamReader& operator=(const StreamReader&) = delete;
    ~StreamReader();

  private:
    struct Impl;
    explicit StreamReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace slipway::frames
