#include "http/failure.hpp"

#include "base/fd.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace slipway::http {

namespace {

std::string words(int err) {
    return std::generic_category().message(err);
}

/// errno of one more attempt to connect to a resolved address; 0 = it works now.
int try_address(const addrinfo& address, int timeout_ms) {
    const Fd socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) {
        return errno;
    }
    if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) {
        return 0;
    }
    if (errno != EINPROGRESS) {
        return errno;
    }
    pollfd wait{socket.get(), POLLOUT, 0};
    if (::poll(&wait, 1, timeout_ms) <= 0) {
        return ETIMEDOUT;
    }
    int err = 0;
    socklen_t size = sizeof err;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &err, &size);
    return err;
}

Error network(std::string message, std::string cause, bool transient, std::string hint = {}) {
    Error error = make_error(ErrorClass::network, code::network, std::move(message), std::move(hint));
    error.cause = std::move(cause);
    error.transient = transient;
    return error;
}

Error explain_connection(const Failure& failure, const std::string& host, std::uint16_t port,
                         const std::string& who) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* raw = nullptr;
    const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(raw, &::freeaddrinfo);
    if (status != 0) {
        const std::string cause = "getaddrinfo " + host + ": " + ::gai_strerror(status);
        if (status == EAI_AGAIN) {
            return network("the name of " + who + " could not be looked up for now", cause, true,
                           "check that the pod reaches its DNS server");
        }
        return network("unknown host: " + who, cause, false,
                       "check the spelling of the host name, and the pod's DNS");
    }
    const std::string at = who + " (port " + std::to_string(port) + ")";
    if (failure.kind == Failure::Kind::connect_timeout) {
        return network("no answer from " + at + " within " +
                           format_duration(failure.options->connect_timeout),
                       "connect: " + words(ETIMEDOUT), true,
                       "check that a network policy or firewall lets the pod reach it, or set a proxy");
    }
    int err = 0;
    int budget = 3;
    for (const addrinfo* address = found.get(); address != nullptr && budget > 0;
         address = address->ai_next, --budget) {
        const int now = try_address(*address, 1000);
        err = err == 0 || now == 0 ? now : err;
        if (now == 0) {
            return network("the connection to " + at + " failed", "connect failed, then worked", true);
        }
    }
    const std::string cause = "connect: " + words(err);
    switch (err) {
    case ECONNREFUSED:
        return network(at + " refused the connection", cause, true,
                       "check the address and that the server runs");
    case EHOSTUNREACH:
    case ENETUNREACH:
        return network(at + " cannot be reached from this pod", cause, true,
                       "check the pod's network and network policies, or set a proxy");
    case EMFILE:
    case ENFILE: return network("too many open files to connect to " + at, cause, true);
    default: return network("the connection to " + at + " failed", cause, true);
    }
}

Error explain_certificate(const Failure& failure, const std::string& host) {
    if (failure.name_mismatch) {
        return network("the certificate of " + host + " is for another name", "TLS: host name mismatch",
                       false, "use the name the certificate was issued for");
    }
    const std::string cause = std::string("TLS: ") + X509_verify_cert_error_string(failure.verify_result);
    switch (failure.verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return network("the certificate of " + host + " has expired", cause, false,
                       "the server needs a new certificate; check the node's clock too");
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return network("the certificate of " + host + " is not valid yet", cause, false,
                       "check the node's clock");
    default:
        return network("the certificate of " + host + " is not signed by a known authority", cause, false,
                       "give the authority's certificate with --ca-file, or in certs.d");
    }
}

} // namespace

Error explain(const Failure& failure) {
    const std::string host = failure.url->authority();
    const auto cut_short = [&](std::string_view what) {
        const bool silent =
            failure.elapsed >= failure.options->read_timeout && failure.system_error != ECONNRESET;
        if (silent) {
            return network(host + " sent nothing for " + format_duration(failure.options->read_timeout),
                           std::string(what) + ": " + words(ETIMEDOUT), true);
        }
        if (failure.system_error == ECONNRESET || failure.system_error == EPIPE) {
            return network(host + " broke the connection off",
                           std::string(what) + ": " + words(failure.system_error), true);
        }
        return network(host + " closed the connection early", std::string(what) + ": unexpected end", true);
    };
    switch (failure.kind) {
    case Failure::Kind::connect:
    case Failure::Kind::connect_timeout:
        return failure.proxy != nullptr
                   ? explain_connection(failure, failure.proxy->host, failure.proxy->port,
                                        "the proxy " + failure.proxy->host)
                   : explain_connection(failure, failure.url->host, failure.url->port, failure.url->host);
    case Failure::Kind::certificate: return explain_certificate(failure, host);
    case Failure::Kind::handshake: {
        std::array<char, 256> text{};
        ERR_error_string_n(failure.tls_error, text.data(), text.size());
        const std::string cause = failure.tls_error != 0      ? std::string("TLS: ") + text.data()
                                  : failure.system_error != 0 ? "TLS: " + words(failure.system_error)
                                                              : "TLS: the handshake broke off";
        const int reason = ERR_GET_REASON(failure.tls_error);
        const bool spoke = failure.tls_error != 0 && ERR_GET_LIB(failure.tls_error) == ERR_LIB_SSL;
        if (spoke && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
                      reason == SSL_R_PACKET_LENGTH_TOO_LONG)) {
            return network(host + " does not speak TLS", cause, false, "it may be a plain http server");
        }
        if (spoke && reason != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            return network("no TLS connection with " + host, cause, false,
                           "the server may want another TLS version or a client certificate");
        }
        return network("no TLS connection with " + host, cause, true);
    }
    case Failure::Kind::write: return cut_short("send");
    case Failure::Kind::read: return cut_short("receive");
    case Failure::Kind::body: return cut_short("receive body");
    case Failure::Kind::deadline:
        return network("no complete answer from " + host + " within " +
                           format_duration(failure.options->total_timeout),
                       "deadline of the exchange", true);
    case Failure::Kind::proxy: {
        const std::string proxy = failure.proxy != nullptr ? failure.proxy->host : "?";
        const std::string status = std::to_string(failure.proxy_status);
        if (failure.proxy_status == 407) {
            return network("the proxy " + proxy + " wants other credentials", "HTTP 407", false,
                           "put user:password@ into the proxy URL");
        }
        return network("the proxy " + proxy + " does not let us reach " + host, "CONNECT: HTTP " + status,
                       failure.proxy_status >= 500, "check the proxy's rules, or no_proxy");
    }
    case Failure::Kind::too_long:
        return network("the answer of " + host + " is longer than " + humane_bytes(failure.limit),
                       "body limit", false);
    }
    return network("the exchange with " + host + " failed", {}, true);
}

Result<std::string> find_ca_bundle(const Options& options, bool optional) {
    for (const std::string& named : {options.ca_file, options.ssl_cert_file}) {
        if (named.empty()) {
            continue;
        }
        if (::access(named.c_str(), R_OK) != 0) {
            Error error = errno_error(named, errno);
            error.klass = ErrorClass::usage;
            error.code = code::missing_or_invalid_argument;
            error.message = "cannot read the certificate authorities in " + named;
            error.hint = "check --ca-file and SSL_CERT_FILE";
            return fail(std::move(error));
        }
        return named;
    }
    for (const char* path : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}) {
        if (::access(path, R_OK) == 0) {
            return path;
        }
    }
    if (optional) {
        return std::string();
    }
    return fail(ErrorClass::pod, code::pod_forbids,
                "no certificate authorities found, so no TLS server can be trusted",
                "install ca-certificates in the image, mount a bundle, or give --ca-file");
}

} // namespace slipway::http
