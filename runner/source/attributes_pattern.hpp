// git's path patterns (gitignore(5), "PATTERN FORMAT"), as .gitattributes uses them. Pure.
#pragma once

#include <string_view>

namespace slipway::source {

/// Whether `path` as a whole fits: `*` and `?` and `[…]` stop at slashes, `**` between slashes or at an end
/// does not, a backslash takes the next byte for itself. Bytes, with regard to case. Takes at most in the
/// order of pattern × path steps.
bool path_pattern_matches(std::string_view pattern, std::string_view path);

} // namespace slipway::source
