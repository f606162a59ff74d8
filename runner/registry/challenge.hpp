// WWW-Authenticate (RFC 9110 §11.6.1), as far as registries use it: Bearer and Basic. Private to the room.
#pragma once

#include <string>
#include <string_view>

namespace slipway::registry {

struct Challenge {
    enum class Scheme { none, basic, bearer } scheme = Scheme::none;
    std::string realm;
    std::string service;
    std::string scope;
    std::string error; ///< "insufficient_scope", "invalid_token"
};

/// The strongest challenge the value offers (Bearer before Basic). Anything malformed is skipped; bounded to
/// 8 KiB.
Challenge parse_challenge(std::string_view value);

} // namespace slipway::registry
