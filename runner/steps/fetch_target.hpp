// Where a source goes, and a source that is there already.
#pragma once

#include "base/result.hpp"
#include "cli/params.hpp"
#include "handoff/values.hpp"
#include "steps/step.hpp"

namespace slipway::steps {

/// --into and --subdirectory (relative, without ".."), or source/ in the hand-off directory: absolute. With
/// --delete-existing=false one that holds something is refused. Errors: class usage.
Result<std::filesystem::path> fetch_target(const cli::Fetch& params, const std::filesystem::path& state);

/// --allow-existing and no source named: the tree in `target` becomes the source as it is. Nothing is known
/// of its commit, so there are no results.
Result<handoff::Source> take_existing(const std::filesystem::path& target, Step& step);

} // namespace slipway::steps
