// The way of a child's output through a Stream (internal to the room): redacted, folded, cut into lines, for
// each lane by itself.
//
// Not thread-safe: the Stream's lock is held around every call.
#pragma once

#include "frames/fold.hpp"
#include "frames/frame_writer.hpp"
#include "frames/redact.hpp"
#include "frames/stream.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::frames::detail {

class LogLanes {
  public:
    /// Both must outlive it.
    LogLanes(const StreamOptions& options, FrameWriter& writer)
        : options_(options), writer_(writer),
          lanes_{LaneState(options.redactor, Lane::out), LaneState(options.redactor, Lane::err)} {}

    /// As Stream::log().
    void take(Lane name, std::string_view text, LineEnd end, std::optional<int> n);
    /// What is held of unfinished lines; beginnings of secrets stay held.
    void flush();
    /// All that is held.
    void finish();

  private:
    struct LaneState {
        LaneState(const Redactor& redactor, Lane name) : line{.lane = name}, masker(redactor) {}

        LaneLine line;
        Masker masker;
        Fold fold;
        std::string joined; ///< scratch
    };

    void split(LaneState& lane, std::string_view bytes, std::string_view line_end, std::optional<int> n);
    void fold(LaneState& lane, std::string_view bytes, std::optional<int> n);
    void write_folded(LaneState& lane);

    const StreamOptions& options_;
    FrameWriter& writer_;
    std::array<LaneState, 2> lanes_;
};

} // namespace slipway::frames::detail
