// Names a tree may not put into a work tree.
#pragma once

#include <string_view>

namespace slipway::source {

/// Whether `name`, one component of a path, can stand in a work tree: not empty, `.` or `..`, without a slash
/// or NUL, and not `.git` to any file system this could be copied to: in any case, with code points HFS+
/// ignores, or as NTFS understands it (`git~1`, trailing dots and spaces, a stream's colon, a backslash).
[[nodiscard]] bool is_work_tree_name(std::string_view name);

/// Whether a link may have this name: `.gitmodules` read through a link would be somebody else's file.
[[nodiscard]] bool is_link_name(std::string_view name);

} // namespace slipway::source
