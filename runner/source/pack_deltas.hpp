// The ids of a pack's deltas, found by making every object they stand for.
#pragma once

#include "source/pack_naming.hpp"
#include "source/pack_objects.hpp"

#include <cstdint>
#include <expected>
#include <functional>

namespace slipway::source {

/// Fills in the ids of `objects` that are deltas, reading the pack at `fd` with several threads. `go_on` is
/// called on the calling thread with how many are done, and says whether to. What is kept in memory is
/// bounded, whatever the deltas are. `take`, which may be empty, is given every object made. An error when a
/// base is missing, deltas are based on each other, or one is damaged.
std::expected<void, LibraryError> resolve_deltas(int fd, PackObjects& objects,
                                                 const std::function<bool(std::size_t done)>& go_on,
                                                 const ObjectTaker& take);

} // namespace slipway::source
