// PackReceiver in libgit2's place for packs: what a fetch receives goes there.
#pragma once

#include "source/pack_naming.hpp"

#include <git2.h>

namespace slipway::source {

/// From now on, packs for the repository's object database are taken by PackReceiver. Reading stays
/// libgit2's. `take` as PackReceiver's, of every pack. Returns libgit2's code.
int receive_packs(git_repository* repository, ObjectTaker take);

} // namespace slipway::source
