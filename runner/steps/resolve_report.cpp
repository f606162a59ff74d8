#include "steps/resolve_report.hpp"

#include "base/fd.hpp"
#include "handoff/files.hpp"
#include "lint/report.hpp"
#include "lint/rules.hpp"
#include "steps/steps.hpp"
#include "steps/verbs.hpp"

#include <algorithm>
#include <cctype>
#include <format>
#include <unistd.h>

namespace slipway::steps {

namespace {

/// More in one stream is noise; a report has them all.
constexpr std::size_t most_frames = 200;

/// Frames that nobody reads.
class NoOutput final : public frames::Output {
  public:
    void write(std::string_view /*line*/) override {}
};

/// The planner's codes are older than the rules named after them, and stay.
std::string code_of(const lint::Finding& finding) {
    const lint::Rule* rule = lint::find_rule(finding.rule);
    if (rule != nullptr && rule->origin != lint::Origin::planner) {
        return "lint";
    }
    std::string code = finding.rule;
    std::ranges::transform(code, code.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return code;
}

void emit(const lint::Findings& findings, Step& step) {
    std::size_t left = most_frames;
    std::size_t more = findings.left_out;
    for (const lint::Finding& finding : findings.list) {
        if (finding.severity == lint::Severity::note) {
            continue;
        }
        if (left == 0) {
            ++more;
            continue;
        }
        --left;
        step.stream.emit(
            frames::Warning{.code = code_of(finding),
                            .message = finding.message,
                            .hint = finding.hint,
                            .rule = finding.rule,
                            .where = finding.where.line > 0 ? std::optional(finding.where) : std::nullopt});
    }
    if (more > 0) {
        step.warn("morewarnings", std::format("there are {} more findings than are shown", more),
                  "resolve --report=text shows more");
    }
}

bool fails(std::string_view mode, const lint::Findings& findings) {
    return mode != "off" &&
           (findings.fails || (mode == "error" && findings.count(lint::Severity::warning) > 0));
}

std::string report_as(std::string_view form, const lint::Findings& findings,
                      const lint::ReportOptions& options) {
    return form == "text"   ? lint::text_report(findings, options)
           : form == "json" ? lint::json_report(findings, options)
                            : lint::sarif_report(findings, options);
}

/// What leads from here to the source, so that the files a report names are found. A source elsewhere is
/// named to people in full; tools want relative paths, and get those within it.
std::string prefix_of(const std::filesystem::path& source, bool for_people) {
    std::filesystem::path path = source.lexically_normal();
    std::error_code failure;
    const std::filesystem::path here = std::filesystem::current_path(failure);
    if (path.is_absolute() && !failure) {
        path = path.lexically_relative(here);
    }
    if (const std::string text = path.string(); text.starts_with("..")) {
        return for_people ? (source / "").lexically_normal().string() : "";
    }
    return path == "." || path == "./" || path.empty() ? "" : (path / "").string();
}

} // namespace

Status tell_findings(std::string_view mode, const dockerfile::Dockerfile& file,
                     const dockerfile::BuildPlan* plan, const lint::Options& options, Step& step,
                     lint::Findings* into) {
    lint::Findings findings;
    if (mode != "off") {
        findings = lint::check(file, plan, options);
    } else if (plan != nullptr) {
        findings = lint::from_plan(file, *plan);
    }
    if (into != nullptr) {
        *into = std::move(findings);
        return {};
    }
    emit(findings, step);
    if (!fails(mode, findings)) {
        return {};
    }
    const std::size_t count = findings.count(lint::Severity::warning);
    Error error = make_error(
        ErrorClass::build, code::dockerfile_issue,
        std::format("the checks of the Dockerfile found {} {}", count, count == 1 ? "mistake" : "mistakes"),
        mode == "error" ? "mend them, silence a rule with # check=skip=RULE, or take --lint=warn"
                        : "mend them: the file itself asks for this with # check=error=true");
    const auto first = std::ranges::find(findings.list, lint::Severity::warning, &lint::Finding::severity);
    error.where = first->where;
    return fail(std::move(error));
}

int report_resolve(const cli::Common& common, const cli::Resolve& params, const std::filesystem::path& state,
                   const StopToken& stop) {
    const SystemClock clock;
    NoOutput output;
    frames::Redactor redactor;
    frames::Budget budget(common.log_budget);
    frames::PhaseTracker phases;
    lint::Findings findings;
    const Ports ports{.clock = clock,
                      .output = output,
                      .redactor = redactor,
                      .budget = budget,
                      .phases = phases,
                      .stop = stop};
    std::filesystem::path root = params.source;
    int exit = run_step("resolve", ports, common, state, [&](Step& step) -> Status {
        const auto body = [&]() -> Status {
            auto source = params.source.empty() ? handoff::read_source(state) : handoff::Source{};
            if (!source) {
                step.hello("resolve the Dockerfile");
            }
            TRY(source);
            root = params.source.empty() ? std::filesystem::path(source->directory) : params.source;
            TRY(resolve(params, *source, step, &findings));
            return {};
        };
        Status done = body();
        if (!done) {
            const lint::Finding failure = lint::from_error(done.error());
            // A rule that says the same of the same line has said it better.
            const auto same = std::ranges::find_if(findings.list, [&](const lint::Finding& finding) {
                return failure.where.line > 0 && finding.rule == "DuplicateStageName" &&
                       finding.where.line == failure.where.line;
            });
            if (same != findings.list.end()) {
                same->severity = lint::Severity::error;
            } else {
                findings.list.insert(findings.list.begin(), failure);
            }
        }
        return done;
    });
    if (exit == 0 && fails(params.lint, findings)) {
        exit = exit_status(ErrorClass::build);
    }
    const std::string version = program_version();
    if (const Status written =
            write_all(STDOUT_FILENO,
                      report_as(params.report, findings,
                                {.version = version, .prefix = prefix_of(root, params.report == "text")}));
        !written) {
        return report(written.error());
    }
    return exit;
}

} // namespace slipway::steps
