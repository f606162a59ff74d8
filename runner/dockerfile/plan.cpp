#include "dockerfile/plan.hpp"

#include "dockerfile/planner.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <format>
#include <set>

namespace slipway::dockerfile {
namespace {

void warn_about_unused_arguments(Planner& planner) {
    std::set<std::string_view> declared;
    for (const Instruction& instruction : planner.file.instructions) {
        const bool trigger = instruction.keyword == "ONBUILD" && !instruction.nested.empty();
        const Instruction& inner = trigger ? instruction.nested.front() : instruction;
        if (inner.keyword == "ARG") {
            for (const Assignment& assignment : inner.assignments) {
                declared.insert(assignment.name);
            }
        }
    }
    const std::vector<std::string_view> known(declared.begin(), declared.end());
    for (const auto& [name, value] : planner.globals.build_args) {
        if (declared.contains(name) || is_predefined(name) || planner.globals.platform.contains(name) ||
            std::ranges::contains(planner.options.predefined, name,
                                  &std::pair<std::string, std::string>::first)) {
            continue;
        }
        const std::string_view near = closest(name, known);
        planner.warn("unusedbuildarg", std::format("no ARG takes the build argument {}", shown(name)), 0,
                     near.empty() ? std::format("declare it in the Dockerfile: ARG {}", shown(name))
                                  : std::format("did you mean {}?", near));
    }
}

} // namespace

std::string_view to_string(UseKind kind) noexcept {
    switch (kind) {
    case UseKind::from: return "FROM";
    case UseKind::copy_from: return "COPY --from";
    case UseKind::add_from: return "ADD --from";
    case UseKind::mount_from: return "RUN --mount=from";
    }
    return "";
}

Result<BuildPlan> plan(const Dockerfile& file, const PlanOptions& options) {
    TRY_ASSIGN(Globals globals, make_globals(options));
    Planner planner{.file = file,
                    .options = options,
                    .globals = std::move(globals),
                    .plan = {},
                    .drafts = {},
                    .stage_names = {},
                    .lower_names = {}};
    planner.globals.escape = file.escape;
    planner.plan.file = file.file;
    for (const Note& note : file.notes) {
        planner.warn(note.code, note.message, note.line, note.hint);
    }
    TRY(planner.make_graph());
    TRY(planner.make_commands());
    warn_about_unused_arguments(planner);
    return std::move(planner.plan);
}

const Command* find_command(const BuildPlan& plan, int stage_number, int position, int total,
                            int appended) noexcept {
    if (stage_number == 0 && plan.stages_printed == 1) {
        stage_number = 1;
    }
    if (stage_number < 1 || stage_number > plan.stages_printed || position < 1) {
        return nullptr;
    }
    const Stage& stage = plan.stages[static_cast<std::size_t>(stage_number - 1)];
    const int planned = static_cast<int>(stage.commands.size());
    if (planned == 0) {
        return nullptr;
    }
    if (position == 1) {
        return &stage.commands.front();
    }
    const int behind = stage.index == plan.target ? appended : 0;
    const int foreign = total == 0 ? 0 : std::max(0, total - behind - planned);
    const int own = position - foreign;
    if (own < 2 || own > planned) {
        return nullptr;
    }
    return &stage.commands[static_cast<std::size_t>(own - 1)];
}

} // namespace slipway::dockerfile
