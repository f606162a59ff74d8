// Submodules of a tree just checked out, and theirs: git's own layout, so that git finds everything in place.
//
// Each is fetched into the empty directory its parent's tree left for it, its repository lies in
// .git/modules/NAME of its parent's with a `.git` file pointing there, and the parent's configuration has
// submodule.NAME.url and .active, as after `git submodule update --init`.
//
// Limits: 16 levels, 1,000 submodules in all, a .gitmodules of 1 MiB. Nothing .gitmodules says is run.
#pragma once

#include "source/repository.hpp"

namespace slipway::source {

/// Adds to `into`: its `submodules`, sizes, `notes` about what was left out. The first that fails ends it;
/// its path and URL stand in the error's message. What was written is left to the caller to clear away.
Status fetch_submodules(const GitOptions& options, const Place& place, Checkout& into,
                        const GitCallbacks& callbacks, const StopToken& stop);

} // namespace slipway::source
