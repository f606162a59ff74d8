// What a build of a parsed Dockerfile will do: which stages run, in which order, on which bases, with which
// commands, and every image it takes from outside. Pure.
//
// Numbering is buildah's: `[k/K] STEP i/N` is stage `Stage::index + 1 == k` of `BuildPlan::stages_printed ==
// K`, command `Command::position == i` of `Stage::commands.size() == N`. (`STEP i/N` alone when K is 1.)
//
// Errors: class build, code `dockerfileissue`, with a place and a hint. A `target` that no stage bears is of
// class usage, code `missingorinvalidargument`; so is a platform that cannot be read.
#pragma once

#include "dockerfile/environment.hpp"
#include "dockerfile/parse.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace slipway::dockerfile {

struct PlanOptions {
    std::vector<std::pair<std::string, std::string>> build_args = {}; ///< later ones win
    std::string target = {};              ///< stage name or number; empty = the last
    std::string platform = "linux/amd64"; ///< of the image: os/arch[/variant]
    std::string build_platform = {};      ///< of the builder; empty = as `platform`
    /// What the pod's environment gives to every RUN (proxies): never "unused", but no variable of the
    /// Dockerfile.
    std::vector<std::pair<std::string, std::string>> predefined = {};
    bool skip_unused_stages = true;
    /// The image will be of the OCI format whatever the file asks for. Then ONBUILD triggers of the file's
    /// own stages do not fire (buildah drops them), and are no commands.
    bool oci_format = false;
    /// Names of further build contexts that are directories: a `--from=` of that name is one of them, neither
    /// a stage nor an image.
    std::set<std::string, std::less<>> contexts = {};
};

enum class BaseKind { scratch, stage, image };

/// What FROM names.
struct StageBase {
    BaseKind kind = BaseKind::image;
    std::string written;  ///< as it stands in the file
    std::string spelling; ///< after expansion; for an image the reference as the author spells it
    int stage = -1;       ///< BaseKind::stage: index
    std::string platform; ///< `--platform` after expansion; empty when not given
};

enum class UseKind { from, copy_from, add_from, mount_from };
/// "FROM", "COPY --from", "ADD --from", "RUN --mount=from".
std::string_view to_string(UseKind kind) noexcept;

/// `--from=…` of a COPY or of a mount.
struct Reference {
    UseKind kind = UseKind::copy_from;
    std::string spelling; ///< after expansion
    int stage = -1;       ///< index of the stage meant; -1 = an image from outside, or a context
    bool context = false; ///< a further build context, by PlanOptions::contexts
};

/// One command that will run.
struct Command {
    int n = 0;        ///< 1-based over all stages that run, FROM included, in execution order
    int stage = 0;    ///< index into BuildPlan::stages
    int position = 0; ///< within its stage; FROM is 1
    std::string keyword;
    std::string text; ///< as written in the file, continuations joined
    int line = 0;
    int end_line = 0;
    bool from_onbuild = false; ///< a trigger of the stage this one is built on; `line` is the ONBUILD's
    std::vector<Reference> references;
    /// COPY and ADD from the build context: sources after expansion, patterns included. Remote ones of ADD
    /// (http, https, git) are in `remote_sources`; heredocs are in neither.
    std::vector<std::string> local_sources;
    std::vector<std::string> remote_sources;
    /// RUN --mount=type=bind from the context: sources after expansion ("." when none is given).
    std::vector<std::string> mounted_sources;
    std::vector<std::string> secrets; ///< ids of RUN --mount=type=secret
    bool needs_ssh = false;           ///< RUN --mount=type=ssh
    std::string network;              ///< RUN --network after expansion; empty when not given
};

struct Stage {
    int index = 0;            ///< position in the file, from 0
    std::string name;         ///< as in AS (buildah tells upper from lower case); empty when it has none
    std::string display_name; ///< `name`, or the index as text
    StageBase base;
    int line = 0;
    bool runs = false;
    std::vector<Command> commands; ///< empty unless it runs; FROM first
    /// ENV of the file as known without its base image (own and of stages it is built on).
    Environment env;
};

struct ImageUse {
    UseKind kind = UseKind::from;
    int stage = 0;
    int n = 0; ///< command number
    int line = 0;
    std::string written; ///< before expansion
};

/// One spelling of an image from outside; two spellings of the same image are two entries.
struct ExternalImage {
    std::string spelling;
    std::string platform; ///< asked for with FROM --platform; empty = the build's. Part of the identity
    std::vector<ImageUse> uses;
};

/// `code` is lower case: unusedbuildarg, undefinedvariable, secretinname, maintainerdeprecated, …;
/// docs/dockerfile.md lists them.
struct PlanWarning {
    std::string code;
    std::string message;
    int line = 0; ///< 0 = no place in the file
    std::string hint;
};

/// What the final stage says about running the image; from the file alone (a base may add more).
struct FinalStage {
    std::string user;
    std::string workdir;
    std::vector<std::string> expose;                    ///< "8080/tcp"
    std::optional<std::vector<std::string>> entrypoint; ///< shell form is {"/bin/sh","-c",…}
    std::optional<std::vector<std::string>> cmd;
    std::string stop_signal;
    std::vector<std::string> volumes;
    std::map<std::string, std::string> labels;
};

struct BuildPlan {
    std::string file;
    std::vector<Stage> stages; ///< all of the file, in order
    std::vector<int> order;    ///< indices of those that run, in execution order; the last is the target
    int target = 0;            ///< index of the stage the image comes from
    int stages_printed = 0;    ///< K of buildah's `[k/K]`
    int commands = 0;          ///< total of Command::n
    std::vector<ExternalImage> images; ///< in order of first use; only of stages that run
    bool needs_docker_format = false;
    std::vector<std::string> docker_format_reasons; ///< "HEALTHCHECK (line 12)"
    std::vector<PlanWarning> warnings;
    FinalStage final_stage;
};

Result<BuildPlan> plan(const Dockerfile& file, const PlanOptions& options);

/// The command that buildah's `[stage_number/…] STEP position/total` speaks of; `stage_number` is 1-based, 0
/// when the line had no bracket. `total` larger than planned means that triggers of a base image run before
/// the stage's own commands, or that `appended` commands (from --label, say) follow in the last stage.
/// nullptr: one of those, or nothing the plan knows. `total` 0 = unknown.
const Command* find_command(const BuildPlan& plan, int stage_number, int position, int total = 0,
                            int appended = 0) noexcept;

} // namespace slipway::dockerfile
