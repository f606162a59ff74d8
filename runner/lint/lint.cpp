#include "lint/lint.hpp"

#include "dockerfile/text.hpp"
#include "lint/pass.hpp"
#include "lint/rules.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace slipway::lint {

namespace {

/// What the planner says and a rule says better, with a column.
constexpr std::array<std::string_view, 4> covered{"emptycontinuation", "maintainerdeprecated", "secretinname",
                                                  "undefinedvariable"};

std::vector<StageView> stages_of(const dockerfile::Dockerfile& file, const dockerfile::BuildPlan* plan) {
    std::vector<StageView> stages;
    std::unordered_map<std::string, int> names;
    for (const dockerfile::Instruction& instruction : file.instructions) {
        if (instruction.keyword != "FROM") {
            if (!stages.empty()) {
                stages.back().body.push_back(&instruction);
            }
            continue;
        }
        const auto index = stages.size();
        StageView& stage = stages.emplace_back();
        stage.from = &instruction;
        stage.name = instruction.arguments.size() == 3 ? instruction.arguments[2] : std::string();
        if (plan != nullptr && index < plan->stages.size()) {
            const dockerfile::StageBase& base = plan->stages[index].base;
            stage.base = base.kind == dockerfile::BaseKind::stage ? base.stage : -1;
            stage.scratch = base.kind == dockerfile::BaseKind::scratch;
        } else {
            const auto named = names.find(instruction.arguments[0]);
            stage.base = named == names.end() ? -1 : named->second;
            stage.scratch = instruction.arguments[0] == "scratch";
        }
        if (!stage.name.empty()) {
            names.emplace(stage.name, static_cast<int>(index));
        }
    }
    return stages;
}

void check_directives(Pass& pass, const Config& config) {
    for (const dockerfile::Directive& directive : pass.file.directives) {
        if (directive.name == "check") {
            for (const std::string& mistake : config.mistakes) {
                pass.find_at("CheckDirective", nullptr, directive.line, 1, 0, "check: " + mistake,
                             "write # check=skip=RULE,RULE;error=true");
            }
        }
    }
}

Config config_of(const dockerfile::Dockerfile& file) {
    for (const dockerfile::Directive& directive : file.directives) {
        if (directive.name == "check") {
            return read_check(directive.value);
        }
    }
    return {};
}

void note_plan(Pass& pass) {
    for (const dockerfile::PlanWarning& warning : pass.plan->warnings) {
        if (!std::ranges::contains(covered, warning.code)) {
            pass.find_at(warning.code, nullptr, warning.line, 0, 0, warning.message, warning.hint);
        }
    }
}

} // namespace

Pass::Pass(const dockerfile::Dockerfile& of, const dockerfile::BuildPlan* planned, const Options& chosen)
    : file(of), plan(planned), options(chosen), stages(stages_of(of, planned)), config_(config_of(of)) {
    for (const dockerfile::Instruction& instruction : file.instructions) {
        if (instruction.keyword == "FROM") {
            break;
        }
        heading.push_back(&instruction);
    }
    check_directives(*this, config_);
}

bool Pass::wanted(std::string_view rule, const dockerfile::Instruction* at) {
    if (!has_room(rule)) {
        return false;
    }
    const Rule* known = find_rule(rule);
    if (at != nullptr && known != nullptr && !known->experimental) {
        auto local = local_.find(at->line);
        if (local == local_.end()) {
            local = local_.emplace(at->line, comment_above(file, *at)).first;
        }
        if (local->second.silences(*known)) {
            return false;
        }
    }
    ++counts_.find(rule)->second;
    return true;
}

bool Pass::has_room(std::string_view rule) {
    auto count = counts_.find(rule);
    if (count == counts_.end()) {
        const Rule* known = find_rule(rule);
        const bool silent = known != nullptr && config_.silences(*known);
        count = counts_.emplace(std::string(rule), silent ? silenced : 0).first;
    }
    if (count->second == most_findings_per_rule) {
        ++found_.left_out;
    }
    return count->second < most_findings_per_rule;
}

void Pass::find(std::string_view rule, const dockerfile::Instruction& at, std::string_view fragment,
                std::string message, std::string hint) {
    if (!wanted(rule, &at)) {
        return;
    }
    const Where where = file.where(at, fragment);
    std::string_view behind = file.line_text(where.line);
    behind.remove_prefix(std::min(static_cast<std::size_t>(std::max(where.column - 1, 0)), behind.size()));
    const std::size_t width = !fragment.empty() && behind.starts_with(fragment)
                                  ? fragment.size()
                                  : std::min(behind.find_first_of(" \t"), behind.size());
    keep(rule, where, static_cast<int>(width), std::move(message), std::move(hint));
}

void Pass::find_at(std::string_view rule, const dockerfile::Instruction* at, int line, int column, int width,
                   std::string message, std::string hint) {
    if (wanted(rule, at)) {
        keep(rule, file.where(line, column), width, std::move(message), std::move(hint));
    }
}

void Pass::keep(std::string_view rule, Where where, int width, std::string message, std::string hint) {
    const Rule* known = find_rule(rule);
    found_.list.push_back({.rule = std::string(known != nullptr ? known->name : rule),
                           .severity = known != nullptr ? known->severity : Severity::warning,
                           .message = std::move(message),
                           .hint = std::move(hint),
                           .where = std::move(where),
                           .width = width});
    found_.fails = found_.fails || (config_.error && known != nullptr && known->origin == Origin::buildkit);
}

Findings Pass::take() {
    std::ranges::stable_sort(found_.list, {}, [](const Finding& finding) {
        return std::tuple(finding.where.line, finding.where.column);
    });
    return std::move(found_);
}

std::size_t Findings::count(Severity severity) const noexcept {
    return static_cast<std::size_t>(std::ranges::count(list, severity, &Finding::severity));
}

Findings check(const dockerfile::Dockerfile& file, const dockerfile::BuildPlan* plan,
               const Options& options) {
    Pass pass(file, plan, options);
    if (plan != nullptr) {
        note_plan(pass);
    }
    check_style(pass);
    check_images(pass);
    check_variables(pass);
    check_unprivileged(pass);
    return pass.take();
}

Findings from_plan(const dockerfile::Dockerfile& file, const dockerfile::BuildPlan& plan) {
    const Options options;
    Pass pass(file, &plan, options);
    note_plan(pass);
    return pass.take();
}

Finding from_error(const Error& error) {
    return {.rule = error.code,
            .severity = Severity::error,
            .message = error.cause.empty() || error.cause == error.message
                           ? error.message
                           : error.message + ": " + error.cause,
            .hint = error.hint,
            .where = error.where.value_or(Where{}),
            .width = 0};
}

} // namespace slipway::lint
