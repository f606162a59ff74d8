// `fetch` of an archive or a lone Dockerfile: get the bytes, check their digest, unpack them.
#pragma once

#include "base/result.hpp"
#include "cli/params.hpp"
#include "handoff/values.hpp"
#include "steps/step.hpp"

namespace slipway::steps {

/// `params` names an archive or a Dockerfile, no git repository. The target is emptied first, and left empty
/// on failure. Results: url (unless it came by standard input), archive-digest.
Result<handoff::Source> fetch_archive(const cli::Fetch& params, Step& step);

} // namespace slipway::steps
