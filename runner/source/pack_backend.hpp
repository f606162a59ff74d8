// PackReceiver in libgit2's place for packs: what a fetch receives goes there.
#pragma once

#include <git2.h>

namespace slipway::source {

/// From now on, packs for the repository's object database are taken by PackReceiver. Reading stays
/// libgit2's. Returns libgit2's code.
int receive_packs(git_repository* repository);

} // namespace slipway::source
