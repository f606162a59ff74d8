// The .idx beside a pack, version 2. Format: git's pack-format documentation.
#pragma once

#include "source/pack_objects.hpp"

#include <expected>
#include <string_view>

namespace slipway::source {

/// Writes the index of a pack whose checksum is `pack_sum` into the empty file `fd`. Sorts the entries by id;
/// one that is there twice is an error.
std::expected<void, LibraryError> write_pack_index(int fd, PackObjects& objects, std::string_view pack_sum);

} // namespace slipway::source
