// First pass of a plan: stages, their bases, who needs whom, which run. Follows what `buildah build` does to
// decide that, which sees build arguments and the ARGs before the first FROM, but nothing a stage sets.
#include "dockerfile/checks.hpp"
#include "dockerfile/planner.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <charconv>
#include <format>
#include <optional>
#include <set>

namespace slipway::dockerfile {
namespace {

constexpr std::size_t warnings_kept = 200;

std::optional<int> as_number(std::string_view text) {
    int out = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || failure != std::errc() || end != text.data() + text.size() || out < 0) {
        return std::nullopt;
    }
    return out;
}

// Parts of a name that say its value is a secret, as BuildKit's check of the same purpose sees them.
bool names_secret(std::string_view name) {
    static const std::set<std::string, std::less<>> secret = {
        "apikey", "auth",   "credential", "credentials", "key",     "password",
        "pword",  "passwd", "passphrase", "secret",      "secrets", "token"};
    static const std::set<std::string, std::less<>> harmless = {"public", "pub",  "file", "path", "dir",
                                                                "url",    "name", "id",   "type"};
    bool found = false;
    std::string part;
    for (std::size_t at = 0; at <= name.size(); ++at) {
        if (at < name.size() && name[at] != '_' && name[at] != '-' && name[at] != '.') {
            part += name[at];
            continue;
        }
        const std::string lower = to_lower(part);
        if (harmless.contains(lower)) {
            return false;
        }
        found = found || secret.contains(lower);
        part.clear();
    }
    return found;
}

} // namespace

Mount read_mount(std::string_view text) {
    Mount out;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        const std::string_view field = text.substr(0, comma);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        const std::size_t equals = field.find('=');
        const std::string_view name = trim(field.substr(0, equals));
        const std::string_view value =
            equals == std::string_view::npos ? std::string_view{} : field.substr(equals + 1);
        if (name == "type") {
            out.type = value;
        } else if (name == "from") {
            out.from = value;
        } else if (name == "source" || name == "src") {
            out.source = value;
        } else if (name == "id") {
            out.id = value;
        } else if (name == "target" || name == "dst" || name == "destination") {
            out.target = value;
        }
    }
    return out;
}

void Planner::warn(std::string code, std::string message, int line, std::string hint) {
    if (plan.warnings.size() < warnings_kept) {
        plan.warnings.push_back({std::move(code), std::move(message), line, std::move(hint)});
    } else if (plan.warnings.size() == warnings_kept) {
        plan.warnings.push_back({"morewarnings", "there are more warnings than are shown", 0, {}});
    }
}

void Planner::warn_about_name(std::string_view keyword, std::string_view name, int line) {
    if (names_secret(name)) {
        warn("secretinname",
             std::format("{} {} looks like a secret: its value ends up in the image's history", keyword,
                         shown(name)),
             line, "mount it where it is needed: RUN --mount=type=secret,id=…");
    }
}

void Planner::warn_about_expansion(const Expansion& expansion, std::string_view written, int line) {
    if (!expansion.buildkit.empty()) {
        warn("expansiondiffers",
             std::format("{} is \"{}\" with buildah, {} with BuildKit", shown(written), shown(expansion.text),
                         expansion.buildkit),
             line, "write it so that both read it alike, or do it in a RUN");
    }
}

void Planner::warn_about_base(const StageDraft& draft) {
    for (const std::string& name : draft.unset) {
        if (plan.warnings.size() > warnings_kept) {
            return;
        }
        std::string hint = std::format("declare it before the first FROM: ARG {}=default", shown(name));
        if (globals.heading.contains(name)) {
            hint = std::format("pass the build argument {0}, or give it a default: ARG {0}=…", shown(name));
        } else {
            std::vector<std::string_view> known;
            for (const auto& [heading, value] : globals.heading) {
                known.push_back(heading);
            }
            if (const std::string_view near = closest(name, known); !near.empty()) {
                hint = std::format("did you mean {}?", near);
            }
        }
        warn("undefinedvariable", std::format("FROM uses the variable {}, which is not set", shown(name)),
             draft.from->line, std::move(hint));
    }
    if (draft.warning) {
        warn(draft.warning->code, draft.warning->message, draft.warning->line, draft.warning->hint);
    }
}

Result<std::string> Planner::expanded(const Instruction& at, std::string_view text, const Lookup& lookup,
                                      bool strict) {
    auto out = expand_budgeted(globals, text, lookup);
    if (!out) {
        return fail(placed(out.error(), at, text));
    }
    warn_about_expansion(*out, text, at.line);
    if (strict) {
        for (const std::string& name : out->unset) {
            warn("undefinedvariable",
                 std::format("{} uses the variable {}, which is not set", at.keyword, shown(name)), at.line,
                 globals.heading.contains(name)
                     ? std::format("repeat ARG {} in this stage", shown(name))
                     : std::format("declare it in this stage: ARG {}=default", shown(name)));
        }
    }
    return std::move(out->text);
}

Error Planner::placed(Error error, const Instruction& at, std::string_view fragment) const {
    error.where = file.where(at, fragment);
    return error;
}

std::unexpected<Error> Planner::fail_at(const Instruction& at, std::string_view fragment, std::string message,
                                        std::string hint) const {
    return fail(
        placed(make_error(ErrorClass::build, code::dockerfile_issue, std::move(message), std::move(hint)), at,
               fragment));
}

std::unexpected<Error> Planner::fail_at(const Instruction& at, Fault fault) const {
    return fail_at(at, fault.fragment, std::move(fault.message), std::move(fault.hint));
}

Status Planner::make_graph() {
    TRY(read_heading());
    TRY(read_stages());
    TRY(find_target());
    mark_running();
    return {};
}

Status Planner::read_heading() {
    const Lookup lookup = [this](std::string_view name) { return heading_argument(globals, name); };
    for (const Instruction& instruction : file.instructions) {
        if (instruction.keyword == "FROM") {
            break;
        }
        TRY_ASSIGN(auto arguments, expanded_arguments(instruction, instruction, lookup));
        for (auto& [name, fallback] : arguments) {
            warn_about_name("ARG", name, instruction.line);
            declare_heading(globals, name, std::move(fallback));
        }
    }
    return {};
}

// All values of one instruction see the variables as they were before it.
Result<std::vector<std::pair<std::string, std::optional<std::string>>>>
Planner::expanded_arguments(const Instruction& instruction, const Instruction& place, const Lookup& lookup) {
    std::vector<std::pair<std::string, std::optional<std::string>>> out;
    for (const Assignment& assignment : instruction.assignments) {
        TRY_ASSIGN(std::string name, expanded(place, assignment.name, lookup));
        std::optional<std::string> fallback;
        if (assignment.has_value) {
            if (is_fixed(name)) {
                return fail_at(place, assignment.name, std::format("ARG {} cannot be given a default", name),
                               std::format("write ARG {} alone: --platform says what it is", name));
            }
            TRY_ASSIGN(fallback, expanded(place, assignment.value, lookup));
        }
        out.emplace_back(std::move(name), std::move(fallback));
    }
    return out;
}

Status Planner::read_stages() {
    for (const Instruction& instruction : file.instructions) {
        if (instruction.keyword == "FROM") {
            drafts.emplace_back().from = &instruction;
        } else if (!drafts.empty()) {
            drafts.back().body.push_back(&instruction);
        }
    }
    plan.stages.resize(drafts.size());
    // Names first: a reference to a later stage is told from one to an image by them.
    for (std::size_t i = 0; i < drafts.size(); ++i) {
        Stage& stage = plan.stages[i];
        stage.index = static_cast<int>(i);
        stage.line = drafts[i].from->line;
        stage.display_name = std::to_string(i);
        if (drafts[i].from->arguments.size() == 3) {
            TRY(name_stage(stage, *drafts[i].from, drafts[i].from->arguments[2]));
        }
    }
    for (std::size_t i = 0; i < drafts.size(); ++i) {
        TRY(find_base(plan.stages[i], *drafts[i].from));
        TRY(find_needs(static_cast<int>(i)));
    }
    return {};
}

Status Planner::name_stage(Stage& stage, const Instruction& from, std::string_view written) {
    TRY_ASSIGN(std::string name, expanded(from, written, [this](std::string_view variable) {
                   return from_value(globals, variable);
               }));
    if (name.empty()) {
        return fail_at(from, written, std::format("the stage's name {} is empty", shown(written)),
                       "give the variable a value, or leave AS out");
    }
    if (as_number(name)) {
        return fail_at(from, written, std::format("a stage cannot be named by the number {}", shown(name)),
                       "numbers already mean stages by position: begin the name with a letter");
    }
    stage.name = std::move(name);
    stage.display_name = stage.name;
    if (const auto [other, fresh] = stage_names.emplace(stage.name, stage.index); !fresh) {
        return fail_at(from, written, std::format("two stages are named \"{}\"", shown(stage.name)),
                       std::format("the other one is on line {}: give one of them another name",
                                   plan.stages[static_cast<std::size_t>(other->second)].line));
    }
    lower_names.emplace(to_lower(stage.name), stage.index);
    if (options.contexts.contains(stage.name)) {
        // buildah would take the context wherever the stage is meant.
        return fail_at(from, written,
                       std::format("the build context {} has the name of a stage", shown(stage.name)),
                       "give the context or the stage another name");
    }
    return {};
}

Status Planner::find_base(Stage& stage, const Instruction& from) {
    const std::string& written = from.arguments[0];
    const Lookup lookup = [this](std::string_view name) { return from_value(globals, name); };
    auto spelling = expand_budgeted(globals, written, lookup);
    if (!spelling) {
        return fail(placed(spelling.error(), from, written));
    }
    warn_about_expansion(*spelling, written, from.line);
    StageDraft& draft = drafts[static_cast<std::size_t>(stage.index)];
    draft.unset = std::move(spelling->unset);
    stage.base.written = written;
    stage.base.spelling = std::move(spelling->text);
    if (const Flag* flag = from.flag("platform")) {
        TRY_ASSIGN(stage.base.platform, expanded(from, flag->value, lookup));
        draft.platform_fault = check_platform(stage.base.platform);
    }
    if (stage.base.spelling == "scratch") {
        stage.base.kind = BaseKind::scratch;
        return {};
    }
    if (options.contexts.contains(stage.base.spelling)) {
        return fail_at(
            from, written,
            std::format("FROM {} means a build context that is a directory", shown(stage.base.spelling)),
            "only an image can be built on: give the context as docker-image://…");
    }
    const auto named = stage_names.find(stage.base.spelling);
    if (named != stage_names.end() && named->second < stage.index) {
        stage.base.kind = BaseKind::stage;
        stage.base.stage = named->second;
    } else if (const auto number = as_number(stage.base.spelling);
               number && *number < stage.index &&
               plan.stages[static_cast<std::size_t>(*number)].name.empty()) {
        // buildah calls a stage without a name by its number, here too.
        stage.base.kind = BaseKind::stage;
        stage.base.stage = *number;
    } else if (named != stage_names.end() && named->second > stage.index) {
        draft.warning = PlanWarning{"laterstage",
                                    std::format("FROM {} means an image: the stage of that name comes later",
                                                shown(stage.base.spelling)),
                                    from.line, "move that stage above this one if it was meant"};
    } else if (const auto lower = lower_names.find(to_lower(stage.base.spelling));
               lower != lower_names.end() && lower->second < stage.index) {
        draft.warning =
            PlanWarning{"stagenamecase",
                        std::format("FROM {} means an image: buildah tells it from the stage {}",
                                    shown(stage.base.spelling),
                                    shown(plan.stages[static_cast<std::size_t>(lower->second)].name)),
                        from.line, "spell the name as behind AS if the stage was meant"};
    }
    return {};
}

Result<Reference> Planner::resolve(std::string_view spelling, UseKind kind, int stage, const Instruction& at,
                                   std::string_view fragment) {
    const std::string key(spelling);
    if (options.contexts.contains(key)) {
        return Reference{.kind = kind, .spelling = key, .stage = -1, .context = true};
    }
    if (key.empty()) {
        return fail_at(at, fragment, std::format("{} names nothing", to_string(kind)),
                       "name a stage or an image; a variable in it may be unset");
    }
    if (key == "scratch") {
        return fail_at(at, fragment,
                       std::format("{} cannot take anything from scratch: it is empty", to_string(kind)),
                       "name a stage or an image that has the file");
    }
    int found = -1;
    if (const auto named = stage_names.find(key); named != stage_names.end()) {
        found = named->second;
    } else if (const auto number = as_number(key)) {
        if (static_cast<std::size_t>(*number) >= plan.stages.size()) {
            return fail_at(at, fragment,
                           std::format("{}={}: there is no such stage", to_string(kind), shown(key)),
                           std::format("the stages are numbered from 0 to {}", plan.stages.size() - 1));
        }
        found = *number;
    } else if (const auto lower = lower_names.find(to_lower(key)); lower != lower_names.end()) {
        const std::string& name = plan.stages[static_cast<std::size_t>(lower->second)].name;
        if (!could_be_image(key)) {
            return fail_at(at, fragment,
                           std::format("{}={}: there is no such stage", to_string(kind), shown(key)),
                           std::format("write {}: buildah tells upper from lower case", shown(name)));
        }
        warn("stagenamecase",
             std::format("{}={} means an image: buildah tells it from the stage {}", to_string(kind),
                         shown(key), shown(name)),
             at.line, "spell the name as behind AS if the stage was meant");
    }
    if (found < 0 && !could_be_image(key)) {
        return fail_at(
            at, fragment,
            std::format("{}={} is neither a stage nor an image's name", to_string(kind), shown(key)),
            fragment == key ? "images have lower-case names"
                            : "a variable in it may lack its value: ENV does not count here");
    }
    if (found == stage) {
        return fail_at(
            at, fragment, std::format("{}={} is the stage it stands in", to_string(kind), shown(key)),
            "take the file from an earlier stage, or leave --from out to take it from the context");
    }
    if (found > stage) {
        return fail_at(at, fragment, std::format("{}={} is a later stage", to_string(kind), shown(key)),
                       std::format("move the stage of line {} above this one",
                                   plan.stages[static_cast<std::size_t>(found)].line));
    }
    return Reference{.kind = kind, .spelling = key, .stage = found, .context = false};
}

// Only what buildah sees when it decides which stages to leave out; the second pass checks the rest against
// that.
Status Planner::find_needs(int index) {
    StageDraft& draft = drafts[static_cast<std::size_t>(index)];
    const Stage& stage = plan.stages[static_cast<std::size_t>(index)];
    if (stage.base.kind == BaseKind::stage) {
        draft.needs.push_back(stage.base.stage);
    }
    const Lookup lookup = [&](std::string_view name) { return dependency_value(globals, name); };
    const auto need = [&](const std::string& spelling, bool by_number) {
        const auto named = stage_names.find(spelling);
        const auto number = as_number(spelling);
        if (named != stage_names.end() && named->second < index) {
            draft.needs.push_back(named->second);
        } else if (number && *number < index &&
                   (by_number || plan.stages[static_cast<std::size_t>(*number)].name.empty())) {
            draft.needs.push_back(*number);
        }
    };
    for (const Instruction* instruction : draft.body) {
        if (instruction->keyword == "COPY" || instruction->keyword == "ADD") {
            if (const Flag* from = instruction->flag("from")) {
                if (const auto value = expand_budgeted(globals, from->value, lookup)) {
                    need(value->text, true);
                }
            }
        } else if (instruction->keyword == "RUN") {
            for (const Flag& flag : instruction->flags) {
                if (flag.name == "mount") {
                    need(read_mount(flag.value).from, false);
                }
            }
        }
    }
    return {};
}

Status Planner::find_target() {
    plan.target = static_cast<int>(plan.stages.size()) - 1;
    const std::string& target = options.target;
    if (!target.empty()) {
        if (const auto named = stage_names.find(target); named != stage_names.end()) {
            plan.target = named->second;
        } else if (const auto number = as_number(target);
                   number && static_cast<std::size_t>(*number) < plan.stages.size()) {
            plan.target = *number;
        } else {
            std::string known;
            for (const Stage& stage : plan.stages) {
                if (!stage.name.empty() && known.size() < 300) {
                    known += (known.empty() ? "" : ", ") + shown(stage.name);
                }
            }
            Error error =
                make_error(ErrorClass::usage, code::missing_or_invalid_argument,
                           std::format("there is no stage \"{}\" to build", shown(target)),
                           known.empty() ? std::string("no stage has a name") : "the stages are " + known);
            error.where = Where{file.file, 0, 0, {}};
            return fail(std::move(error));
        }
    }
    plan.stages_printed = plan.target + 1;
    return {};
}

void Planner::mark_running() {
    std::vector<int> pending = {plan.target};
    if (!options.skip_unused_stages) {
        for (int i = 0; i < plan.target; ++i) {
            pending.push_back(i);
        }
    }
    while (!pending.empty()) {
        const int index = pending.back();
        pending.pop_back();
        Stage& stage = plan.stages[static_cast<std::size_t>(index)];
        if (stage.runs) {
            continue;
        }
        stage.runs = true;
        const auto& needs = drafts[static_cast<std::size_t>(index)].needs;
        pending.insert(pending.end(), needs.begin(), needs.end());
    }
    for (const Stage& stage : plan.stages) {
        if (stage.runs) {
            plan.order.push_back(stage.index);
        }
    }
}

} // namespace slipway::dockerfile
