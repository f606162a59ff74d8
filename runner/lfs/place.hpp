// Putting a file into a tree in place of a pointer, without ever leaving the tree.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <string>

namespace slipway::lfs {

/// Renames `file` (on the tree's volume) over the regular file `path`, relative to the directory `root`,
/// whose permissions and modification time it takes on. No component of `path` may be a symbolic link. False:
/// there is no regular file of that name, and `file` stays.
Result<bool> place(int root, const std::string& path, const std::filesystem::path& file);

/// Makes `copy` a file with the content of `file`; shared blocks where the file system can do that.
Status copy_content(const std::filesystem::path& file, const std::filesystem::path& copy);

} // namespace slipway::lfs
