// What the parts of the build step share: one build's buildah processes, their storage and their environment.
#pragma once

#include "buildah/argv.hpp"
#include "buildah/lines.hpp"
#include "cli/params.hpp"
#include "emulation/enclosure.hpp"
#include "handoff/values.hpp"
#include "pod/home.hpp"
#include "pod/recipe.hpp"
#include "pod/usage.hpp"
#include "pod/watch.hpp"
#include "process/process.hpp"
#include "steps/access.hpp"
#include "steps/buildah_frames.hpp"
#include "steps/step.hpp"

#include <atomic>
#include <string>
#include <vector>

namespace slipway::steps {

/// Added to ours for every buildah: when memory runs out the kernel takes the build, not its supervisor.
inline constexpr int oom_score = 500;

/// Everything one build's buildah processes have in common.
struct Workshop {
    Step& step;
    const cli::Build& params;
    pod::Recipe recipe;
    pod::Home home;
    buildah::Global global;
    emulation::Enclosure enclosure; ///< what global.wrapper makes
    buildah::Access access;
    std::vector<std::string> environment;
    pod::Sampler sampler;
    std::atomic<pid_t> child = 0;
    Told told;
    bool cache_failed = false; ///< the layer cache broke a build: the next one does without
    pod::Watch watch;          ///< last: looks at the others from its own thread

    Workshop(Step& for_step, const cli::Build& options, pod::Recipe chosen, pod::Home scratch)
        : step(for_step), params(options), recipe(std::move(chosen)), home(std::move(scratch)),
          sampler(home.path()),
          watch(
              sampler, step.stop, [this] { return child.load(); },
              [this](const pod::Advice& advice) { step.warn(advice.code, advice.message, advice.hint); }) {}

    [[nodiscard]] process::Limits limits() const {
        return {.timeout = Milliseconds(0), .grace = step.common.grace};
    }

    /// Runs one short buildah command whose output is only of interest when it fails.
    Result<process::Captured> capture(buildah::Argv argv) {
        return process::capture({.argv = std::move(argv), .environment = environment, .oom_score = oom_score},
                                limits(), watch.token());
    }
};

/// The whole environment of a buildah: nothing of ours but what it needs.
std::vector<std::string> child_environment(const pod::Home& home, const pod::Recipe& recipe,
                                           const cli::Common& common);

/// How a buildah ended, for its interpretation.
buildah::Ending ending(buildah::Verb verb, const process::Exit& exit,
                       const buildah::Interpreter& interpreter);
/// The same for one whose output was kept.
buildah::Ending captured_ending(buildah::Verb verb, const process::Captured& captured);

frames::Heartbeat heartbeat(const Workshop& shop);

/// A `timing` frame about a buildah that has ended.
void tell_timing(Step& step, std::string what, const process::Usage& usage);

/// Removes what killed builds left on the volume and only another user namespace can remove.
void remove_leftovers(Workshop& shop);

/// Removes the build's storage; also after a stop, for what stays would fill the next attempt's volume.
void clean_up(Workshop& shop);

/// Every base image of the plan by digest, under the Dockerfile's own names (build_bases.cpp).
Status bring_bases(Workshop& shop, const handoff::Plan& plan, const registry::Options& registry);
/// Runs the build proper; the id of the built image (build_run.cpp).
Result<std::string> run_build(Workshop& shop, const handoff::Plan& plan, bool docker_format,
                              const registry::Options& registry);
/// The image out of buildah's storage, compressed once, where push will find it (build_export.cpp).
Result<handoff::Image> export_image(Workshop& shop, const std::string& id, const handoff::Plan& plan,
                                    bool docker_format);

} // namespace slipway::steps
