// Go's filepath.Glob inside the context, with buildah's `**` on top. Internal to the room.
#pragma once

#include "base/stop.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::context {

/// Paths relative to the context ("" = the context itself) that `pattern` (cleaned, relative) matches; a
/// malformed pattern matches nothing. Nothing at all when a limit was met or `stop` fired.
std::optional<std::vector<std::string>> glob_inside(int context, std::string_view pattern,
                                                    const StopToken& stop);

} // namespace slipway::context
