// What every HTTP exchange of the process shares: trust, proxies, patience.
#pragma once

#include "base/clock.hpp"
#include "http/proxy.hpp"

#include <string>
#include <vector>

namespace slipway::http {

struct Options {
    /// PEM bundle to trust instead of the system's. Empty: SSL_CERT_FILE as given in `ssl_cert_file`, else
    /// the first that exists of Debian's and Red Hat's bundle. None at all is an error once TLS is needed.
    std::string ca_file;
    std::string ssl_cert_file; ///< value of SSL_CERT_FILE, read once by the caller
    ProxyRules proxies;
    std::string user_agent = "slipway";
    Milliseconds connect_timeout{15'000};
    Milliseconds read_timeout{60'000}; ///< longest silence, either direction
    Milliseconds total_timeout{0};     ///< of one exchange including redirects; 0 = none
    int redirects = 8;                 ///< followed at most

    /// proxies and ssl_cert_file from the environment, the rest as above. Error: usage (malformed proxy).
    static Result<Options> from_environment();
};

/// Trust towards one origin, on top of Options.
struct Tls {
    bool verify = true;
    std::vector<std::string> extra_ca_files; ///< PEM, trusted in addition
    std::string client_certificate;          ///< PEM file; with client_key
    std::string client_key;
};

} // namespace slipway::http
