#include "registry/push.hpp"

#include "base/file.hpp"
#include "handoff/files.hpp"
#include "steps/access.hpp"
#include "steps/pushing.hpp"
#include "steps/steps.hpp"

#include <fcntl.h>

namespace slipway::steps {

Result<handoff::Pushed> push(const cli::Push& params, const handoff::Image& image, Step& step) {
    step.hello(params.skip ? "push nothing: --skip" : "push to " + params.image);
    TRY(handoff::forget_from(step.state, "pushed"));
    if (params.skip) {
        handoff::Pushed nothing{.digest = image.manifest_digest, .references = {}};
        TRY(handoff::write(step.state, nothing));
        step.result("IMAGE_DIGEST", image.manifest_digest);
        return nothing;
    }
    TRY_ASSIGN(const registry::Reference target, destination(params.image));
    TRY_ASSIGN(const auto tags, wanted_tags(target, params.tags));
    TRY_ASSIGN(const Fd state, open_directory(step.state));
    TRY_ASSIGN(const Fd layout, open_beneath(state.get(), image.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    TRY_ASSIGN(const registry::Options options, registry_options(params.registry, params.retries, step));

    step.phase(frames::PhaseName::pushing);
    registry::PushRequest request;
    request.layout = layout.get();
    request.expected_digest = image.manifest_digest;
    request.destination = target;
    request.tags = tags;
    request.on_progress = [&step](const registry::PushProgress& progress) { tell_push(step, progress); };
    TRY_ASSIGN(const registry::PushedImage pushed, registry::push_layout(options, request));
    if (const Error* error = pushed.tag_error()) {
        return fail(*error);
    }

    // The value first: a result says that the push is complete.
    handoff::Pushed value{.digest = pushed.digest, .references = references(target, tags)};
    TRY(handoff::write(step.state, value));
    tell_pushed(step, target, value.references, value.digest);
    return value;
}

} // namespace slipway::steps
