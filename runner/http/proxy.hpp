// Which proxy a URL goes through: http_proxy, https_proxy, all_proxy, no_proxy, in either case.
//
// Lower case wins, and HTTP_PROXY in upper case is honoured too (there is no CGI here). no_proxy: "*", host
// names (which cover their subdomains, with or without a leading dot), addresses, CIDR ranges, each with an
// optional :port. Loopback is never proxied. Proxies are http:// (or bare host:port) and may carry
// user:password; https:// and socks proxies are refused with a clear error.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::http {

struct Proxy {
    std::string host;
    std::uint16_t port = 0;
    std::string username;
    std::string password;

    bool operator==(const Proxy&) const = default;
};

class ProxyRules {
  public:
    /// Value of an environment variable, or nullptr.
    using Lookup = std::function<const char*(const char* name)>;

    ProxyRules() = default;
    /// Error: usage/missingorinvalidargument naming the variable.
    static Result<ProxyRules> parse(const Lookup& lookup);
    /// parse() over the process environment; call once, at start.
    static Result<ProxyRules> from_environment();

    /// `host` without brackets, any case.
    [[nodiscard]] std::optional<Proxy> proxy_for(bool https, std::string_view host, std::uint16_t port) const;
    /// proxy_for() for a URL's text ("https://…"); none for anything else.
    [[nodiscard]] std::optional<Proxy> proxy_for(std::string_view url) const;

    /// Passwords in the proxy URLs, for redaction.
    [[nodiscard]] std::vector<std::string> secrets() const;

  private:
    struct Exception {
        std::string name;                  ///< lower case, without leading dot; empty for an address
        std::vector<std::uint8_t> address; ///< 4 or 16 bytes
        int prefix = 0;                    ///< bits
        std::uint16_t port = 0;            ///< 0 = any
        bool all = false;
    };
    [[nodiscard]] bool excepted(std::string_view host, std::uint16_t port) const;

    std::optional<Proxy> http_;
    std::optional<Proxy> https_;
    std::vector<Exception> exceptions_;
};

} // namespace slipway::http
