#include "base/retry.hpp"
#include "steps/workshop.hpp"

#include <set>

namespace slipway::steps {

namespace {

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
                       {.argv = argv, .environment = shop.environment, .oom_score = oom_score}, shop.limits(),
                       shop.watch.token(),
                       [&](const process::Line& line) {
                           const bool out = line.stream == process::Stream::out;
                           interpreter.feed(out ? buildah::Stream::out : buildah::Stream::err, line.text,
                                            true);
                           step.stream.log(out ? frames::Lane::out : frames::Lane::err, line.text);
                       },
                       [&](pid_t pid) { shop.child = pid; }));
        shop.child = 0;
        tell_timing(step, "buildah pull", exit.usage);
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

} // namespace

Status bring_bases(Workshop& shop, const handoff::Plan& plan, const registry::Options& registry) {
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
    return {};
}

} // namespace slipway::steps
