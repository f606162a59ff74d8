// The state of one plan in the making, shared by its two passes: the stage graph (who needs whom), then the
// commands of the stages that run. Internal to the room.
#pragma once

#include "dockerfile/instruction.hpp"
#include "dockerfile/plan.hpp"
#include "dockerfile/scope.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace slipway::dockerfile {

/// One `--mount` of RUN.
struct Mount {
    std::string type = "bind";
    std::string from;
    std::string source;
    std::string id;
    std::string target;
};

/// Reads `type=…,from=…,…`. Unknown members are left to buildah.
Mount read_mount(std::string_view text);

struct StageDraft {
    const Instruction* from = nullptr;
    std::vector<const Instruction*> body;
    std::vector<int> needs;              ///< stages buildah knows this one to need
    std::vector<std::string> unset;      ///< variables FROM uses that have no value
    std::optional<PlanWarning> warning;  ///< about FROM, if the stage runs
    std::optional<Fault> platform_fault; ///< about --platform, if the stage runs
};

struct Planner {
    const Dockerfile& file;
    const PlanOptions& options;
    Globals globals;
    BuildPlan plan;
    std::vector<StageDraft> drafts;                   ///< as many as plan.stages
    std::unordered_map<std::string, int> stage_names; ///< exact spelling, every stage of the file
    std::unordered_map<std::string, int> lower_names; ///< for hints only

    /// First pass: fills plan.stages without their commands, plan.order, plan.target.
    Status make_graph();
    /// Second pass: commands, images, what the final stage says.
    Status make_commands();

    void warn(std::string code, std::string message, int line, std::string hint);
    void warn_about_name(std::string_view keyword, std::string_view name, int line);
    void warn_about_expansion(const Expansion& expansion, std::string_view written, int line);

    /// What first pass noted about the stage's FROM, now that it is known to run.
    void warn_about_base(const StageDraft& draft);

    /// `text` of `at` with its variables filled in; errors carry their place. `strict`: a variable without a
    /// value is worth a warning, because an image or a stage is named by it.
    Result<std::string> expanded(const Instruction& at, std::string_view text, const Lookup& lookup,
                                 bool strict = false);

    /// Names and defaults of an ARG.
    Result<std::vector<std::pair<std::string, std::optional<std::string>>>>
    expanded_arguments(const Instruction& instruction, const Instruction& place, const Lookup& lookup);

    /// An error of expanding `text`, placed at the instruction.
    [[nodiscard]] Error placed(Error error, const Instruction& at, std::string_view fragment) const;
    [[nodiscard]] std::unexpected<Error> fail_at(const Instruction& at, std::string_view fragment,
                                                 std::string message, std::string hint = {}) const;
    [[nodiscard]] std::unexpected<Error> fail_at(const Instruction& at, Fault fault) const;

    /// What `--from=spelling` means in stage `stage`. Later stages, the stage itself and numbers no earlier
    /// stage has are errors.
    Result<Reference> resolve(std::string_view spelling, UseKind kind, int stage, const Instruction& at,
                              std::string_view fragment);

  private:
    Status read_heading();
    Status read_stages();
    Status name_stage(Stage& stage, const Instruction& from, std::string_view written);
    Status find_base(Stage& stage, const Instruction& from);
    Status find_needs(int index);
    Status find_target();
    void mark_running();
};

} // namespace slipway::dockerfile
