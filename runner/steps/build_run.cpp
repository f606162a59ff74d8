#include "base/file.hpp"
#include "base/log.hpp"
#include "emulation/enclosure.hpp"
#include "steps/buildah_frames.hpp"
#include "steps/workshop.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

/// id=ID,src=PATH: the file's content is registered, so that a RUN that prints it prints ***.
Result<buildah::SecretFile> secret_file(const std::string& text, Step& step) {
    buildah::SecretFile secret;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        const std::string_view part = std::string_view(text).substr(begin, end - begin);
        begin = end + 1;
        if (part.starts_with("id=")) {
            secret.id = part.substr(3);
        } else if (part.starts_with("src=")) {
            secret.source = part.substr(4);
        } else if (part.starts_with("source=")) {
            secret.source = part.substr(7);
        } else if (part != "type=file") {
            secret.id.clear();
            break;
        }
    }
    if (secret.id.empty() || secret.source.empty()) {
        return fail(ErrorClass::usage, code::missing_or_invalid_argument, "--secret: expected id=ID,src=PATH",
                    "name the secret and the file that holds it");
    }
    TRY_ASSIGN(const std::string content, read_file(secret.source, 1U << 20U));
    step.secrets({content});
    return secret;
}

Result<buildah::Build> build_options(Workshop& shop, const handoff::Plan& plan, bool docker_format) {
    const cli::Build& params = shop.params;
    buildah::Build options;
    options.dockerfile = fs::path(plan.source) / plan.dockerfile;
    options.context = (fs::path(plan.source) / plan.context).lexically_normal();
    options.isolation = shop.recipe.isolation;
    options.layers = false; // nothing of this storage outlives the step: intermediate images would only cost
    options.build_args = {plan.build_args.begin(), plan.build_args.end()};
    options.target = plan.target;
    options.labels = {params.labels.begin(), params.labels.end()};
    options.annotations = {params.annotations.begin(), params.annotations.end()};
    for (const std::string& secret : params.secrets) {
        TRY_ASSIGN(auto file, secret_file(secret, shop.step));
        options.secrets.push_back(std::move(file));
    }
    options.platform = plan.platform;
    options.format = docker_format ? "docker" : "oci";
    options.iidfile = shop.home.tmp() / "iid";
    options.access = shop.access;
    options.network = "host"; // the pod's own network is the isolation a pod has
    options.runtime = shop.recipe.runtime;
    options.drop_capabilities = shop.recipe.drop_capabilities;
    options.ulimits = shop.recipe.ulimits;
    if (shop.recipe.name == "C") {
        // apt changes its user for downloads and believes only what getuid() then says.
        options.run_environment = {{"APT_CONFIG", std::string(emulation::apt_configuration)}};
        if (shop.recipe.isolation == "oci") {
            // A /dev of its own: a place that is not in the image, so nothing of this stays there.
            options.volumes = {std::format("{0}:{0}:ro", emulation::shown_directory)};
        }
    }
    return options;
}

} // namespace

Result<std::string> run_build(Workshop& shop, const handoff::Plan& plan, bool docker_format) {
    Step& step = shop.step;
    TRY_ASSIGN(const buildah::Build options, build_options(shop, plan, docker_format));
    TRY_ASSIGN(auto argv, buildah::build(shop.global, options));
    log::debug(process::quote(argv));
    step.phase(frames::PhaseName::building);
    // The runtime of OCI isolation relays a RUN's output through buildah itself: no telling writers apart.
    const bool tell_writers = shop.recipe.isolation == "chroot";
    BuildFrames build_frames(step, plan, tell_writers ? frames::Trust::writer : frames::Trust::text,
                             static_cast<int>(options.labels.size()));
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
    build_frames.finish(exit.success());
    tell_timing(step, "buildah build", exit.usage);
    if (exit.success()) {
        TRY_ASSIGN(std::string id, read_file(options.iidfile, 1024));
        return id.substr(0, id.find_last_not_of(" \n") + 1);
    }
    step.circumstances({.output = build_frames.last_lines(),
                        .duration = build_frames.last_took(),
                        .peak_memory = exit.usage.peak_memory_bytes});
    shop.watch.look_at_disk();
    const pod::Findings found = shop.watch.findings();
    buildah::Ending how = ending(buildah::Verb::build, exit, build_frames.interpreter());
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
    if (const handoff::PlannedCommand* command = build_frames.current(); command != nullptr && !error.where) {
        error.where =
            Where{.file = plan.dockerfile, .line = command->line, .column = 0, .quote = command->text};
    }
    return fail(std::move(error));
}

} // namespace slipway::steps
