#include "base/file.hpp"
#include "steps/layout.hpp"
#include "steps/workshop.hpp"

#include <algorithm>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

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

} // namespace

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
    tell_timing(step, "buildah push", captured.exit.usage);
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
    std::size_t inherited = shop.params.squash ? 0 : inherited_layers(plan);
    for (frames::Layer layer : summary.layers) {
        layer.from = inherited > 0 ? frames::LayerOrigin::base : frames::LayerOrigin::own;
        inherited -= inherited > 0 ? 1 : 0;
        step.stream.emit(std::move(layer));
    }
    return image;
}

} // namespace slipway::steps
