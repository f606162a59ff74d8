#include "frames/stream.hpp"

#include "frames/encode.hpp"
#include "frames/fold.hpp"
#include "frames/mask_strings.hpp"
#include "frames/progress_gate.hpp"
#include "frames/tail.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace slipway::frames {

namespace {

using Steady = std::chrono::steady_clock::time_point;

constexpr std::size_t max_early = 256;
constexpr std::size_t max_early_bytes = std::size_t{1} << 20U;
/// What stands around the text of a log frame, about.
constexpr std::uint64_t log_envelope = 150;

/// A phase that does not go forward, told as progress. Nothing for the final ones.
std::optional<Progress> as_progress(const Phase& phase) {
    Progress progress;
    progress.unit = Unit::layers;
    switch (phase.name) {
    case PhaseName::unpacking: progress.what = "fetch"; break;
    case PhaseName::pulling: progress.what = "pull"; break;
    case PhaseName::checking_cache:
    case PhaseName::priming_cache: progress.what = "cache"; break;
    case PhaseName::building: progress.what = "build"; break;
    case PhaseName::pushing: progress.what = "push"; break;
    case PhaseName::complete:
    case PhaseName::error: return std::nullopt;
    }
    if (phase.pull) {
        const Pull& pull = *phase.pull;
        progress.id = pull.registry.empty() ? pull.image : pull.registry + '/' + pull.image;
        if (!pull.tag.empty()) {
            progress.id += ':' + pull.tag;
        } else if (!pull.digest.empty()) {
            progress.id += '@' + pull.digest;
        }
    }
    return progress;
}

} // namespace

bool PhaseTracker::advance(PhaseName name) {
    const std::scoped_lock lock(mutex_);
    // complete and error are both final: neither follows the other.
    const auto rank = [](PhaseName phase) {
        return std::min(static_cast<int>(phase), static_cast<int>(PhaseName::complete));
    };
    if (current_ && rank(name) <= rank(*current_)) {
        return false;
    }
    current_ = name;
    return true;
}

class Stream::Impl {
  public:
    explicit Impl(StreamOptions options)
        : options_(std::move(options)), tail_(options_.budget.tail()),
          lanes_{LaneState(options_.redactor, Lane::out), LaneState(options_.redactor, Lane::err)} {
        if (options_.phases == nullptr) {
            options_.phases = &own_phases_;
        }
    }

    ~Impl() {
        stop_heartbeat();
        const std::scoped_lock lock(mutex_);
        if (!ended_) {
            finish_lanes();
            if (options_.archive) {
                static_cast<void>(options_.archive->close());
            }
        }
    }

    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    bool emit(Payload payload) {
        if (const End* end_payload = std::get_if<End>(&payload)) {
            return end(end_payload->status, end_payload->exit);
        }
        const std::scoped_lock lock(mutex_);
        if (ended_) {
            return false;
        }
        if (Hello* hello = std::get_if<Hello>(&payload)) {
            return greet(std::move(*hello));
        }
        if (!greeted_) {
            early(std::move(payload), sizeof(Payload));
            return true;
        }
        route(std::move(payload));
        return true;
    }

    void log(Lane lane, std::string_view text, LineEnd end, std::optional<int> n) {
        const std::scoped_lock lock(mutex_);
        if (ended_) {
            return;
        }
        if (!greeted_) {
            early(EarlyLog{.lane = lane, .text = std::string(text), .end = end, .n = n}, text.size());
            return;
        }
        take_log(lane, text, end, n);
    }

    void flush_log() {
        const std::scoped_lock lock(mutex_);
        if (!ended_ && greeted_) {
            flush_folds();
        }
    }

    bool end(EndStatus status, int exit) {
        {
            const std::scoped_lock lock(mutex_);
            if (std::exchange(ending_, true)) {
                return false;
            }
        }
        stop_heartbeat();
        const std::scoped_lock lock(mutex_);
        if (!greeted_) {
            Hello hello;
            hello.version = options_.version;
            hello.build_id = options_.build_id;
            hello.does = "nothing: the step ended before it began";
            greet(std::move(hello));
        }
        finish_lanes();
        for (Progress& progress : gate_.drain()) {
            write(std::move(progress));
        }
        write_tail();
        write_end(status, exit);
        ended_ = true;
        return true;
    }

    bool ended() const {
        const std::scoped_lock lock(mutex_);
        return ended_;
    }

    Totals totals() const {
        const std::scoped_lock lock(mutex_);
        return {.frames = seq_, .dropped = dropped_, .redactions = redactions_};
    }

  private:
    struct LaneState {
        LaneState(const Redactor& redactor, Lane name) : lane(name), masker(redactor) {}

        Lane lane;
        Masker masker;
        Fold fold;
        std::optional<int> n;  ///< of the line being put together
        bool open = false;     ///< the last piece written said `more`
        bool skipping = false; ///< the rest of this line is left out
        std::string joined;    ///< scratch
    };
    struct EarlyLog {
        Lane lane;
        std::string text;
        LineEnd end;
        std::optional<int> n;
    };

    // Everything below is called with mutex_ held, except where it says otherwise.

    void early(std::variant<Payload, EarlyLog> item, std::size_t bytes) {
        if (early_.size() < max_early && early_bytes_ + bytes <= max_early_bytes) {
            early_bytes_ += bytes;
            early_.push_back(std::move(item));
        } else if (const EarlyLog* log = std::get_if<EarlyLog>(&item)) {
            gap_ += log->text.size();
            dropped_ += log->text.size();
            in_step_ = false;
        }
    }

    bool greet(Hello hello) {
        if (greeted_) {
            return false;
        }
        greeted_ = true;
        begun_ = options_.clock.steady();
        write(std::move(hello));
        for (auto& item : std::exchange(early_, {})) {
            if (Payload* payload = std::get_if<Payload>(&item)) {
                route(std::move(*payload));
            } else if (const EarlyLog* log = std::get_if<EarlyLog>(&item)) {
                take_log(log->lane, log->text, log->end, log->n);
            }
        }
        if (options_.heartbeat > Milliseconds(0) && !ending_) {
            heart_ = std::jthread([this](const std::stop_token& stop) { beat(stop); });
        }
        return true;
    }

    void route(Payload payload) {
        if (Log* log = std::get_if<Log>(&payload)) {
            take_log(log->stream, log->text, log->more ? LineEnd::partial : LineEnd::newline, log->n);
            return;
        }
        if (Progress* progress = std::get_if<Progress>(&payload)) {
            tell(std::move(*progress));
            return;
        }
        if (const Phase* phase = std::get_if<Phase>(&payload)) {
            if (!options_.phases->advance(phase->name)) {
                if (std::optional<Progress> progress = as_progress(*phase)) {
                    tell(std::move(*progress));
                }
                return;
            }
        }
        if (std::holds_alternative<Command>(payload)) {
            // A new instruction, or the end of one: its unfinished line belongs before it.
            flush_folds();
        }
        write(std::move(payload));
    }

    void tell(Progress progress) {
        if (gate_.full()) {
            for (Progress& kept : gate_.drain()) {
                write(std::move(kept));
            }
        }
        const bool waited = gate_.due().has_value();
        if (gate_.admit(progress, options_.clock.steady(), options_.budget.thin())) {
            write(std::move(progress));
        } else if (!waited) {
            wake_.notify_all();
        }
    }

    void tell_due() {
        if (!gate_.due()) {
            return;
        }
        for (Progress& progress : gate_.take(options_.clock.steady())) {
            write(std::move(progress));
        }
    }

    // Writing

    std::string_view time() {
        last_time_ = std::max(last_time_, options_.clock.now());
        return time_text_.format(last_time_);
    }

    /// line_ goes out as the frame of number seq_ + 1.
    void put(bool live_log) {
        ++seq_;
        options_.output.write(line_);
        options_.budget.charge(line_.size(), live_log);
        last_write_ = options_.clock.steady();
    }

    void write(Payload payload) {
        detail::mask_strings(payload, options_.redactor, redactions_);
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

    void archive_log(const LaneState& lane, std::string_view text, bool more, std::string_view now) {
        std::size_t used = 0;
        do {
            used = encode_log(line_, ++archive_seq_, now, options_.step,
                              {.stream = lane.lane, .n = lane.n, .text = text, .more = more});
            options_.archive->write(line_);
            text.remove_prefix(used);
        } while (!text.empty());
    }

    /// One line, or a piece of one, redacted and folded: live if the budget allows, and into the archive.
    void write_line(LaneState& lane, std::string_view text, bool more) {
        const std::string_view now = time();
        const bool apart = options_.archive && !in_step_;
        const bool thin = options_.budget.thin();
        std::string_view rest = text;
        do {
            if (lane.skipping ||
                !options_.budget.admit(std::min<std::uint64_t>(rest.size() + log_envelope, max_frame_bytes),
                                       last_write_or_now(thin))) {
                leave_out(lane, rest, more, now);
                if (options_.archive) {
                    archive_log(lane, apart ? text : rest, more, now);
                }
                return;
            }
            const std::size_t used =
                encode_log(line_, seq_ + 1, now, options_.step,
                           {.stream = lane.lane, .n = lane.n, .text = rest, .more = more, .dropped = gap_});
            if (thin) {
                tail_.push(
                    {.lane = lane.lane, .n = lane.n, .more = more || used < rest.size(), .written = true},
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
            archive_log(lane, text, more, now);
        }
    }

    /// The clock is asked only when the time matters.
    Steady last_write_or_now(bool thin) const { return thin ? options_.clock.steady() : last_write_; }

    void leave_out(LaneState& lane, std::string_view text, bool more, std::string_view now) {
        in_step_ = false;
        if (lane.open) {
            // The line was begun live: it gets its last piece, or a consumer would wait for it.
            encode_log(line_, seq_ + 1, now, options_.step, {.stream = lane.lane, .n = lane.n, .text = {}});
            put(true);
            lane.open = false;
        }
        lane.skipping = more;
        const std::uint64_t cost = text.size() + (more ? 0 : 1);
        gap_ += cost;
        dropped_ += cost;
        tail_.push({.lane = lane.lane, .n = lane.n, .more = more, .written = false, .cost = cost}, text);
    }

    /// The last lines once more, from the first that was left out; as many as the budget has kept room for.
    void write_tail() {
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
            const detail::Tail::Line& line = lines[at];
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

    void write_tail_line(const detail::Tail::Line& line, std::string_view text) {
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

    void write_end(EndStatus status, int exit) {
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
        detail::mask_strings(payload, options_.redactor, redactions_);
        End& last = std::get<End>(payload);
        last.frames = seq_ + 1;
        last.dropped = dropped_;
        last.redactions = redactions_;
        encode_into(line_, seq_ + 1, time(), options_.step, payload);
        put(false);
    }

    // Log text

    void take_log(Lane name, std::string_view text, LineEnd end, std::optional<int> n) {
        tell_due();
        LaneState& lane = lanes_[static_cast<std::size_t>(name)];
        const bool carried = lane.masker.held() > 0 || lane.fold.pending();
        if (!carried) {
            lane.n = n;
        }
        const std::string_view line_end = end == LineEnd::newline   ? "\n"
                                          : end == LineEnd::partial ? ""
                                                                    : "\r";
        if (options_.redactor.empty() && lane.masker.held() == 0) {
            if (end == LineEnd::newline && lane.fold.plain(text)) {
                write_line(lane, text, false);
                return;
            }
            fold(lane, text, n);
            fold(lane, line_end, n);
            return;
        }
        lane.joined.assign(text);
        lane.joined += line_end;
        const std::uint64_t before = lane.masker.redactions();
        const std::string_view certain = lane.masker.feed(lane.joined);
        redactions_ += lane.masker.redactions() - before;
        split(lane, certain, n);
    }

    /// Whole lines that need no folding take the short way.
    void split(LaneState& lane, std::string_view bytes, std::optional<int> n) {
        while (!bytes.empty()) {
            const std::size_t end = bytes.find('\n');
            if (end != std::string_view::npos && lane.fold.plain(bytes.substr(0, end))) {
                write_line(lane, bytes.substr(0, end), false);
                lane.n = n;
                bytes.remove_prefix(end + 1);
                continue;
            }
            const std::size_t size = end == std::string_view::npos ? bytes.size() : end + 1;
            fold(lane, bytes.substr(0, size), n);
            bytes.remove_prefix(size);
        }
    }

    void fold(LaneState& lane, std::string_view bytes, std::optional<int> n) {
        while (!bytes.empty()) {
            // In portions, so that a huge line is never held twice.
            const std::string_view portion = bytes.substr(0, Fold::max_line);
            lane.fold.feed(portion, options_.clock.steady());
            write_folded(lane);
            if (portion.back() == '\n') {
                lane.n = n;
            }
            bytes.remove_prefix(portion.size());
        }
    }

    void write_folded(LaneState& lane) {
        for (Fold::Line& line : lane.fold.lines()) {
            // Folding may have put together what stood apart.
            options_.redactor.mask_in_place(line.text, &redactions_);
            write_line(lane, line.text, line.more);
        }
        lane.fold.lines().clear();
    }

    void flush_folds() {
        for (LaneState& lane : lanes_) {
            lane.fold.finish();
            write_folded(lane);
        }
    }

    void finish_lanes() {
        for (LaneState& lane : lanes_) {
            split(lane, std::string(lane.masker.finish()), lane.n);
        }
        flush_folds();
    }

    // The heartbeat's thread

    /// Called without the lock.
    void stop_heartbeat() {
        std::jthread heart;
        {
            const std::scoped_lock lock(mutex_);
            ending_ = true;
            heart.swap(heart_);
        }
        if (heart.joinable()) {
            heart.request_stop();
            heart.join();
        }
    }

    /// Called without the lock.
    void beat(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            const Steady now = options_.clock.steady();
            tell_due();
            const Steady due = last_write_ + options_.heartbeat;
            if (now >= due) {
                lock.unlock();
                Heartbeat sampled = options_.sample ? options_.sample() : Heartbeat{};
                lock.lock();
                const Steady later = options_.clock.steady();
                if (!stop.stop_requested() && later >= last_write_ + options_.heartbeat) {
                    if (!sampled.elapsed) {
                        sampled.elapsed = std::chrono::duration_cast<Milliseconds>(later - begun_);
                    }
                    write(sampled);
                }
                continue;
            }
            Steady next = due;
            if (const std::optional<Steady> kept = gate_.due()) {
                next = std::min(next, *kept);
            }
            const auto wait = std::max<std::chrono::steady_clock::duration>(next - now, Milliseconds(1));
            const bool kept = gate_.due().has_value();
            wake_.wait_for(lock, stop, wait, [&] { return gate_.due().has_value() != kept; });
        }
    }

    StreamOptions options_;
    PhaseTracker own_phases_;
    mutable std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread heart_;

    bool greeted_ = false;
    bool ending_ = false;
    bool ended_ = false;
    std::vector<std::variant<Payload, EarlyLog>> early_;
    std::size_t early_bytes_ = 0;

    std::uint64_t seq_ = 0;
    std::uint64_t archive_seq_ = 0;
    bool in_step_ = true; ///< the archive's frames are the live ones, byte for byte
    std::uint64_t gap_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t redactions_ = 0;

    std::chrono::system_clock::time_point last_time_{};
    TimeText time_text_;
    Steady begun_{};
    Steady last_write_{};
    std::string line_;
    std::string scratch_;

    detail::Tail tail_;
    detail::ProgressGate gate_;
    std::array<LaneState, 2> lanes_;
};

Stream::Stream(StreamOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Stream::~Stream() = default;

bool Stream::emit(Payload payload) {
    return impl_->emit(std::move(payload));
}

void Stream::log(Lane lane, std::string_view text, LineEnd end, std::optional<int> n) {
    impl_->log(lane, text, end, n);
}

void Stream::flush_log() {
    impl_->flush_log();
}

bool Stream::end(EndStatus status, int exit) {
    return impl_->end(status, exit);
}

bool Stream::ended() const {
    return impl_->ended();
}

Totals Stream::totals() const {
    return impl_->totals();
}

} // namespace slipway::frames
