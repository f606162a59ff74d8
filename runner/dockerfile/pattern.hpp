// Shell patterns of `${x#p}` and its kin: `*`, `?` (not over a line end), `\` before `*`, `?`, `\`, `}`, `/`;
// no brackets. Work is bounded: what would take too long is an error, so no pattern can hang a build.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace slipway::dockerfile {

/// Takes the shortest (or longest) prefix that matches off `value`; unchanged when none does.
Result<std::string> strip_prefix(std::string_view pattern, std::string_view value, bool longest);
Result<std::string> strip_suffix(std::string_view pattern, std::string_view value, bool longest);

/// Replaces the first (or every) longest match, taken literally. An empty pattern changes nothing.
/// More than `limit` bytes of result is an error.
Result<std::string> replace_matches(std::string_view pattern, std::string_view value,
                                    std::string_view replacement, bool all, std::size_t limit);

} // namespace slipway::dockerfile
