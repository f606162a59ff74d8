#include "base/file.hpp"
#include "base/log.hpp"
#include "buildah/argv.hpp"
#include "handoff/files.hpp"
#include "pod/home.hpp"
#include "pod/probe.hpp"
#include "pod/recipe.hpp"
#include "pod/usage.hpp"
#include "steps/access.hpp"
#include "steps/buildah_frames.hpp"
#include "steps/layout.hpp"
#include "steps/steps.hpp"
#include "steps/work.hpp"

#include <algorithm>
#include <atomic>
#include <format>
#include <set>
#include <unistd.h>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

/// Everything one build's buildah processes have in common.
struct Workshop {
    Step& step;
    const cli::Build& params;
    pod::Recipe recipe;
    pod::Home home;
    buildah::Global global;
    buildah::Access access;
    std::vector<std::string> environment;
    pod::Sampler sampler;
    std::atomic<pid_t> child = 0;

    Workshop(Step& for_step, const cli::Build& options, pod::Recipe chosen, pod::Home scratch)
        : step(for_step), params(options), recipe(std::move(chosen)), home(std::move(scratch)),
          sampler(home.path()) {}

    [[nodiscard]] process::Limits limits() const {
        return {.timeout = Milliseconds(0), .grace = step.common.grace};
    }

    /// Runs one short buildah command whose output is only of interest when it fails.
    Result<process::Captured> capture(buildah::Argv argv) {
        return process::capture({.argv = std::move(argv), .environment = environment}, limits(), step.stop);
    }
};

std::vector<std::string> child_environment(const pod::Home& home, const pod::Recipe& recipe,
                                           const cli::Common& common) {
    std::vector<std::string> result;
    const auto put = [&](const std::string& name, const std::string& value) {
        std::erase_if(result, [&](const std::string& entry) { return entry.starts_with(name + "="); });
        result.push_back(name + "=" + value);
    };
    std::string path = environment("PATH");
    put("PATH", path.empty() ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" : path);
    for (const char* name :
         {"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
          "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "CONTAINERS_REGISTRIES_CONF"}) {
        if (std::string value = environment(name); !value.empty()) {
            put(name, value);
        }
    }
    if (!common.ca_file.empty()) {
        put("SSL_CERT_FILE", common.ca_file.string());
    }
    for (const auto& [name, value] : home.environment()) {
        put(name, value);
    }
    for (const auto& [name, value] : recipe.environment) {
        put(name, value);
    }
    return result;
}

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

/// How a buildah ended, for its interpretation.
buildah::Ending ending(buildah::Verb verb, const process::Exit& exit,
                       const buildah::Interpreter& interpreter) {
    buildah::Ending how;
    how.verb = verb;
    how.tail = interpreter.error_tail();
    how.helper_tail = interpreter.helper_tail();
    if (verb == buildah::Verb::build && how.helper_tail.empty()) {
        // Standard error has no writers: how a RUN died is said just before buildah's own last word.
        const auto last = std::ranges::find_last_if(
            how.tail, [](const std::string& line) { return line.starts_with("Error: "); });
        how.helper_tail.assign(how.tail.begin(), last.begin());
    }
    how.step = interpreter.current() ? interpreter.current()->text : "";
    how.exit_code = exit.code;
    how.signal = exit.kind == process::Exit::Kind::signalled ? exit.signal : 0;
    return how;
}

/// The same for one whose output was kept.
buildah::Ending captured_ending(buildah::Verb verb, const process::Captured& captured) {
    buildah::Interpreter interpreter;
    for (std::size_t begin = 0; begin < captured.err.size();) {
        const std::size_t end = std::min(captured.err.find('\n', begin), captured.err.size());
        interpreter.feed(buildah::Stream::err, std::string_view(captured.err).substr(begin, end - begin),
                         true);
        begin = end + 1;
    }
    return ending(verb, captured.exit, interpreter);
}

Status pull_base(Workshop& shop, const handoff::BaseImage& image, const std::string& username) {
    Step& step = shop.step;
    step.stream.emit(frames::Phase{.name = frames::PhaseName::pulling,
                                   .pull = frames::Pull{.registry = image.registry,
                                                        .image = image.registry + "/" + image.repository,
                                                        .tag = image.tag,
                                                        .digest = image.manifest_digest,
                                                        .username = username}});
    buildah::Pull options;
    options.reference = image.pinned;
    options.platform = image.platform;
    options.access = shop.access;
    options.retries = 1; // the least buildah takes; ours knows transient from final
    TRY_ASSIGN(const auto argv, buildah::pull(shop.global, options));
    const auto attempt = [&]() -> Status {
        buildah::Interpreter interpreter;
        TRY_ASSIGN(const process::Exit exit,
                   process::run(
                       {.argv = argv, .environment = shop.environment}, shop.limits(), step.stop,
                       [&](const process::Line& line) {
                           const bool out = line.stream == process::Stream::out;
                           interpreter.feed(out ? buildah::Stream::out : buildah::Stream::err, line.text,
                                            true);
                           step.stream.log(out ? frames::Lane::out : frames::Lane::err, line.text);
                       },
                       [&](pid_t pid) { shop.child = pid; }));
        if (exit.success()) {
            return {};
        }
        return fail(buildah::classify_failure(ending(buildah::Verb::pull, exit, interpreter)));
    };
    RetryPolicy policy;
    policy.retries = shop.params.retries;
    return with_retries<void>(policy, step.stop, step.on_retry("pull " + image.spelling), attempt);
}

/// Gives the pulled image the name the Dockerfile uses. The build then finds it locally and never asks a
/// registry what the name means by now (docs/pods.md says why not --build-context).
Status name_base(Workshop& shop, const handoff::BaseImage& image) {
    if (image.name.contains('@')) {
        return {}; // found by its digest
    }
    TRY_ASSIGN(auto argv, buildah::tag(shop.global, image.pinned, image.name));
    TRY_ASSIGN(const process::Captured tagged, shop.capture(std::move(argv)));
    if (!tagged.exit.success()) {
        return fail(buildah::classify_failure(captured_ending(buildah::Verb::other, tagged)));
    }
    return {};
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
    options.drop_capabilities = shop.recipe.drop_capabilities;
    options.ulimits = shop.recipe.ulimits;
    return options;
}

/// Nothing more fits: less than a layer's bookkeeping needs.
bool is_full(const pod::Usage& usage) {
    constexpr std::uint64_t least_bytes = 1U << 20U;
    return usage.total_bytes > 0 &&
           (usage.free_bytes < least_bytes || (usage.total_inodes > 0 && usage.free_inodes == 0));
}

/// Runs the build proper; the id of the built image.
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
    bool full = false;
    int looks = 0; // bounded: a command can print those lines without end
    TRY_ASSIGN(const process::Exit exit, process::run(
                                             {.argv = std::move(argv),
                                              .environment = shop.environment,
                                              .directory = {},
                                              .tell_writers = tell_writers,
                                              .blocks = true},
                                             shop.limits(), step.stop,
                                             [&](const process::Line& line) {
                                                 build_frames.on_line(line);
                                                 // Looked at now: buildah removes the failed command's files
                                                 // before it ends itself.
                                                 if (!full && looks < 1000 &&
                                                     line.stream == process::Stream::err &&
                                                     (line.text.contains("No space left on device") ||
                                                      line.text.starts_with("subprocess exited "))) {
                                                     ++looks;
                                                     full = is_full(shop.sampler.sample(0));
                                                 }
                                             },
                                             [&](pid_t pid) { shop.child = pid; }));
    shop.child = 0;
    build_frames.finish(exit.success());
    step.stream.emit(frames::Timing{.what = "buildah build",
                                    .start = step.clock.now() - exit.usage.wall,
                                    .duration = exit.usage.wall,
                                    .cpu = exit.usage.user + exit.usage.system,
                                    .peak_memory = exit.usage.peak_memory_bytes,
                                    .bytes = {}});
    if (exit.success()) {
        TRY_ASSIGN(std::string id, read_file(options.iidfile, 1024));
        return id.substr(0, id.find_last_not_of(" \n") + 1);
    }
    buildah::Ending how = ending(buildah::Verb::build, exit, build_frames.interpreter());
    how.oom_killed = shop.sampler.oom_kills_since_start() > 0;
    Error error = buildah::classify_failure(how);
    if (error.klass == ErrorClass::build && (full || is_full(shop.sampler.sample(0)))) {
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

/// How many of the image's first layers come from outside: those of the image that its last stage stands on.
/// (Digests do not tell: buildah compresses every layer anew.)
std::size_t inherited_layers(const handoff::Plan& plan) {
    const handoff::PlannedStage* stage = plan.stages.empty() ? nullptr : &plan.stages.back();
    while (stage != nullptr && stage->base_kind == "stage") {
        const handoff::PlannedStage* below = nullptr; // always an earlier one, so this ends
        for (const handoff::PlannedStage& other : plan.stages) {
            if (other.index < stage->index &&
                (other.name == stage->base || std::to_string(other.index) == stage->base)) {
                below = &other;
            }
        }
        stage = below;
    }
    if (stage == nullptr || stage->base_kind != "image") {
        return 0;
    }
    const auto base = std::ranges::find(plan.images, stage->base, &handoff::BaseImage::spelling);
    return base == plan.images.end() ? 0 : base->layers.size();
}

/// The image out of buildah's storage, compressed once, where push will find it.
Result<handoff::Image> export_image(Workshop& shop, const std::string& id, const handoff::Plan& plan,
                                    bool docker_format) {
    Step& step = shop.step;
    const fs::path directory = step.state / "image";
    std::error_code error;
    fs::remove_all(directory, error);
    if (error) {
        return fail_errno("remove the image of an earlier attempt", error.value());
    }
    TRY(make_directories(directory, 0775));
    handoff::Image image;
    image.layout = docker_format ? "dir" : "oci";
    image.path = "image";
    image.platform = plan.platform;
    buildah::Push options;
    options.image = id;
    options.digestfile = shop.home.tmp() / "digest";
    if (docker_format) {
        options.format = "v2s2";
        TRY_ASSIGN(options.destination, buildah::dir_destination(directory));
    } else {
        TRY_ASSIGN(options.destination, buildah::oci_destination(directory));
    }
    TRY_ASSIGN(auto argv, buildah::push(shop.global, options));
    TRY_ASSIGN(const process::Captured captured, shop.capture(std::move(argv)));
    if (!captured.exit.success()) {
        return fail(buildah::classify_failure(captured_ending(buildah::Verb::push, captured)));
    }
    TRY_ASSIGN(image.manifest_digest, read_file(options.digestfile, 1024));
    while (image.manifest_digest.ends_with('\n')) {
        image.manifest_digest.pop_back();
    }
    TRY_ASSIGN(const LayoutSummary summary, read_layout(directory, image.layout, image.manifest_digest));
    TRY(share_with_group(directory));
    image.config_digest = summary.config_digest;
    image.size = summary.size;
    image.layers = static_cast<int>(summary.layers.size());
    std::vector<frames::BaseImage> bases;
    for (const handoff::BaseImage& base : plan.images) {
        bases.push_back({.name = base.spelling, .digest = base.manifest_digest});
    }
    step.stream.emit(frames::Image{.id = id,
                                   .digest = image.manifest_digest,
                                   .config_digest = image.config_digest,
                                   .media_type = summary.media_type,
                                   .platform = image.platform,
                                   .size = image.size,
                                   .layers = image.layers,
                                   .base_images = std::move(bases)});
    std::size_t inherited = inherited_layers(plan);
    for (frames::Layer layer : summary.layers) {
        layer.from = inherited > 0 ? frames::LayerOrigin::base : frames::LayerOrigin::own;
        inherited -= inherited > 0 ? 1 : 0;
        step.stream.emit(std::move(layer));
    }
    return image;
}

frames::Heartbeat heartbeat(const Workshop& shop) {
    const pod::Usage usage = shop.sampler.sample(shop.child);
    return {.elapsed = {},
            .memory = usage.tree_memory,
            .memory_limit = usage.cgroup.limit,
            .storage_free = usage.free_bytes,
            .inodes_free = usage.free_inodes};
}

/// Images made under mapped ids can only be removed under the same map.
void clean_up(Workshop& shop) {
    if (shop.home.remove()) {
        return;
    }
    // As root without SYS_ADMIN `buildah unshare` executes itself for ever; there removing needs no help.
    if (::geteuid() == 0) {
        return;
    }
    if (const auto argv = buildah::unshare(shop.global, {"rm", "-rf", "--", shop.home.graph_root().string(),
                                                         shop.home.run_root().string()})) {
        // Also after a stop: storage left behind would fill the next attempt's volume.
        static_cast<void>(process::capture({.argv = *argv, .environment = shop.environment},
                                           {.timeout = Milliseconds(3000), .grace = Milliseconds(500)},
                                           StopToken()));
    }
    static_cast<void>(shop.home.remove());
}

} // namespace

Result<handoff::Image> build(const cli::Build& params, const handoff::Plan& plan, Step& step) {
    const fs::path work = work_directory(params.work);
    const pod::Report report = pod::probe({.work = work, .state = step.state});
    auto recipe = pod::choose(report, params.recipe, params.storage);
    const std::string does = std::format("build {} of {}", plan.dockerfile, plan.source);
    if (!recipe) {
        step.hello(does);
        return fail(recipe.error());
    }
    step.hello(does, frames::Recipe{.name = recipe->name, .isolation = recipe->isolation, .reason = {}},
               frames::Storage{.driver = recipe->storage, .path = work.string()});
    for (const pod::Advice& advice : recipe->warnings) {
        step.warn(advice.code, advice.message, advice.hint);
    }
    TRY(handoff::forget_from(step.state, "image"));
    const bool docker_format = params.format == "docker" || (params.format == "auto" && plan.docker_format);
    if (params.format == "oci" && plan.docker_format) {
        step.warn("formatloss",
                  "an OCI image cannot hold HEALTHCHECK, SHELL or ONBUILD: they will be missing",
                  "use --format=docker");
    }

    TRY_ASSIGN(pod::Home home, pod::Home::prepare(work));
    if (home.reclaimed() > 0) {
        step.warn("leftovers", "removed what an earlier build left: " + humane_bytes(home.reclaimed()));
    }
    Workshop shop(step, params, std::move(*recipe), std::move(home));
    TRY_ASSIGN(const registry::Options registry, registry_options(params.registry, params.retries, step));
    shop.environment = child_environment(shop.home, shop.recipe, step.common);
    shop.global.program = params.buildah.empty() ? "buildah" : params.buildah.string();
    shop.global.root = shop.home.graph_root();
    shop.global.runroot = shop.home.run_root();
    shop.global.short_names = shop.home.short_names();
    shop.global.driver = shop.recipe.driver;
    shop.global.storage_options = shop.recipe.storage_options;
    shop.access.authfile = auth_file(step.common);
    if (!params.registry.tls_verify) {
        shop.access.tls_verify = false;
    }
    step.heartbeat_from([&shop] { return heartbeat(shop); });

    const auto work_through = [&]() -> Result<handoff::Image> {
        std::set<std::string> pulled;
        for (const handoff::BaseImage& image : plan.images) {
            if (pulled.insert(image.pinned).second) {
                const auto reference = registry::parse_reference(image.pinned);
                const auto credentials =
                    reference ? registry.auth.find(*reference) : std::optional<registry::Credentials>();
                TRY(pull_base(shop, image, credentials ? credentials->username : ""));
            }
            TRY(name_base(shop, image));
        }
        TRY_ASSIGN(const std::string id, run_build(shop, plan, docker_format));
        return export_image(shop, id, plan, docker_format);
    };
    auto image = work_through();
    step.heartbeat_from({});
    clean_up(shop);
    TRY(image);
    TRY(handoff::write(step.state, *image));
    return image;
}

} // namespace slipway::steps
