// The writing half of a Stream (internal to the room): frames numbered, timed, charged to the budget, put
// out and archived; log lines thinned when the budget runs low, and their tail.
//
// Text of log lines comes in redacted and folded. Not thread-safe: the Stream's lock is held around every
// call.
#pragma once

#include "frames/encode.hpp"
#include "frames/stream.hpp"
#include "frames/tail.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::frames::detail {

/// What is known of the line a lane is writing.
struct LaneLine {
    Lane lane = Lane::out;
    std::optional<int> n{}; ///< of the line being put together
    bool open = false;      ///< the last piece written said `more`
    bool skipping = false;  ///< the rest of this line is left out
};

class FrameWriter {
  public:
    using Steady = std::chrono::steady_clock::time_point;

    /// `options` must outlive it.
    explicit FrameWriter(StreamOptions& options) : options_(options), tail_(options.budget.tail()) {}
    FrameWriter(const FrameWriter&) = delete;
    FrameWriter& operator=(const FrameWriter&) = delete;

    /// Log follows that came in now: the lines of one chunk share their time.
    void begin_log();
    /// Any frame but a log line, its strings redacted here.
    void write(Payload payload);
    /// One line, or a piece of one: live if the budget allows, and into the archive.
    void write_line(LaneLine& lane, std::string_view text, bool more);
    /// `bytes` of log were lost before they could be written or archived.
    void lose(std::uint64_t bytes);

    /// The last lines once more, from the first that was left out; as many as the budget has kept room for.
    void write_tail();
    /// Closes the archive, then writes `end`.
    void write_end(EndStatus status, int exit);
    void close_archive();

    [[nodiscard]] Steady last_write() const noexcept { return last_write_; }
    [[nodiscard]] Totals totals() const noexcept {
        return {.frames = seq_, .dropped = dropped_, .redactions = redactions_};
    }
    /// Places masked in this stream; whoever masks counts here.
    [[nodiscard]] std::uint64_t& redactions() noexcept { return redactions_; }

  private:
    std::string_view time();
    std::string_view log_time();
    bool thin();
    void put(bool live_log);
    void archive_log(const LaneLine& lane, std::string_view text, bool more);
    void leave_out(LaneLine& lane, std::string_view text, bool more);
    void write_tail_line(const Tail::Line& line, std::string_view text);

    StreamOptions& options_;
    Tail tail_;

    std::uint64_t seq_ = 0;
    std::uint64_t archive_seq_ = 0;
    bool in_step_ = true; ///< the archive's frames are the live ones, byte for byte
    std::uint64_t gap_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t redactions_ = 0;

    std::chrono::system_clock::time_point last_time_{};
    TimeText time_text_;
    Steady log_came_{};
    bool log_time_known_ = false; ///< the text of last_time_ is the time of this chunk of log
    bool thin_ = false;           ///< the budget runs low, and never recovers
    Steady last_write_{};
    std::string line_;
    std::string scratch_;
};

} // namespace slipway::frames::detail
