// Absolute http and https URLs, strictly (RFC 3986): what a redirect or a registry may send us to.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace slipway::http {

struct Url {
    bool https = true;
    std::string host; ///< lower case; an IPv6 address without brackets
    std::uint16_t port = 443;
    std::string target = "/"; ///< path and query, always beginning with '/'
    std::string username;     ///< percent-decoded; kept out of text()
    std::string password;

    /// "https://host[:port]", the port only where it is not the scheme's own.
    [[nodiscard]] std::string origin() const;
    /// Host as it stands in a URL or Host header: brackets round IPv6, port where not the scheme's own.
    [[nodiscard]] std::string authority() const;
    /// origin() + target, without credentials: what may be shown.
    [[nodiscard]] std::string text() const;
    [[nodiscard]] bool same_origin(const Url& other) const {
        return https == other.https && host == other.host && port == other.port;
    }
};

/// At most 8 KiB, no control or non-ASCII characters, no fragment kept. Error:
/// usage/missingorinvalidargument.
Result<Url> parse_url(std::string_view text);

/// A Location header: absolute, scheme-relative, absolute path or relative path against `base`.
Result<Url> resolve_url(const Url& base, std::string_view location);

} // namespace slipway::http
