#include "frames/log_lanes.hpp"

namespace slipway::frames::detail {

namespace {

/// A longer line is folded even if it needs it not: folding cuts it into pieces.
constexpr std::size_t max_plain = 2 * Fold::max_line;

} // namespace

void LogLanes::take(Lane name, std::string_view text, LineEnd end, std::optional<int> n) {
    LaneState& lane = lanes_[static_cast<std::size_t>(name)];
    const bool carried = lane.masker.held() > 0 || lane.fold.pending();
    if (!carried) {
        lane.line.n = n;
    }
    const std::string_view line_end = end == LineEnd::newline ? "\n" : end == LineEnd::partial ? "" : "\r";
    writer_.begin_log();
    if (options_.redactor.empty() && lane.masker.held() == 0) {
        split(lane, text, line_end, n);
        return;
    }
    lane.joined.assign(text);
    lane.joined += line_end;
    const std::uint64_t before = lane.masker.redactions();
    const std::string_view certain = lane.masker.feed(lane.joined);
    writer_.redactions() += lane.masker.redactions() - before;
    split(lane, certain, {}, n);
}

/// Whole lines that need no folding take the short way. `line_end` ends `bytes`.
void LogLanes::split(LaneState& lane, std::string_view bytes, std::string_view line_end,
                     std::optional<int> n) {
    // Usually all of a chunk is harmless, and one look at it tells.
    const bool calm = Fold::calm(bytes);
    bool pending = lane.fold.pending();
    for (bool last = false; !last;) {
        const std::size_t end = bytes.find('\n');
        last = end == std::string_view::npos;
        const std::string_view line = bytes.substr(0, end);
        if ((!last || line_end == "\n") && !pending && line.size() <= max_plain &&
            (calm || lane.fold.plain(line))) {
            writer_.write_line(lane.line, line, false);
            lane.line.n = n;
        } else {
            fold(lane, last ? line : bytes.substr(0, end + 1), n);
            if (last) {
                fold(lane, line_end, n);
            }
            pending = lane.fold.pending();
        }
        bytes.remove_prefix(last ? bytes.size() : end + 1);
    }
}

void LogLanes::fold(LaneState& lane, std::string_view bytes, std::optional<int> n) {
    while (!bytes.empty()) {
        // In portions, so that a huge line is never held twice.
        const std::string_view portion = bytes.substr(0, Fold::max_line);
        lane.fold.feed(portion, options_.clock.steady());
        write_folded(lane);
        if (portion.back() == '\n') {
            lane.line.n = n;
        }
        bytes.remove_prefix(portion.size());
    }
}

void LogLanes::write_folded(LaneState& lane) {
    for (Fold::Line& line : lane.fold.lines()) {
        // Folding may have put together what stood apart.
        options_.redactor.mask_in_place(line.text, &writer_.redactions());
        writer_.write_line(lane.line, line.text, line.more);
    }
    lane.fold.lines().clear();
}

void LogLanes::flush() {
    writer_.begin_log();
    for (LaneState& lane : lanes_) {
        lane.fold.finish();
        write_folded(lane);
    }
}

void LogLanes::finish() {
    writer_.begin_log();
    for (LaneState& lane : lanes_) {
        split(lane, std::string(lane.masker.finish()), {}, lane.line.n);
    }
    flush();
}

} // namespace slipway::frames::detail
