// What a build that fails, or is about to, is told beside buildah's own words.
#pragma once

#include "steps/workshop.hpp"

namespace slipway::steps {

/// Warns where the base images will hardly fit on the build's volume; refuses (resource/outofdisk) where they
/// cannot.
Status foresee_space(const Workshop& shop, const handoff::Plan& plan);

/// The error as it goes into its frame: memory that ran out in place of what it led to, the peak of memory,
/// and before it a `reproduce` frame. Not for a stop, which needs no explanation.
Error explain_failure(Workshop& shop, const handoff::Plan& plan, Error error);

} // namespace slipway::steps
