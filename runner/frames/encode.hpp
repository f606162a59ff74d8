// Encoding: one frame → one line of JSON, at most max_frame_bytes with its newline, always valid UTF-8.
//
// Over-long strings are cut, longest first, between code points, and the payload gets
// `"truncated": <bytes left out>`. Bytes that are not UTF-8 become U+FFFD. Nothing is masked here: that is
// Stream's part (frames/redact.hpp).
#pragma once

#include "frames/frame.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace slipway::frames {

/// "2026-11-22T07:45:03.118Z", as cheap as copying while the second stays the same.
class TimeText {
  public:
    std::string_view format(std::chrono::system_clock::time_point time);

  private:
    std::int64_t second_ = -1;
    std::string text_;
};

/// Appends `text` as the inside of a JSON string, as long as what is appended is at most `limit` bytes, and
/// never half of a code point or escape. Returns how many bytes of `text` were used.
std::size_t append_escaped(std::string& out, std::string_view text, std::size_t limit = std::string::npos);

/// The frame as a line with its newline.
std::string encode(std::uint64_t seq, std::chrono::system_clock::time_point time, std::string_view step,
                   const Payload& payload);

/// The same into `out`, which is overwritten and keeps its capacity; `time` as TimeText gives it.
void encode_into(std::string& out, std::uint64_t seq, std::string_view time, std::string_view step,
                 const Payload& payload);

/// A log frame whose text is not owned. Members as in Log.
struct LogView {
    Lane stream = Lane::out;
    std::optional<int> n{};
    std::string_view text{};
    bool more = false;
    std::uint64_t dropped = 0;
    bool tail = false;
};

/// The hot path: as much of `log.text` as fits into one frame, into `out` (overwritten). What does not fit
/// makes this piece `more: true`; a cut never splits a code point, an escape or a colour sequence. Returns
/// how many bytes of the text went in: call again with the rest (at least one byte is used each time).
std::size_t encode_log(std::string& out, std::uint64_t seq, std::string_view time, std::string_view step,
                       const LogView& log);

} // namespace slipway::frames
