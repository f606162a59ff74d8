// One repository, fetched to one place: the way the superproject and each of its submodules go.
#pragma once

#include "source/git.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace slipway::source {

struct Place {
    std::filesystem::path work_tree; ///< absolute; emptied first, never removed
    /// Empty = `.git` in the work tree; else made anew, and the work tree gets a `.git` file that points
    /// there.
    std::filesystem::path git_dir;
};

/// Fetches and checks out `options.url`, with its retries; of `options`, `into` and what concerns submodules
/// are not looked at. On failure the place is left empty.
Result<Checkout> fetch_repository(const GitOptions& options, const Place& place,
                                  const GitCallbacks& callbacks, const StopToken& stop);

/// Removes what the place holds; `notes` as for empty_directory.
Status empty_place(const Place& place, std::vector<std::string>& notes);

} // namespace slipway::source
