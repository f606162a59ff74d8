#include "steps/step.hpp"

#include "base/fd.hpp"
#include "base/file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <format>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

#ifndef SLIPWAY_VERSION
#define SLIPWAY_VERSION "0.0.0"
#endif

namespace slipway::steps {

using frames::EndStatus;

std::string program_version() {
    return SLIPWAY_VERSION;
}

void Step::hello(std::string does, std::optional<frames::Recipe> recipe,
                 std::optional<frames::Storage> storage) {
    const auto limit = [](Milliseconds value) {
        return value.count() > 0 ? std::optional(value) : std::nullopt;
    };
    stream.emit(frames::Hello{.version = program_version(),
                              .build_id = common.build_id,
                              .attempt = common.attempt,
                              .does = std::move(does),
                              .recipe = std::move(recipe),
                              .storage = std::move(storage),
                              .limits = {.timeout = limit(common.timeout),
                                         .grace = limit(common.grace),
                                         .heartbeat = limit(common.heartbeat),
                                         .log_budget = common.log_budget,
                                         .memory = {},
                                         .storage = {},
                                         .processes = {}}});
}

void Step::warn(std::string code, std::string message, std::string hint) {
    stream.emit(
        frames::Warning{.code = std::move(code), .message = std::move(message), .hint = std::move(hint)});
}

void Step::result(std::string name, std::string value) {
    const std::lock_guard lock(mutex_);
    results_.push_back({.name = std::move(name), .value = std::move(value)});
}

void Step::secrets(const std::vector<std::string>& values) {
    for (const std::string& value : values) {
        if (!redactor.add(value) && !value.empty()) {
            warn("shortsecret", "a credential is too short to be masked in the log",
                 "use one of at least " + std::to_string(frames::Redactor::min_secret_bytes) + " characters");
        }
    }
}

OnRetry Step::on_retry(std::string what) {
    return [this, what = std::move(what)](const Error& error, int next_try, int tries, Milliseconds delay) {
        warn("retry", std::format("{}: {}; try {} of {} in {}", what, error.message, next_try, tries,
                                  humane_duration(delay)));
    };
}

void Step::heartbeat_from(std::function<frames::Heartbeat()> sample) {
    const std::lock_guard lock(mutex_);
    sample_ = std::move(sample);
}

frames::Heartbeat Step::sample_heartbeat() const {
    const std::lock_guard lock(mutex_);
    return sample_ ? sample_() : frames::Heartbeat{};
}

std::vector<handoff::NamedResult> Step::take_results() {
    const std::lock_guard lock(mutex_);
    return std::exchange(results_, {});
}

void Step::circumstances(Circumstances known) {
    const std::lock_guard lock(mutex_);
    circumstances_ = std::move(known);
}

Circumstances Step::circumstances() const {
    const std::lock_guard lock(mutex_);
    return circumstances_;
}

namespace {

/// The last words of a step, said once, by whoever comes first: the step itself or its watchdog.
class Ending {
  public:
    Ending(frames::Stream& stream, Step& step, const cli::Common& common, const StopToken& stop,
           std::string_view name)
        : stream_(stream), step_(step), common_(common), stop_(stop), name_(name) {}

    int finish(const Status& status) {
        const std::lock_guard lock(mutex_);
        if (exit_) {
            return *exit_;
        }
        Status outcome = status;
        std::vector<handoff::NamedResult> results = step_.take_results();
        if (outcome) {
            outcome = write(results);
            results.clear(); // told, and as far as possible written: not once more with the error's
        }
        if (!outcome) {
            fail_with(outcome.error(), results);
        } else {
            exit_ = 0;
            if (name_ == "push") {
                step_.phase(frames::PhaseName::complete);
            }
            stream_.end(EndStatus::succeeded, 0);
        }
        return *exit_;
    }

  private:
    void fail_with(const Error& error, std::vector<handoff::NamedResult>& results) {
        const int signal = stop_.reason().signal;
        auto frame = frames::ErrorFrame::from(error, signal > 0 ? signal : SIGTERM);
        Circumstances known = step_.circumstances();
        frame.output = std::move(known.output);
        frame.duration = known.duration;
        frame.peak_memory = known.peak_memory;
        results.push_back({.name = "error-reason", .value = error.code});
        results.push_back({.name = "error-message", .value = step_.redactor.mask(error.message)});
        if (const Status written = write(results); !written) {
            step_.warn("results", "results could not be written: " + written.error().message);
        }
        stream_.flush_log();
        step_.phase(frames::PhaseName::error);
        stream_.emit(frame);
        exit_ = frame.exit;
        stream_.end(error.klass == ErrorClass::cancelled ? EndStatus::cancelled : EndStatus::failed,
                    frame.exit);
    }

    Status write(std::vector<handoff::NamedResult>& results) {
        for (const std::string& name : handoff::fit_budget(results, common_.result_budget)) {
            step_.warn("resultcut",
                       "the result " + name + " was cut to fit into " +
                           std::to_string(common_.result_budget) + " bytes",
                       "the whole value is in the frames before");
        }
        for (const handoff::NamedResult& result : results) {
            stream_.emit(frames::ResultFrame{.name = result.name, .value = result.value});
        }
        return handoff::write_results(common_.results, results);
    }

    std::mutex mutex_;
    frames::Stream& stream_;
    Step& step_;
    const cli::Common& common_;
    const StopToken& stop_;
    std::string_view name_;
    std::optional<int> exit_;
};

/// Ends a step that does not end by itself after a stop: a blocking call in a library, say. A consumer waits
/// ten seconds for `end` after SIGTERM, and Kubernetes kills after thirty.
class Watchdog {
  public:
    Watchdog(const StopToken& stop, Milliseconds patience, Ending& ending)
        : thread_([this, stop, patience, &ending] {
              if (stop.fd() < 0 || wait(stop.fd(), -1) != Woken::by_descriptor) {
                  return;
              }
              if (wait(-1, static_cast<int>(patience.count())) == Woken::by_time) {
                  ::_exit(ending.finish(fail(stop.error())));
              }
          }) {}
    Watchdog(const Watchdog&) = delete;
    Watchdog& operator=(const Watchdog&) = delete;
    ~Watchdog() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t n = ::write(ended_.get(), &one, sizeof one);
    }

  private:
    enum class Woken { by_end, by_descriptor, by_time };

    /// Until the step has ended, `fd` is readable (-1: never) or `limit` milliseconds (-1: no limit) are
    /// over.
    [[nodiscard]] Woken wait(int fd, int limit) const {
        std::array<pollfd, 2> events{{{.fd = ended_.get(), .events = POLLIN, .revents = 0},
                                      {.fd = fd, .events = POLLIN, .revents = 0}}};
        while (::poll(events.data(), events.size(), limit) < 0 && errno == EINTR) {
        }
        return events[0].revents != 0   ? Woken::by_end
               : events[1].revents != 0 ? Woken::by_descriptor
                                        : Woken::by_time;
    }

    Fd ended_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::jthread thread_;
};

} // namespace

int run_step(std::string_view name, const Ports& ports, const cli::Common& common,
             const std::filesystem::path& state, const std::function<Status(Step&)>& body) {
    Step* current = nullptr;
    std::optional<frames::Archive> archive;
    std::optional<Error> no_archive;
    if (!common.log_archive.empty()) {
        auto created = frames::Archive::create(common.log_archive, common.build_id, common.attempt, name);
        if (created) {
            archive = std::move(*created);
        } else {
            no_archive = created.error();
        }
    }
    std::mutex current_mutex;
    frames::Stream stream({.step = std::string(name),
                           .clock = ports.clock,
                           .output = ports.output,
                           .redactor = ports.redactor,
                           .budget = ports.budget,
                           .phases = &ports.phases,
                           .archive = std::move(archive),
                           .heartbeat = common.heartbeat,
                           .sample =
                               [&] {
                                   const std::lock_guard lock(current_mutex);
                                   return current != nullptr ? current->sample_heartbeat()
                                                             : frames::Heartbeat{};
                               },
                           .build_id = common.build_id,
                           .version = program_version()});
    Step step(stream, ports, common, state);
    {
        const std::lock_guard lock(current_mutex);
        current = &step;
    }
    if (no_archive) {
        step.warn("logarchive", "the whole log cannot be kept: " + no_archive->message, no_archive->hint);
    }
    Ending ending(stream, step, common, ports.stop, name);
    // TERM, grace and KILL of children must fit in before the watchdog bites.
    const Watchdog watchdog(ports.stop, std::min(common.grace + Milliseconds(3000), Milliseconds(9000)),
                            ending);
    Status status;
    try {
        status = ports.stop.requested() ? Status(fail(ports.stop.error())) : body(step);
    } catch (const std::exception& bug) {
        Error error =
            make_error(ErrorClass::internal, code::internal_error,
                       "the program failed in a way it should not", "please report this with the log");
        error.cause = bug.what();
        status = fail(std::move(error));
    }
    // Whatever a stopped step failed with, the stop is why.
    if (!status && ports.stop.requested()) {
        status = fail(ports.stop.error());
    }
    const int exit = ending.finish(status);
    const std::lock_guard lock(current_mutex);
    current = nullptr;
    return exit;
}

} // namespace slipway::steps
