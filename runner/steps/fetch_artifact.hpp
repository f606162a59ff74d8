// `fetch` of an OCI artifact: a source that a registry keeps beside images.
#pragma once

#include "base/result.hpp"
#include "cli/params.hpp"
#include "handoff/values.hpp"
#include "steps/step.hpp"

#include <string_view>

namespace slipway::steps {

/// Whether --archive names an artifact: `oci://REGISTRY/REPOSITORY[:TAG][@DIGEST]`, as Flux and Helm write
/// it, or a lone blob: `oci:REGISTRY/REPOSITORY@DIGEST`, as Konflux does.
bool is_artifact(std::string_view archive);

/// Layers in their order: archives are unpacked, files with a title put under it. The target is emptied
/// first, and left empty on failure. Results: url (with the digest), archive-digest (the manifest's, or the
/// lone blob's).
Result<handoff::Source> fetch_artifact(const cli::Fetch& params, Step& step);

} // namespace slipway::steps
