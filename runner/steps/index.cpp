#include "registry/index.hpp"

#include "steps/access.hpp"
#include "steps/pushing.hpp"
#include "steps/steps.hpp"

#include <format>

namespace slipway::steps {

Status index(const cli::Index& params, Step& step) {
    step.hello(std::format("join {} images under {}", params.from.size(), params.image));
    registry::IndexRequest request;
    TRY_ASSIGN(request.destination, destination(params.image));
    TRY_ASSIGN(request.tags, wanted_tags(request.destination, params.tags));
    for (const std::string& from : params.from) {
        TRY_ASSIGN(auto member, registry::parse_reference(from));
        request.members.push_back(std::move(member));
    }
    request.format = params.format == "docker" ? registry::ListFormat::docker
                     : params.format == "oci"  ? registry::ListFormat::oci
                                               : registry::ListFormat::automatic;
    request.on_progress = [&step](const registry::PushProgress& progress) { tell_push(step, progress); };
    TRY_ASSIGN(const registry::Options options, registry_options(params.registry, params.retries, step));

    step.phase(frames::PhaseName::pushing);
    TRY_ASSIGN(const registry::PushedIndex pushed, registry::push_index(options, request));
    for (const registry::IndexMember& member : pushed.members) {
        step.stream.log(frames::Lane::out, std::format("{} is {}", member.platform, member.reference.text()));
    }
    if (const Error* error = pushed.tag_error()) {
        return fail(*error);
    }
    tell_pushed(step, request.destination, references(request.destination, request.tags), pushed.digest);
    return {};
}

} // namespace slipway::steps
