// .netrc as curl, and so git, reads it: `machine HOST login NAME password SECRET`, `default`, `macdef`. Pure;
// what is malformed is passed over.
#pragma once

#include "source/credentials.hpp"

#include <string_view>
#include <vector>

namespace slipway::source {

/// Entries for http and https at any port, as curl takes them. `default` has no host; it comes last, and
/// nothing behind it is read. At most 1,024.
std::vector<CredentialEntry> parse_netrc(std::string_view text);

} // namespace slipway::source
