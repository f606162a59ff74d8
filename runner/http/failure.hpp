// Why an exchange failed, in words, and whether another try may help. Private to the room.
#pragma once

#include "base/result.hpp"
#include "http/options.hpp"
#include "http/url.hpp"

#include <cstddef>
#include <string>

namespace slipway::http {

struct Failure {
    enum class Kind {
        connect,
        connect_timeout,
        handshake,
        certificate,
        write,
        read,     ///< nothing, or no complete head, came back
        body,     ///< the answer broke off
        deadline, ///< Options::total_timeout
        proxy,    ///< the proxy refused
        too_long, ///< the answer is longer than the caller takes
    } kind = Kind::read;
    const Url* url = nullptr;
    const Proxy* proxy = nullptr;
    const Options* options = nullptr;
    Milliseconds elapsed{0};
    int system_error = 0;
    unsigned long tls_error = 0; ///< OpenSSL's first
    long verify_result = 0;      ///< X509_V_…
    bool name_mismatch = false;
    int proxy_status = 0;
    std::size_t limit = 0;
};

/// For a failed connection it asks the resolver and connects once more (3 s at most), because the library
/// only says that it failed.
Error explain(const Failure& failure);

/// The PEM bundle to trust: ca_file, ssl_cert_file, Debian's, Red Hat's. Empty only when `optional` and there
/// is none.
Result<std::string> find_ca_bundle(const Options& options, bool optional);

} // namespace slipway::http
