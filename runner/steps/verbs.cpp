#include "steps/verbs.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "handoff/files.hpp"
#include "steps/ca_directory.hpp"
#include "steps/inspect.hpp"
#include "steps/output.hpp"
#include "steps/resolve_report.hpp"
#include "steps/steps.hpp"

#include <algorithm>
#include <optional>
#include <unistd.h>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

template <class... Visitors> struct Overloaded : Visitors... {
    using Visitors::operator()...;
};

/// The hand-off directory, and the private one where none was given.
struct State {
    fs::path path;
    std::optional<TemporaryDirectory> temporary;
};

Result<State> open_state(const cli::Common& common) {
    if (!common.state.empty()) {
        TRY(make_directories(common.state));
        return State{.path = common.state, .temporary = {}};
    }
    const fs::path standard = "/slipway/state";
    if (::access(standard.c_str(), W_OK) == 0) {
        return State{.path = standard, .temporary = {}};
    }
    TRY_ASSIGN(auto temporary, TemporaryDirectory::create("slipway-state-"));
    fs::path path = temporary.path();
    return State{.path = std::move(path), .temporary = std::move(temporary)};
}

/// A step on its own: what comes before it is read from the hand-off directory, inside the step, so that a
/// missing value is an error frame like any other.
class Runner {
  public:
    Runner(const cli::Common& common, fs::path state, const StopToken& stop)
        : common_(common), state_(std::move(state)), output_(make_output(common.output)),
          budget_(common.log_budget), ports_{.clock = clock_,
                                             .output = *output_,
                                             .redactor = redactor_,
                                             .budget = budget_,
                                             .phases = phases_,
                                             .stop = stop} {}

    int operator()(const cli::Fetch& params) {
        return step("fetch", [&](Step& step) -> Status { return keep(source_, fetch(params, step)); });
    }
    int operator()(const cli::Resolve& params) {
        return step("resolve", [&](Step& step) -> Status {
            if (!source_) {
                auto source = params.source.empty() ? handoff::read_source(state_) : handoff::Source{};
                if (!source) {
                    step.hello("resolve the Dockerfile");
                }
                TRY(keep(source_, std::move(source)));
            }
            return keep(plan_, resolve(params, *source_, step));
        });
    }
    int operator()(const cli::Build& params) {
        return step("build", [&](Step& step) -> Status {
            TRY(need(plan_, "build the image", [&] { return handoff::read_plan(state_); }, step));
            return keep(image_, build(params, *plan_, step));
        });
    }
    int operator()(const cli::Push& params) {
        return step("push", [&](Step& step) -> Status {
            TRY(need(image_, "push the image", [&] { return handoff::read_image(state_); }, step));
            return keep(pushed_, push(params, *image_, step));
        });
    }
    int operator()(const cli::Index& params) {
        return step("index", [&](Step& step) -> Status { return index(params, step); });
    }
    int operator()(const cli::Run& params) {
        for (const auto& one : {std::function<int()>([&] { return (*this)(params.fetch); }),
                                std::function<int()>([&] { return (*this)(params.resolve); }),
                                std::function<int()>([&] { return (*this)(params.build); })}) {
            if (const int exit = one(); exit != 0) {
                return exit;
            }
        }
        return (*this)(params.push);
    }

  private:
    int step(std::string_view name, const std::function<Status(Step&)>& body) {
        return run_step(name, ports_, common_, state_, body);
    }

    template <class Value> static Status keep(std::optional<Value>& place, Result<Value> value) {
        TRY(value);
        place = std::move(*value);
        return {};
    }

    template <class Value, class Read>
    static Status need(std::optional<Value>& place, std::string_view does, const Read& read, Step& step) {
        if (place) {
            return {};
        }
        auto value = read();
        if (!value) {
            step.hello(std::string(does));
        }
        return keep(place, std::move(value));
    }

    const cli::Common& common_;
    fs::path state_;
    SystemClock clock_;
    std::unique_ptr<frames::Output> output_;
    frames::Redactor redactor_;
    frames::Budget budget_;
    frames::PhaseTracker phases_;
    Ports ports_;
    std::optional<handoff::Source> source_;
    std::optional<handoff::Plan> plan_;
    std::optional<handoff::Image> image_;
    std::optional<handoff::Pushed> pushed_;
};

template <class Params>
int run_steps(std::string_view name, const cli::Invocation& invocation, const Params& params,
              const StopToken& stop) {
    log::set_level(invocation.common.log_level);
    auto state = open_state(invocation.common);
    if (!state) {
        return refuse(name, state.error());
    }
    cli::Common common = invocation.common;
    auto authorities = ca_bundle(common, state->path);
    if (!authorities) {
        return refuse(name, authorities.error());
    }
    common.ca_file = std::move(*authorities);
    Runner runner(common, state->path, stop);
    return runner(params);
}

int run_report(const cli::Invocation& invocation, const cli::Resolve& resolve, const StopToken& stop) {
    log::set_level(invocation.common.log_level);
    const auto state = open_state(invocation.common);
    return state ? report_resolve(invocation.common, resolve, state->path, stop) : report(state.error());
}

/// One line that no terminal takes for commands: what a caller typed comes back in errors.
std::string printable(std::string text) {
    std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return text;
}

} // namespace

int report(const Error& error) {
    std::string text = "slipway: " + printable(error.message) + "\n";
    if (!error.cause.empty() && error.cause != error.message) {
        text += "  cause: " + printable(error.cause) + "\n";
    }
    if (!error.hint.empty()) {
        text += "  hint: " + printable(error.hint) + "\n";
    }
    static_cast<void>(write_all(STDERR_FILENO, text));
    return exit_status(error.klass);
}

int refuse(std::string_view verb, const Error& error) {
    const std::string_view step = verb == "run" ? "fetch" : verb;
    const bool is_step =
        step == "fetch" || step == "resolve" || step == "build" || step == "push" || step == "index";
    if (is_step && ::isatty(STDOUT_FILENO) == 0) {
        const SystemClock clock;
        frames::FdOutput output(STDOUT_FILENO);
        frames::Redactor redactor;
        frames::Budget budget;
        frames::PhaseTracker phases;
        const cli::Common defaults;
        run_step(step,
                 {.clock = clock,
                  .output = output,
                  .redactor = redactor,
                  .budget = budget,
                  .phases = phases,
                  .stop = {}},
                 defaults, {}, [&](Step& refused) -> Status {
                     refused.hello("nothing: the command line was not understood");
                     Error shown = error;
                     shown.message = printable(shown.message);
                     return fail(std::move(shown));
                 });
    }
    return report(error);
}

int run_verb(const cli::Invocation& invocation, const StopToken& stop) {
    return std::visit(
        Overloaded{[](const cli::Help& help) { return print(help.text); },
                   [](const cli::Version& version) { return print_version(version); },
                   [](const cli::Doctor& doctor) { return run_doctor(doctor); },
                   [](const cli::Frames& frames) { return run_frames(frames); },
                   [&](const cli::Fetch& fetch) { return run_steps("fetch", invocation, fetch, stop); },
                   [&](const cli::Resolve& resolve) {
                       return resolve.report.empty() ? run_steps("resolve", invocation, resolve, stop)
                                                     : run_report(invocation, resolve, stop);
                   },
                   [&](const cli::Build& build) { return run_steps("build", invocation, build, stop); },
                   [&](const cli::Push& push) { return run_steps("push", invocation, push, stop); },
                   [&](const cli::Index& index) { return run_steps("index", invocation, index, stop); },
                   [&](const cli::Run& run) { return run_steps("run", invocation, run, stop); }},
        invocation.verb);
}

} // namespace slipway::steps
