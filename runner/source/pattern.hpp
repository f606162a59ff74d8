// Patterns of ssh_config(5) and known_hosts: `*` and `?`, without regard to case.
#pragma once

#include <string_view>

namespace slipway::source {

bool wildcard_match(std::string_view pattern, std::string_view text);

/// Patterns between `separator`s; one that begins with `!` and matches rules the name out.
bool pattern_list_match(std::string_view patterns, char separator, std::string_view name);

} // namespace slipway::source
