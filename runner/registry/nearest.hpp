// Where an image or artifact is asked for: the mirrors registries.conf names, then the registry itself.
#pragma once

#include "base/result.hpp"
#include "registry/options.hpp"
#include "registry/reference.hpp"

#include <utility>
#include <vector>

namespace slipway::registry {

/// What `ask(options, endpoint)` gets, a Result, from the first place that has it. Mirrors are asked once
/// each, without retries. Error: the last place's; or that of the place that was asked when a stop was
/// requested.
template <class Ask>
auto from_nearest(const Options& options, const Reference& reference, const Ask& ask)
    -> decltype(ask(options, std::declval<const Endpoint&>())) {
    TRY_ASSIGN(const std::vector<Endpoint> endpoints,
               options.registries.pull_endpoints(reference.registry, reference.repository,
                                                 !reference.digest.empty()));
    Error last;
    for (const Endpoint& endpoint : endpoints) {
        Options here = options;
        if (endpoint.mirror) {
            here.retry.retries = 0; // the next place is the better second try
        }
        auto answer = ask(here, endpoint);
        if (answer || options.stop.requested()) {
            return answer;
        }
        last = std::move(answer).error();
    }
    return fail(std::move(last));
}

} // namespace slipway::registry
