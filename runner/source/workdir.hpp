// The directory a source is put into: made, emptied, never left, never removed (it may be a mount point).
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace slipway::source {

/// Creates `directory` with its parents, or removes what it holds; symbolic links are removed, not followed.
/// A `directory` that is itself a symbolic link is refused (class usage). A `lost+found` that may not be
/// removed stays, and `notes` says so. Not allowed to write: class pod, code podforbids.
Status empty_directory(const std::filesystem::path& directory, std::vector<std::string>& notes);

} // namespace slipway::source
