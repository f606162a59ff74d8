// TLS on top of our sockets: libgit2's TLS port, filled with OpenSSL as the rest of the program uses it.
//
// libgit2's own TLS stream compares addresses in certificates the wrong way round (it refuses the right one
// and takes any other), takes TLS 1.0, and has one set of words for every reason a certificate is refused.
// Here the chain and the name are OpenSSL's to check, before a byte of HTTP is sent; an address is matched
// against the addresses of the certificate, a name against its names.
#pragma once

#include "base/result.hpp"

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace slipway::source {

/// What servers are believed by. Shared by the connections of one fetch.
using TlsTrust = std::shared_ptr<ssl_ctx_st>;

/// `ca_file`: PEM bundle, the only one trusted; empty = nobody is. Without `verify` any certificate will do.
/// Error: class usage (no certificate in the file).
Result<TlsTrust> make_trust(const std::string& ca_file, bool verify);

/// Makes libgit2 use these streams for https. Once per process, after register_streams().
int register_tls_streams();

} // namespace slipway::source
