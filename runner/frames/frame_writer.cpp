#include "frames/frame_writer.hpp"

#include "frames/mask_strings.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace slipway::frames::detail {

namespace {

/// What stands around the text of a log frame, about.
constexpr std::uint64_t log_envelope = 150;

} // namespace

std::string_view FrameWriter::time() {
    last_time_ = std::max(last_time_, options_.clock.now());
    return time_text_.format(last_time_);
}

void FrameWriter::begin_log() {
    log_came_ = options_.clock.steady();
    log_time_known_ = false;
}

/// Asked for only when a line is encoded: of a flood of lines most are not.
std::string_view FrameWriter::log_time() {
    if (!std::exchange(log_time_known_, true)) {
        last_time_ = std::max(last_time_, options_.clock.now());
    }
    return time_text_.format(last_time_);
}

bool FrameWriter::thin() {
    thin_ = thin_ || options_.budget.thin();
    return thin_;
}

/// line_ goes out as the frame of number seq_ + 1.
void FrameWriter::put(bool live_log) {
    ++seq_;
    options_.output.write(line_);
    options_.budget.charge(line_.size(), live_log);
    last_write_ = options_.clock.steady();
}

void FrameWriter::write(Payload payload) {
    mask_strings(payload, options_.redactor, redactions_);
    const std::string_view now = time();
    encode_into(line_, seq_ + 1, now, options_.step, payload);
    put(false);
    if (options_.archive) {
        if (!in_step_) {
            encode_into(line_, archive_seq_ + 1, now, options_.step, payload);
        }
        ++archive_seq_;
        options_.archive->write(line_);
    }
}

void FrameWriter::archive_log(const LaneLine& lane, std::string_view text, bool more) {
    const std::string_view now = log_time();
    std::size_t used = 0;
    do {
        used = encode_log(line_, ++archive_seq_, now, options_.step,
                          {.stream = lane.lane, .n = lane.n, .text = text, .more = more});
        options_.archive->write(line_);
        text.remove_prefix(used);
    } while (!text.empty());
}

void FrameWriter::write_line(LaneLine& lane, std::string_view text, bool more) {
    const bool apart = options_.archive && !in_step_;
    const bool low = thin();
    std::string_view rest = text;
    do {
        if (lane.skipping ||
            !options_.budget.admit(std::min<std::uint64_t>(rest.size() + log_envelope, max_frame_bytes),
                                   log_came_)) {
            leave_out(lane, rest, more);
            if (options_.archive) {
                archive_log(lane, apart ? text : rest, more);
            }
            return;
        }
        const std::size_t used =
            encode_log(line_, seq_ + 1, log_time(), options_.step,
                       {.stream = lane.lane, .n = lane.n, .text = rest, .more = more, .dropped = gap_});
        if (low) {
            tail_.push({.lane = lane.lane, .n = lane.n, .more = more || used < rest.size(), .written = true},
                       rest.substr(0, used));
        }
        gap_ = 0;
        rest.remove_prefix(used);
        lane.open = more || !rest.empty();
        put(true);
        if (options_.archive && !apart) {
            ++archive_seq_;
            options_.archive->write(line_);
        }
    } while (!rest.empty());
    if (apart) {
        archive_log(lane, text, more);
    }
}

void FrameWriter::leave_out(LaneLine& lane, std::string_view text, bool more) {
    in_step_ = false;
    if (lane.open) {
        // The line was begun live: it gets its last piece, or a consumer would wait for it.
        encode_log(line_, seq_ + 1, log_time(), options_.step,
                   {.stream = lane.lane, .n = lane.n, .text = {}});
        put(true);
        lane.open = false;
    }
    lane.skipping = more;
    const std::uint64_t cost = text.size() + (more ? 0 : 1);
    gap_ += cost;
    dropped_ += cost;
    tail_.push({.lane = lane.lane, .n = lane.n, .more = more, .written = false, .cost = cost}, text);
}

void FrameWriter::write_tail() {
    const auto& lines = tail_.lines();
    std::uint64_t room = options_.budget.tail();
    std::size_t first = lines.size();
    while (first > 0) {
        const std::string text = tail_.text(lines[first - 1]);
        scratch_.clear();
        append_escaped(scratch_, text);
        const std::uint64_t pieces = scratch_.size() / (max_frame_bytes - 2 * log_envelope) + 1;
        const std::uint64_t cost = scratch_.size() + pieces * (log_envelope + Budget::line_overhead);
        if (cost > room) {
            break;
        }
        room -= cost;
        --first;
    }
    while (first < lines.size() && lines[first].written) {
        ++first;
    }
    // What the tail brings after all was not lost; what stays lost just before it is the gap.
    std::uint64_t brought = 0;
    bool after_live = true;
    for (std::size_t at = first; at < lines.size(); ++at) {
        brought += lines[at].cost;
        after_live = after_live && !lines[at].written;
    }
    dropped_ -= std::min(dropped_, brought);
    gap_ = after_live ? gap_ - std::min(gap_, brought) : 0;
    std::array<bool, 2> open{};
    for (std::size_t at = first; at < lines.size(); ++at) {
        const Tail::Line& line = lines[at];
        open[static_cast<std::size_t>(line.lane)] = line.more;
        write_tail_line(line, tail_.text(line));
    }
    for (const Lane lane : {Lane::out, Lane::err}) {
        if (open[static_cast<std::size_t>(lane)]) {
            write_tail_line({.lane = lane}, {});
        }
    }
    tail_.clear();
}

void FrameWriter::write_tail_line(const Tail::Line& line, std::string_view text) {
    do {
        const std::size_t used = encode_log(line_, seq_ + 1, time(), options_.step,
                                            {.stream = line.lane,
                                             .n = line.n,
                                             .text = text,
                                             .more = line.more,
                                             .dropped = std::exchange(gap_, 0),
                                             .tail = true});
        put(false);
        text.remove_prefix(used);
    } while (!text.empty());
}

void FrameWriter::write_end(EndStatus status, int exit) {
    End end{.status = status, .exit = exit};
    if (options_.archive) {
        Archive& archive = *options_.archive;
        encode_into(
            line_, archive_seq_ + 1, time(), options_.step,
            End{.status = status, .exit = exit, .frames = archive_seq_ + 1, .redactions = redactions_});
        archive.write(line_);
        if (const Status closed = archive.close(); closed) {
            end.archive = archive.path();
        } else {
            options_.archive.reset();
            write(Warning{.code = closed.error().code,
                          .message = closed.error().message,
                          .hint = "check the space and the permissions of the log archive's directory"});
        }
    }
    Payload payload = End(end);
    mask_strings(payload, options_.redactor, redactions_);
    End& last = std::get<End>(payload);
    last.frames = seq_ + 1;
    last.dropped = dropped_;
    last.redactions = redactions_;
    encode_into(line_, seq_ + 1, time(), options_.step, payload);
    put(false);
}

void FrameWriter::lose(std::uint64_t bytes) {
    gap_ += bytes;
    dropped_ += bytes;
    in_step_ = false;
}

void FrameWriter::close_archive() {
    if (options_.archive) {
        static_cast<void>(options_.archive->close());
    }
}

} // namespace slipway::frames::detail
