// The layer cache in a registry: --cache-from, --cache-to, --cache-ttl.
//
// buildah keeps every command's layer as a tag of the cache repository, named by a digest over the base
// image's id and the commands so far. A cache may be broken, full or forbidden, and the build is none the
// worse: each repository is tried before it is used, and where buildah fails for the cache's sake it builds
// again without.
#pragma once

#include "steps/workshop.hpp"

namespace slipway::steps {

/// Gives `options` the cache repositories that answer as they should; of the others a warning is told
/// (cachelookupissue, cachepushissue). Phases checking-cache, priming-cache. Error: usage, for a repository
/// that is none.
Status use_cache(Workshop& shop, const registry::Options& registry, bool no_network, buildah::Build& options);

/// buildah ended because of the cache, of nothing else.
bool failed_for_cache(const buildah::Ending& how);

} // namespace slipway::steps
