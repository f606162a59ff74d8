// The order of the first lines matters: cpp-httplib initialises OpenSSL from a static object, which would
// load the host's openssl.cnf. Objects of one file are initialised from top to bottom, so ours comes first.
#include <openssl/crypto.h>

namespace {
// NOLINTNEXTLINE(cert-err58-cpp): a C function, throws nothing
const int openssl_without_config = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
} // namespace

#include "base/retry.hpp"
#include "http/client.hpp"
#include "http/failure.hpp"
#include "http/watch.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <httplib.h>
#include <map>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace slipway::http {

namespace {

constexpr std::size_t chunk_size = std::size_t{64} * 1024;
constexpr std::size_t longest_error_body = std::size_t{64} * 1024;

bool same_name(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

bool is_credential(std::string_view name) noexcept {
    return same_name(name, "Authorization") || same_name(name, "Cookie") ||
           same_name(name, "Proxy-Authorization");
}

bool is_redirect(int status) noexcept {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// Header names and values we send are ours, but values may hold what others wrote (tokens): a line break in
/// one would add headers.
bool sendable(const Headers& headers) noexcept {
    return std::ranges::all_of(headers, [](const auto& header) {
        const auto printable = [](char c) { return c == '\t' || (c >= ' ' && c != 127); };
        return !header.first.empty() && std::ranges::all_of(header.first, printable) &&
               std::ranges::all_of(header.second, printable);
    });
}

Headers to_headers(const httplib::Headers& from) {
    return {from.begin(), from.end()};
}

/// SSL_write has no MSG_NOSIGNAL: a connection the other side closed must not kill the process.
class NoSigpipe {
  public:
    NoSigpipe() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        sigset_t pending{};
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    NoSigpipe(const NoSigpipe&) = delete;
    NoSigpipe& operator=(const NoSigpipe&) = delete;
    ~NoSigpipe() {
        const int saved = errno;
        if (!was_pending_) {
            const timespec none{};
            sigtimedwait(&pipe_, nullptr, &none);
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = saved;
    }

  private:
    sigset_t pipe_{};
    sigset_t before_{};
    bool was_pending_ = false;
};

/// What one exchange learnt that cpp-httplib's error does not carry.
struct Exchange {
    bool has_head = false;
    int status = 0;
    Headers headers;
    std::string body;
    bool body_cut = false;
    std::optional<Error> callback_error;
};

/// One connection to one origin.
struct Connection {
    std::unique_ptr<httplib::ClientImpl> client;
    std::unique_ptr<Watch> watch = std::make_unique<Watch>();
    bool proxied = false;
    std::optional<Proxy> proxy;
    long verify_result = X509_V_OK;
    bool name_mismatch = false;
};

} // namespace

struct Client::Impl {
    Options options;
    Tls tls;
    std::map<std::string, std::unique_ptr<Connection>> connections;

    Result<Connection*> connection(const Url& url, bool redirected);
    Status set_up_tls(Connection& connection, httplib::SSLClient& client, const Url& url,
                      bool redirected) const;
    Result<Response> once(const Request& request, const Url& url, std::string_view method,
                          const Headers& headers, bool redirected, bool with_body, const StopToken& stop,
                          std::chrono::steady_clock::time_point deadline);
};

Client::Client(Options options, Tls tls) : impl_(std::make_unique<Impl>()) {
    impl_->options = std::move(options);
    impl_->tls = std::move(tls);
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Status Client::Impl::set_up_tls(Connection& connection, httplib::SSLClient& client, const Url& url,
                                bool redirected) const {
    if (!client.is_valid()) {
        return fail_usage("the TLS client certificate for " + url.authority() + " cannot be used",
                          "check that certificate and key are PEM files, readable and belong together");
    }
    SSL_CTX_set_min_proto_version(client.ssl_context(), TLS1_2_VERSION);
    client.enable_server_certificate_verification(tls.verify);
    if (!tls.verify) {
        return {};
    }
    TRY_ASSIGN(const std::string bundle, find_ca_bundle(options, !redirected && !tls.extra_ca_files.empty()));
    SSL_CTX* context = client.ssl_context();
    X509_STORE* store = SSL_CTX_get_cert_store(context);
    // As container tools have it: whatever certificate is listed as trusted ends the chain.
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    std::vector<std::string> files;
    if (!bundle.empty()) {
        files.push_back(bundle);
    }
    if (!redirected) {
        files.insert(files.end(), tls.extra_ca_files.begin(), tls.extra_ca_files.end());
    }
    for (const std::string& file : files) {
        if (SSL_CTX_load_verify_locations(context, file.c_str(), nullptr) != 1) {
            ERR_clear_error();
            return fail_usage("no certificate authority could be read from " + file,
                              "the file must hold certificates in PEM form");
        }
    }
    // A path set here keeps cpp-httplib from adding the system's defaults to what the caller chose.
    client.set_ca_cert_path(files.front());
    Connection* raw = &connection;
    client.set_server_certificate_verifier([raw, host = url.host](SSL* ssl) {
        raw->verify_result = SSL_get_verify_result(ssl);
        if (raw->verify_result != X509_V_OK) {
            return false;
        }
        const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl),
                                                                      &X509_free);
        if (!certificate) {
            raw->verify_result = X509_V_ERR_UNSPECIFIED;
            return false;
        }
        raw->name_mismatch = X509_check_ip_asc(certificate.get(), host.c_str(), 0) != 1 &&
                             X509_check_host(certificate.get(), host.data(), host.size(),
                                             X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) != 1;
        return !raw->name_mismatch;
    });
    return {};
}

Result<Connection*> Client::Impl::connection(const Url& url, bool redirected) {
    const std::string key = (redirected ? "redirected " : "") + url.origin();
    if (const auto found = connections.find(key); found != connections.end()) {
        return found->second.get();
    }
    auto made = std::make_unique<Connection>();
    if (url.https) {
        const bool with_certificate = !redirected && !tls.client_certificate.empty();
        auto client = with_certificate ? std::make_unique<httplib::SSLClient>(
                                             url.host, url.port, tls.client_certificate, tls.client_key)
                                       : std::make_unique<httplib::SSLClient>(url.host, url.port);
        TRY(set_up_tls(*made, *client, url, redirected));
        made->client = std::move(client);
    } else {
        made->client = std::make_unique<httplib::ClientImpl>(url.host, url.port);
    }
    httplib::ClientImpl& client = *made->client;
    made->proxy = options.proxies.proxy_for(url.https, url.host, url.port);
    if (made->proxy) {
        client.set_proxy(made->proxy->host, made->proxy->port);
        if (!made->proxy->username.empty()) {
            client.set_proxy_basic_auth(made->proxy->username, made->proxy->password);
        }
    }
    client.set_connection_timeout(options.connect_timeout);
    client.set_read_timeout(options.read_timeout);
    client.set_write_timeout(options.read_timeout);
    client.set_keep_alive(true);
    client.set_follow_location(false);
    client.set_decompress(false);
    client.set_url_encode(false);
    client.set_tcp_nodelay(true);
    client.set_socket_options([watch = made->watch.get()](socket_t socket) { watch->add(socket); });
    if (connections.size() >= 16) { // redirects decide how many origins there are
        connections.clear();
    }
    return (connections[key] = std::move(made)).get();
}

Result<Response> Client::Impl::once(const Request& request, const Url& url, std::string_view method,
                                    const Headers& headers, bool redirected, bool with_body,
                                    const StopToken& stop, std::chrono::steady_clock::time_point deadline) {
    TRY_ASSIGN(Connection * connection, connection(url, redirected));
    Exchange exchange;

    httplib::Request out;
    out.method = method;
    out.path = url.target;
    for (const auto& [name, value] : headers) {
        out.headers.emplace(name, value);
    }
    out.headers.emplace("Host", url.authority());
    if (!out.has_header("User-Agent")) {
        out.headers.emplace("User-Agent", options.user_agent);
    }
    if (url.https && connection->proxy && !connection->proxy->username.empty()) {
        // cpp-httplib would send the proxy's password through the tunnel as well, to the origin.
        out.headers.emplace("Proxy-Authorization", "");
    }
    std::vector<char> buffer;
    if (with_body && request.source) {
        out.content_length_ = static_cast<std::size_t>(request.source_size);
        buffer.resize(chunk_size);
        out.content_provider_ = [&](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
            if (stop.requested() || connection->watch->fired()) {
                return false;
            }
            const std::span<char> piece(buffer.data(), std::min(buffer.size(), length));
            const auto n = request.source(offset, piece);
            if (!n || *n == 0) {
                exchange.callback_error =
                    n ? make_error(ErrorClass::internal, code::internal_error, "a request body ended early")
                      : n.error();
                return false;
            }
            return sink.write(buffer.data(), *n);
        };
        if (request.source_size == 0) {
            out.content_provider_ = nullptr;
        }
    } else if (with_body) {
        out.body = request.body;
    }

    bool streaming = false;
    out.response_handler = [&](const httplib::Response& response) {
        exchange.has_head = true;
        exchange.status = response.status;
        exchange.headers = to_headers(response.headers);
        streaming = request.sink && response.status >= 200 && response.status < 300;
        if (streaming && request.on_headers) {
            if (auto status = request.on_headers(response.status, exchange.headers); !status) {
                exchange.callback_error = std::move(status).error();
                return false;
            }
        }
        return true;
    };
    out.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
        if (stop.requested() || connection->watch->fired()) {
            return false;
        }
        if (streaming) {
            if (auto status = request.sink({data, size}); !status) {
                exchange.callback_error = std::move(status).error();
                return false;
            }
            return true;
        }
        const bool good = exchange.status >= 200 && exchange.status < 300;
        const std::size_t limit =
            good ? request.body_limit : std::min(longest_error_body, request.body_limit);
        if (exchange.body.size() + size > limit) {
            exchange.body.append(data, limit - exchange.body.size());
            exchange.body_cut = true;
            return false;
        }
        exchange.body.append(data, size);
        return true;
    };

    httplib::Response in;
    httplib::Error error = httplib::Error::Success;
    bool sent = false;
    int err = 0;
    const auto start = std::chrono::steady_clock::now();
    unsigned long tls_error = 0;
    {
        const NoSigpipe guard;
        const Watch::Guard watching(*connection->watch, stop, deadline);
        ERR_clear_error();
        errno = 0;
        try {
            sent = connection->client->send(out, in, error);
        } catch (const std::exception& e) {
            exchange.callback_error = make_error(ErrorClass::internal, code::internal_error,
                                                 "the HTTP library failed: " + std::string(e.what()));
        }
        err = errno;
        tls_error = ERR_get_error();
        ERR_clear_error();
    }
    if (exchange.callback_error) {
        return fail(std::move(*exchange.callback_error));
    }
    if (stop.requested()) {
        return fail(stop.error());
    }
    Failure failure;
    failure.url = &url;
    failure.proxy = connection->proxy ? &*connection->proxy : nullptr;
    failure.options = &options;
    failure.elapsed = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
    failure.system_error = err;
    if (connection->watch->fired()) {
        failure.kind = Failure::Kind::deadline;
        return fail(explain(failure));
    }
    if (exchange.body_cut) {
        if (exchange.status >= 200 && exchange.status < 300) {
            failure.kind = Failure::Kind::too_long;
            failure.limit = request.body_limit;
            return fail(explain(failure));
        }
        sent = true;
    }
    if (error == httplib::Error::ProxyConnection) {
        failure.kind = Failure::Kind::proxy;
        failure.proxy_status = in.status;
        return fail(explain(failure));
    }
    if (!sent) {
        switch (error) {
        case httplib::Error::Connection: failure.kind = Failure::Kind::connect; break;
        case httplib::Error::ConnectionTimeout: failure.kind = Failure::Kind::connect_timeout; break;
        case httplib::Error::SSLConnection: failure.kind = Failure::Kind::handshake; break;
        case httplib::Error::SSLServerVerification:
        case httplib::Error::SSLServerHostnameVerification: failure.kind = Failure::Kind::certificate; break;
        case httplib::Error::Write: failure.kind = Failure::Kind::write; break;
        default: failure.kind = exchange.has_head ? Failure::Kind::body : Failure::Kind::read; break;
        }
        failure.tls_error = tls_error;
        failure.verify_result = connection->verify_result;
        failure.name_mismatch = connection->name_mismatch;
        return fail(explain(failure));
    }
    Response response;
    response.status = exchange.has_head ? exchange.status : in.status;
    response.headers = exchange.has_head ? std::move(exchange.headers) : to_headers(in.headers);
    response.body = std::move(exchange.body);
    response.url = url;
    if (response.status == 407 && connection->proxy) {
        failure.kind = Failure::Kind::proxy;
        failure.proxy_status = 407;
        return fail(explain(failure));
    }
    return response;
}

Result<Response> Client::send(const Request& request, const StopToken& stop) {
    if (stop.requested()) {
        return fail(stop.error());
    }
    const auto deadline = impl_->options.total_timeout.count() > 0
                              ? std::chrono::steady_clock::now() + impl_->options.total_timeout
                              : std::chrono::steady_clock::time_point::max();
    Url url = request.url;
    std::string method = request.method;
    Headers headers = request.headers;
    bool with_body = true;
    bool redirected = false;
    for (int hops = 0;; ++hops) {
        if (!sendable(headers)) {
            return fail_usage("a request header for " + url.authority() +
                                  " holds a line break or control character",
                              "check the credentials: they may not contain line breaks");
        }
        TRY_ASSIGN(Response response,
                   impl_->once(request, url, method, headers, redirected, with_body, stop, deadline));
        const std::string_view location = response.header("Location");
        if (!request.follow_redirects || !is_redirect(response.status) || location.empty()) {
            return response;
        }
        const bool keeps_method = response.status == 307 || response.status == 308;
        if (!keeps_method && method != "GET" && method != "HEAD") {
            if (method != "POST") {
                return response;
            }
            method = "GET";
            with_body = false;
        }
        auto next = resolve_url(url, location);
        if (!next || hops >= impl_->options.redirects || (url.https && !next->https && impl_->tls.verify)) {
            const std::string why =
                !next ? "a redirect to something that is not a URL"
                : hops >= impl_->options.redirects
                    ? "more than " + std::to_string(impl_->options.redirects) + " redirects"
                    : "a redirect from https to http (" + next->origin() + ")";
            return fail(ErrorClass::network, code::network, url.authority() + " answered with " + why,
                        "check the URL, or what stands behind it");
        }
        if (!next->same_origin(url)) {
            std::erase_if(headers, [](const auto& header) { return is_credential(header.first); });
            redirected = true;
        }
        url = std::move(*next);
    }
}

std::string_view Response::header(std::string_view name) const {
    const auto found =
        std::ranges::find_if(headers, [&](const auto& header) { return same_name(header.first, name); });
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::chrono::seconds> Response::retry_after() const {
    return parse_retry_after(header("Retry-After"), std::chrono::system_clock::now());
}

bool is_transient_status(int status) noexcept {
    return status == 408 || status == 425 || status == 429 || status == 500 ||
           (status >= 502 && status <= 504);
}

} // namespace slipway::http
