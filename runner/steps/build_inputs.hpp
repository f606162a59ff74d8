// What a build is given besides its source: arguments, labels, secrets, keys, further contexts, a network or
// none.
#pragma once

#include "steps/workshop.hpp"

namespace slipway::steps {

/// buildah's options for this plan. Secrets and keys are registered, so that a RUN that prints them prints
/// ***. Errors: usage, for an option that cannot be read or contradicts another.
Result<buildah::Build> build_options(Workshop& shop, const handoff::Plan& plan, bool docker_format);

/// Whether all of the build runs without a network: --hermetic, --network=none, or every RUN of the plan asks
/// for none. Where only some RUNs do, or an ADD needs one, that is an error of class build: chroot isolation
/// cannot tell them apart.
Result<bool> runs_without_network(const cli::Build& params, const handoff::Plan& plan, Step& step);

} // namespace slipway::steps
