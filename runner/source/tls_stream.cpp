#include "source/tls_stream.hpp"

#include "source/stream.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <git2.h>
#include <git2/sys/errors.h>
#include <git2/sys/stream.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <utility>

namespace slipway::source {
namespace {

using Kind = NetFault::Kind;

struct TlsStream {
    git_stream parent;
    git_stream* below; ///< moves the bytes
    bool owns_below;
    bool open; ///< the handshake is done and nothing has failed since
    SSL* ssl;
    NetSession* net;
    std::string* host;
    git_cert_x509 certificate; ///< without data: the certificate has been judged by then
};

TlsStream& self(git_stream* stream) {
    return *reinterpret_cast<TlsStream*>(stream);
}

// ---- OpenSSL's transport: the stream below.

int bio_read(BIO* bio, char* data, int size) {
    auto* below = static_cast<git_stream*>(BIO_get_data(bio));
    return static_cast<int>(below->read(below, data, static_cast<std::size_t>(size)));
}

int bio_write(BIO* bio, const char* data, int size) {
    auto* below = static_cast<git_stream*>(BIO_get_data(bio));
    return static_cast<int>(below->write(below, data, static_cast<std::size_t>(size), 0));
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "git_stream");
        if (made != nullptr) {
            BIO_meth_set_read(made, bio_read);
            BIO_meth_set_write(made, bio_write);
            BIO_meth_set_ctrl(made, bio_control);
        }
        return made;
    }();
    return method;
}

// ---- What went wrong.

std::string last_words(unsigned long error) {
    const char* reason = ERR_reason_error_string(error);
    return reason != nullptr ? reason : "unknown error";
}

Kind kind_of(long verify_result) {
    switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return Kind::certificate_expired;
    case X509_V_ERR_CERT_NOT_YET_VALID: return Kind::certificate_early;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return Kind::certificate_name;
    default: return Kind::certificate_unknown;
    }
}

/// Has the other side gone without saying good-bye? Many servers do, and HTTP and git know themselves
/// whether everything was there.
bool is_end(const TlsStream& st, int reason, unsigned long error) {
    return reason == SSL_ERROR_ZERO_RETURN ||
           (st.net->fault().kind == Kind::none && st.net->closed_by_peer() &&
            (reason == SSL_ERROR_SYSCALL || (ERR_GET_LIB(error) == ERR_LIB_SSL &&
                                             ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING)));
}

/// Remembers the fault unless the stream below has (it knows better). Always -1.
int broken(TlsStream& st, Kind kind, std::string detail) {
    st.open = false;
    ERR_clear_error();
    if (st.net->fault().kind == Kind::none) {
        st.net->set_fault(kind, *st.host, {}, std::move(detail));
    }
    const NetFault fault = st.net->fault();
    git_error_set_str(GIT_ERROR_SSL, ("TLS: " + fault.detail).c_str());
    return -1;
}

// ---- The stream.

int stream_connect(git_stream* stream) {
    TlsStream& st = self(stream);
    if (st.owns_below) {
        if (const int rc = st.below->connect(st.below); rc < 0) {
            return rc;
        }
    }
    BIO* bio = bio_method() == nullptr ? nullptr : BIO_new(bio_method());
    if (bio == nullptr) {
        return broken(st, Kind::tls, "out of memory");
    }
    BIO_set_data(bio, st.below);
    BIO_set_init(bio, 1);
    SSL_set_bio(st.ssl, bio, bio);
    // An address is no name to ask for (RFC 6066, 3), and is looked for among the certificate's addresses.
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(st.ssl), st.host->c_str()) != 1) {
        SSL_set_hostflags(st.ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (SSL_set1_host(st.ssl, st.host->c_str()) != 1 ||
            SSL_ctrl(st.ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, st.host->data()) != 1) {
            return broken(st, Kind::tls, "not a host name");
        }
    }
    ERR_clear_error();
    const int done = SSL_connect(st.ssl);
    if (done == 1) {
        st.open = true;
        return 0;
    }
    const int reason = SSL_get_error(st.ssl, done);
    const unsigned long error = ERR_peek_last_error();
    if (is_end(st, reason, error)) {
        return broken(st, Kind::broken, "closed in the TLS handshake");
    }
    if (const long verdict = SSL_get_verify_result(st.ssl);
        verdict != X509_V_OK && ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        return broken(st, kind_of(verdict), X509_verify_cert_error_string(verdict));
    }
    return broken(st, Kind::tls, last_words(error));
}

ssize_t stream_read(git_stream* stream, void* data, std::size_t size) {
    TlsStream& st = self(stream);
    ERR_clear_error();
    const int n = SSL_read(st.ssl, data, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
    if (n > 0) {
        return st.net->heard({static_cast<const char*>(data), static_cast<std::size_t>(n)})
                   ? n
                   : broken(st, Kind::too_much, {});
    }
    const int reason = SSL_get_error(st.ssl, n);
    const unsigned long error = ERR_peek_last_error();
    if (is_end(st, reason, error)) {
        st.net->set_closed();
        return 0;
    }
    return broken(st, Kind::broken, last_words(error));
}

ssize_t stream_write(git_stream* stream, const char* data, std::size_t size, int /*flags*/) {
    TlsStream& st = self(stream);
    st.net->said({data, size});
    ERR_clear_error();
    const int n = SSL_write(st.ssl, data, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
    return n > 0 ? n : broken(st, Kind::broken, last_words(ERR_peek_last_error()));
}

int stream_close(git_stream* stream) {
    TlsStream& st = self(stream);
    if (std::exchange(st.open, false) && st.net->fault().kind == Kind::none) {
        SSL_shutdown(st.ssl); // a good-bye; nobody waits for the answer
        ERR_clear_error();
    }
    return st.owns_below ? st.below->close(st.below) : 0;
}

void stream_free(git_stream* stream) {
    TlsStream& st = self(stream);
    SSL_free(st.ssl);
    if (st.owns_below) {
        st.below->free(st.below);
    }
    delete st.host;
    delete &st;
}

int certificate(git_cert** out, git_stream* stream) {
    *out = &self(stream).certificate.parent;
    return 0;
}

int make(git_stream** out, git_stream* below, const char* host, bool owns_below) {
    NetSession* net = NetSession::current();
    SSL* ssl = net == nullptr || !net->trust() ? nullptr : SSL_new(net->trust().get());
    if (ssl == nullptr) {
        git_error_set_str(GIT_ERROR_SSL, "no TLS session");
        return -1;
    }
    const std::string_view name = host;
    const bool bracketed = name.starts_with('[') && name.ends_with(']');
    auto* st = new TlsStream{};
    st->below = below;
    st->owns_below = owns_below;
    st->ssl = ssl;
    st->net = net;
    st->host = new std::string(bracketed ? name.substr(1, name.size() - 2) : name);
    st->certificate.parent.cert_type = GIT_CERT_X509;
    st->parent.version = GIT_STREAM_VERSION;
    st->parent.encrypted = 1;
    st->parent.connect = stream_connect;
    st->parent.certificate = certificate;
    st->parent.read = stream_read;
    st->parent.write = stream_write;
    st->parent.close = stream_close;
    st->parent.free = stream_free;
    *out = &st->parent;
    return 0;
}

int init(git_stream** out, const char* host, const char* port) {
    git_stream* below = nullptr;
    if (const int rc = make_socket_stream(&below, host, port, /*carries_tls=*/true); rc < 0) {
        return rc;
    }
    const int rc = make(out, below, host, /*owns_below=*/true);
    if (rc < 0) {
        below->free(below);
    }
    return rc;
}

/// Behind a proxy's CONNECT: `below` stays the caller's.
int wrap(git_stream** out, git_stream* below, const char* host) {
    return make(out, below, host, /*owns_below=*/false);
}

} // namespace

Result<TlsTrust> make_trust(const std::string& ca_file, bool verify) {
    ERR_clear_error();
    TlsTrust context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    if (!context) {
        return fail(ErrorClass::internal, code::internal_error, "TLS could not be set up");
    }
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (verify) {
        // As container tools have it: whatever certificate is listed as trusted ends the chain.
        X509_STORE_set_flags(SSL_CTX_get_cert_store(context.get()), X509_V_FLAG_PARTIAL_CHAIN);
        if (!ca_file.empty() && SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) {
            Error error = make_error(ErrorClass::usage, code::missing_or_invalid_argument,
                                     "cannot use the CA bundle " + ca_file,
                                     "it must be a readable file of PEM certificates");
            error.cause = last_words(ERR_peek_last_error());
            ERR_clear_error();
            return fail(std::move(error));
        }
    }
    return context;
}

int register_tls_streams() {
    git_stream_registration registration{};
    registration.version = GIT_STREAM_VERSION;
    registration.init = init;
    registration.wrap = wrap;
    return git_stream_register(GIT_STREAM_TLS, &registration);
}

} // namespace slipway::source
