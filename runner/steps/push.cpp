#include "registry/push.hpp"

#include "base/file.hpp"
#include "handoff/files.hpp"
#include "registry/reference.hpp"
#include "steps/access.hpp"
#include "steps/steps.hpp"

#include <algorithm>
#include <fcntl.h>
#include <format>

namespace slipway::steps {

namespace {

/// The tag in --image first, then every --tag, none twice.
Result<std::vector<std::string>> wanted_tags(const cli::Push& params, const registry::Reference& image) {
    std::vector<std::string> tags;
    if (!image.tag.empty()) {
        tags.push_back(image.tag);
    }
    for (const std::string& tag : params.tags) {
        if (!registry::is_valid_tag(tag)) {
            return fail(ErrorClass::usage, code::missing_or_invalid_argument,
                        std::format("--tag: '{}' is not a tag", tag),
                        "letters, digits, '.', '_' and '-', at most 128, not beginning with '.' or '-'");
        }
        if (std::ranges::find(tags, tag) == tags.end()) {
            tags.push_back(tag);
        }
    }
    return tags;
}

void report(Step& step, const registry::PushProgress& progress) {
    if (progress.state == registry::PushProgress::State::tagged) {
        step.stream.log(frames::Lane::out, "tagged " + std::string(progress.id));
        return;
    }
    step.stream.emit(frames::Progress{.what = "push",
                                      .id = std::string(progress.id),
                                      .current = progress.current,
                                      .total = progress.total,
                                      .unit = frames::Unit::bytes});
}

} // namespace

Result<handoff::Pushed> push(const cli::Push& params, const handoff::Image& image, Step& step) {
    step.hello(params.skip ? "push nothing: --skip" : "push to " + params.image);
    TRY(handoff::forget_from(step.state, "pushed"));
    if (params.skip) {
        handoff::Pushed nothing{.digest = image.manifest_digest, .references = {}};
        TRY(handoff::write(step.state, nothing));
        step.result("IMAGE_DIGEST", image.manifest_digest);
        return nothing;
    }
    TRY_ASSIGN(const registry::Reference destination, registry::parse_reference(params.image));
    if (!destination.digest.empty()) {
        return fail(ErrorClass::usage, code::missing_or_invalid_argument,
                    "--image: a digest is what a push results in, it cannot be asked for",
                    "give registry/repository[:tag]");
    }
    TRY_ASSIGN(const auto tags, wanted_tags(params, destination));
    TRY_ASSIGN(const Fd state, open_directory(step.state));
    TRY_ASSIGN(const Fd layout, open_beneath(state.get(), image.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY_ASSIGN(const registry::Options options, registry_options(params.registry, params.retries, step));

    step.phase(frames::PhaseName::pushing);
    registry::PushRequest request;
    request.layout = layout.get();
    request.expected_digest = image.manifest_digest;
    request.destination = destination;
    request.tags = tags;
    request.on_progress = [&step](const registry::PushProgress& progress) { report(step, progress); };
    TRY_ASSIGN(const registry::PushedImage pushed, registry::push_layout(options, request));
    if (const Error* error = pushed.tag_error()) {
        return fail(*error);
    }

    handoff::Pushed value{.digest = pushed.digest, .references = {}};
    std::string images;
    for (const std::string& tag : tags) {
        value.references.push_back(destination.name() + ":" + tag);
        images += (images.empty() ? "" : ",") + value.references.back() + "@" + pushed.digest;
    }
    TRY(handoff::write(step.state, value));
    step.result("IMAGE_URL", value.references.front());
    step.result("IMAGE_DIGEST", value.digest);
    step.result("IMAGE_REF", destination.with_digest(value.digest));
    step.result("IMAGES", images);
    return value;
}

} // namespace slipway::steps
