#include "base/file.hpp"
#include "base/log.hpp"
#include "steps/build_cache.hpp"
#include "steps/build_inputs.hpp"
#include "steps/buildah_frames.hpp"
#include "steps/workshop.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

/// A build without a network fails in ways of its own.
void explain_no_network(Error& error) {
    if (error.cause.contains("CLONE_NEWNET")) {
        error.message = "this pod allows no network namespace, so a build without a network is impossible";
        error.hint = "build without --hermetic, or let the pod make user and network namespaces";
    } else if (error.code == code::build_error) {
        error.hint += std::string(error.hint.empty() ? "" : "; ") + "this build has no network (--hermetic)";
    }
}

} // namespace

Result<std::string> run_build(Workshop& shop, const handoff::Plan& plan, bool docker_format,
                              const registry::Options& registry) {
    Step& step = shop.step;
    TRY_ASSIGN(buildah::Build options, build_options(shop, plan, docker_format));
    TRY_ASSIGN(const bool no_network, runs_without_network(shop.params, plan, step));
    TRY(use_cache(shop, registry, no_network, options));
    buildah::Global global = shop.global;
    if (no_network) {
        emulation::Enclosure enclosure = shop.enclosure;
        enclosure.without_network = true;
        global.wrapper = emulation::prefix(enclosure);
    }
    TRY_ASSIGN(auto argv, buildah::build(global, options));
    log::debug(process::quote(argv));
    step.phase(frames::PhaseName::building);
    // The runtime of OCI isolation relays a RUN's output through buildah itself: no telling writers apart.
    const bool tell_writers = shop.recipe.isolation == "chroot";
    BuildFrames build_frames(step, plan, tell_writers ? frames::Trust::writer : frames::Trust::text,
                             static_cast<int>(options.labels.size()), shop.told);
    int looks = 0; // bounded: a command can print those lines without end
    const handoff::PlannedCommand* watched = nullptr;
    TRY_ASSIGN(const process::Exit exit, process::run(
                                             {.argv = std::move(argv),
                                              .environment = shop.environment,
                                              .directory = {},
                                              .tell_writers = tell_writers,
                                              .blocks = true,
                                              .oom_score = oom_score},
                                             shop.limits(), shop.watch.token(),
                                             [&](const process::Line& line) {
                                                 build_frames.on_line(line);
                                                 if (build_frames.current() != watched) {
                                                     watched = build_frames.current();
                                                     shop.watch.begin();
                                                 }
                                                 // Looked at now: buildah removes the failed command's files
                                                 // before it ends itself.
                                                 if (looks < 1000 && line.stream == process::Stream::err &&
                                                     (line.text.contains("No space left on device") ||
                                                      line.text.starts_with("subprocess exited "))) {
                                                     ++looks;
                                                     shop.watch.look_at_disk();
                                                 }
                                             },
                                             [&](pid_t pid) { shop.child = pid; }));
    shop.child = 0;
    buildah::Ending how = ending(buildah::Verb::build, exit, build_frames.interpreter());
    if (!exit.success() && !shop.cache_failed && failed_for_cache(how) && !step.stop.requested()) {
        step.warn("cannotpullforcache", "the layer cache broke the build: building again without it",
                  "the lines before say what the cache's registry answered");
        shop.cache_failed = true;
        return run_build(shop, plan, docker_format, registry);
    }
    build_frames.finish(exit.success());
    tell_timing(step, "buildah build", exit.usage);
    if (options.layers) {
        step.stream.emit(frames::Progress{.what = "cache",
                                          .id = "commands",
                                          .current = static_cast<std::uint64_t>(build_frames.cached()),
                                          .total = plan.commands.size(),
                                          .unit = frames::Unit::commands});
    }
    if (exit.success()) {
        TRY_ASSIGN(std::string id, read_file(options.iidfile, 1024));
        return id.substr(0, id.find_last_not_of(" \n") + 1);
    }
    step.circumstances({.output = build_frames.last_lines(),
                        .duration = build_frames.last_took(),
                        .peak_memory = exit.usage.peak_memory_bytes});
    shop.watch.look_at_disk();
    const pod::Findings found = shop.watch.findings();
    how.output = build_frames.last_lines();
    how.oom_killed = found.oom_kills > 0;
    Error error = buildah::classify_failure(how);
    if (error.klass == ErrorClass::build && found.disk_was_full) {
        // A program in a RUN that finds the disk full says so in its own words or not at all.
        error.klass = ErrorClass::resource;
        error.code = code::out_of_disk;
        error.message = "the build's volume is full: " + error.message;
        error.hint = "give the work volume more space";
    }
    if (no_network) {
        explain_no_network(error);
    }
    if (const handoff::PlannedCommand* command = build_frames.current(); command != nullptr && !error.where) {
        error.where =
            Where{.file = plan.dockerfile, .line = command->line, .column = 0, .quote = command->text};
    }
    return fail(std::move(error));
}

} // namespace slipway::steps
