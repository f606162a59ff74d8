#include "frames/stream.hpp"

#include "frames/frame_writer.hpp"
#include "frames/log_lanes.hpp"
#include "frames/progress_gate.hpp"

#include <algorithm>
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
        : options_(std::move(options)), writer_(options_), lanes_(options_, writer_) {
        if (options_.phases == nullptr) {
            options_.phases = &own_phases_;
        }
    }

    ~Impl() {
        stop_heartbeat();
        const std::scoped_lock lock(mutex_);
        if (!ended_) {
            lanes_.finish();
            writer_.close_archive();
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
            lanes_.flush();
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
        lanes_.finish();
        for (Progress& progress : gate_.drain()) {
            writer_.write(std::move(progress));
        }
        writer_.write_tail();
        writer_.write_end(status, exit);
        ended_ = true;
        return true;
    }

    bool ended() const {
        const std::scoped_lock lock(mutex_);
        return ended_;
    }

    Totals totals() const {
        const std::scoped_lock lock(mutex_);
        return writer_.totals();
    }

  private:
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
            writer_.lose(log->text.size());
        }
    }

    bool greet(Hello hello) {
        if (greeted_) {
            return false;
        }
        greeted_ = true;
        begun_ = options_.clock.steady();
        writer_.write(std::move(hello));
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
            lanes_.flush();
        }
        writer_.write(std::move(payload));
    }

    void take_log(Lane lane, std::string_view text, LineEnd end, std::optional<int> n) {
        tell_due();
        lanes_.take(lane, text, end, n);
    }

    void tell(Progress progress) {
        if (gate_.full()) {
            for (Progress& kept : gate_.drain()) {
                writer_.write(std::move(kept));
            }
        }
        const bool waited = gate_.due().has_value();
        if (gate_.admit(progress, options_.clock.steady(), options_.budget.thin())) {
            writer_.write(std::move(progress));
        } else if (!waited) {
            wake_.notify_all();
        }
    }

    void tell_due() {
        if (!gate_.due()) {
            return;
        }
        for (Progress& progress : gate_.take(options_.clock.steady())) {
            writer_.write(std::move(progress));
        }
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
            const Steady due = writer_.last_write() + options_.heartbeat;
            if (now >= due) {
                lock.unlock();
                Heartbeat sampled = options_.sample ? options_.sample() : Heartbeat{};
                lock.lock();
                const Steady later = options_.clock.steady();
                if (!stop.stop_requested() && later >= writer_.last_write() + options_.heartbeat) {
                    if (!sampled.elapsed) {
                        sampled.elapsed = std::chrono::duration_cast<Milliseconds>(later - begun_);
                    }
                    writer_.write(sampled);
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

    Steady begun_{};

    detail::FrameWriter writer_;
    detail::LogLanes lanes_;
    detail::ProgressGate gate_;
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
