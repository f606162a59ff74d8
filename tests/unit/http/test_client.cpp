// Against real servers on the loopback, in this process.
#include "base/file.hpp"
#include "http/client.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <thread>

using namespace slipway;
using namespace slipway::http;
using namespace std::chrono_literals;

namespace {

template <class Server> class Running {
  public:
    explicit Running(std::unique_ptr<Server> server) : server_(std::move(server)) {}
    void start() {
        port_ = server_->bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_->listen_after_bind(); });
        server_->wait_until_ready();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() {
        server_->stop();
        if (thread_.joinable()) {
            thread_.join();
        }
    }
    Server* operator->() { return server_.get(); }
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url(std::string_view path, std::string_view host = "127.0.0.1") const {
        const bool tls = std::is_same_v<Server, httplib::SSLServer>;
        return (tls ? "https://" : "http://") + std::string(host) + ":" + std::to_string(port_) +
               std::string(path);
    }

  private:
    std::unique_ptr<Server> server_;
    int port_ = 0;
    std::thread thread_;
};

struct Plain : Running<httplib::Server> {
    Plain() : Running(std::make_unique<httplib::Server>()) {}
};

Request get(const std::string& url) {
    Request request;
    request.url = *parse_url(url);
    return request;
}

Options quick() {
    Options options;
    options.connect_timeout = 2s;
    options.read_timeout = 5s;
    return options;
}

Result<Response> fetch(const Request& request, const Options& options = quick(), const Tls& tls = {}) {
    Client client(options, tls);
    return client.send(request, {});
}

/// A listening socket that never answers.
class Mute {
  public:
    Mute() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(fd_.get(), 16) == 0);
        REQUIRE(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port_ = ntohs(address.sin_port);
    }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/"; }
    /// Takes one connection, says `answer` (raw), closes.
    void answer_once(const std::string& answer) const {
        const Fd peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::array<char, 4096> buffer{};
        [[maybe_unused]] const auto n = ::read(peer.get(), buffer.data(), buffer.size());
        [[maybe_unused]] const auto written = write_all(peer.get(), answer);
    }
    void close() { fd_.reset(); }

  private:
    Fd fd_;
    int port_ = 0;
};

/// A self-signed certificate and its key, as PEM files.
struct Certificate {
    std::filesystem::path certificate;
    std::filesystem::path key;

    Certificate(const std::filesystem::path& directory, const char* alt_names, long valid_from,
                long valid_to) {
        EVP_PKEY* pkey = EVP_EC_gen("P-256");
        X509* x509 = X509_new();
        X509_set_version(x509, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(x509), valid_from);
        X509_gmtime_adj(X509_getm_notAfter(x509), valid_to);
        X509_set_pubkey(x509, pkey);
        X509_NAME* name = X509_get_subject_name(x509);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("slipway test"), -1, -1, 0);
        X509_set_issuer_name(x509, name);
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alt_names);
        X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
        X509_sign(x509, pkey, EVP_sha256());
        certificate = directory / (std::to_string(valid_to) + alt_names[0] + ".crt");
        key = directory / (std::to_string(valid_to) + alt_names[0] + ".key");
        std::FILE* file = std::fopen(certificate.c_str(), "we");
        PEM_write_X509(file, x509);
        std::fclose(file);
        file = std::fopen(key.c_str(), "we");
        PEM_write_PrivateKey(file, pkey, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(x509);
        EVP_PKEY_free(pkey);
    }
};

struct Secure : Running<httplib::SSLServer> {
    explicit Secure(const Certificate& certificate, const char* client_ca = nullptr)
        : Running(std::make_unique<httplib::SSLServer>(certificate.certificate.c_str(),
                                                       certificate.key.c_str(), client_ca)) {}
};

} // namespace

TEST_CASE("a request goes out and its answer comes back") {
    Plain server;
    server->Get("/hello", [](const httplib::Request& request, httplib::Response& response) {
        response.set_header("X-Seen", request.get_header_value("User-Agent") + "|" +
                                          request.get_header_value("X-Mine"));
        response.set_content("world", "text/plain");
    });
    server.start();
    Request request = get(server.url("/hello?a=%2F"));
    request.headers = {{"X-Mine", "1"}};
    const auto response = fetch(request);
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->body == "world");
    CHECK(response->header("x-seen") == "slipway|1");
    CHECK(fetch(get(server.url("/none")))->status == 404);
    request.method = "HEAD";
    CHECK(fetch(request)->body.empty());
}

TEST_CASE("a body streams out of a source and an answer into a sink") {
    Plain server;
    std::string received;
    server->Put("/up", [&](const httplib::Request&, httplib::Response& response,
                           const httplib::ContentReader& reader) {
        reader([&](const char* data, std::size_t size) {
            received.append(data, size);
            return true;
        });
        response.status = 201;
    });
    const std::string big(3'000'000, 'q');
    server->Get("/down", [&](const httplib::Request&, httplib::Response& response) {
        response.set_content(big, "application/octet-stream");
    });
    server->Get("/chunks", [](const httplib::Request&, httplib::Response& response) {
        response.set_chunked_content_provider("text/plain", [](std::size_t offset, httplib::DataSink& sink) {
            sink.write("0123456789", 10);
            if (offset >= 90) {
                sink.done();
            }
            return true;
        });
    });
    server.start();
    Client client(quick(), {});
    Request up = get(server.url("/up"));
    up.method = "PUT";
    up.source_size = 1'000'003;
    up.source = [](std::uint64_t offset, std::span<char> buffer) -> Result<std::size_t> {
        for (std::size_t i = 0; i < buffer.size(); ++i) {
            buffer[i] = static_cast<char>('a' + (offset + i) % 26);
        }
        return buffer.size();
    };
    const auto answer = client.send(up, {});
    REQUIRE(answer);
    CHECK(answer->status == 201);
    REQUIRE(received.size() == 1'000'003);
    CHECK(received[1'000'002] == static_cast<char>('a' + 1'000'002 % 26));

    std::string sunk;
    Request down = get(server.url("/down"));
    down.sink = [&](std::string_view piece) -> Status {
        sunk += piece;
        return {};
    };
    CHECK(client.send(down, {}));
    CHECK(sunk == big);
    CHECK(client.send(get(server.url("/chunks")), {})->body.size() == 100);

    SECTION("the caller's own error comes back as it is") {
        down.sink = [](std::string_view) -> Status { return fail(ErrorClass::build, "mine", "enough"); };
        CHECK(client.send(down, {}).error().code == "mine");
        up.source = [](std::uint64_t, std::span<char>) -> Result<std::size_t> {
            return fail(ErrorClass::build, "gone", "no more");
        };
        CHECK(client.send(up, {}).error().code == "gone");
    }
    SECTION("an answer longer than allowed is an error") {
        Request bounded = get(server.url("/down"));
        bounded.body_limit = 1000;
        const auto result = client.send(bounded, {});
        REQUIRE_FALSE(result);
        CHECK_FALSE(result.error().transient);
        CHECK(result.error().message.contains("longer than"));
    }
}

TEST_CASE("redirects are followed, and credentials stay at home") {
    Plain other;
    std::string seen = "unasked";
    other->Get("/blob", [&](const httplib::Request& request, httplib::Response& response) {
        seen = request.get_header_value("Authorization") + request.get_header_value("Cookie") + "/" +
               request.get_header_value("X-Kept");
        response.set_content("blob", "text/plain");
    });
    other.start();
    Plain server;
    std::string seen_at_home;
    server->Get("/away", [&](const httplib::Request&, httplib::Response& response) {
        response.set_redirect(other.url("/blob"), 307);
    });
    server->Get("/home", [&](const httplib::Request&, httplib::Response& response) {
        response.set_redirect("/end", 302);
    });
    server->Get("/end", [&](const httplib::Request& request, httplib::Response& response) {
        seen_at_home = request.get_header_value("Authorization");
        response.set_content("end", "text/plain");
    });
    server->Get("/loop", [&](const httplib::Request&, httplib::Response& response) {
        response.set_redirect("/loop");
    });
    server->Get("/bad", [&](const httplib::Request&, httplib::Response& response) {
        response.set_redirect("gopher://h/");
    });
    server.start();
    Request request = get(server.url("/away"));
    request.headers = {{"authorization", "Basic c2VjcmV0"}, {"Cookie", "c"}, {"X-Kept", "k"}};
    const auto response = fetch(request);
    REQUIRE(response);
    CHECK(response->body == "blob");
    CHECK(seen == "/k");
    CHECK(response->url.text() == other.url("/blob"));

    request.url = *parse_url(server.url("/home"));
    CHECK(fetch(request)->body == "end");
    CHECK(seen_at_home == "Basic c2VjcmV0");

    const auto loop = fetch(get(server.url("/loop")));
    REQUIRE_FALSE(loop);
    CHECK(loop.error().message.contains("redirects"));
    CHECK_FALSE(fetch(get(server.url("/bad"))));
    request = get(server.url("/away"));
    request.follow_redirects = false;
    CHECK(fetch(request)->status == 307);
}

TEST_CASE("a streamed body is sent again where a 307 leads") {
    Plain server;
    std::string received;
    server->Put(
        "/a", [](const httplib::Request&, httplib::Response& response) { response.set_redirect("/b", 307); });
    server->Put("/b", [&](const httplib::Request& request, httplib::Response&) { received = request.body; });
    server.start();
    Request request = get(server.url("/a"));
    request.method = "PUT";
    request.source_size = 5;
    request.source = [](std::uint64_t offset, std::span<char> buffer) -> Result<std::size_t> {
        return std::string_view("hello").copy(buffer.data(), buffer.size(), offset);
    };
    REQUIRE(fetch(request));
    CHECK(received == "hello");
}

TEST_CASE("connection failures say what failed and whether to try again") {
    SECTION("refused") {
        Mute gone;
        const std::string url = gone.url();
        gone.close();
        const auto result = fetch(get(url));
        REQUIRE_FALSE(result);
        CHECK(result.error().klass == ErrorClass::network);
        CHECK(result.error().message.contains("refused"));
        CHECK(result.error().transient);
    }
    SECTION("a name that does not exist") {
        const auto result = fetch(get("http://no-such-host.invalid/"));
        REQUIRE_FALSE(result);
        CHECK(result.error().klass == ErrorClass::network);
        CHECK(result.error().message.contains("no-such-host.invalid"));
        CHECK(result.error().cause.contains("getaddrinfo"));
    }
    SECTION("silence") {
        const Mute mute;
        Options options = quick();
        options.read_timeout = 200ms;
        const auto result = fetch(get(mute.url()), options);
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("sent nothing for 200ms"));
        CHECK(result.error().transient);
    }
    SECTION("closed before the answer") {
        const Mute mute;
        std::jthread peer([&] { mute.answer_once(""); });
        const auto result = fetch(get(mute.url()));
        REQUIRE_FALSE(result);
        CHECK(result.error().transient);
    }
    SECTION("closed in the middle of the answer") {
        const Mute mute;
        std::jthread peer(
            [&] { mute.answer_once("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"); });
        const auto result = fetch(get(mute.url()));
        REQUIRE_FALSE(result);
        CHECK(result.error().transient);
        CHECK(result.error().cause.contains("body"));
    }
    SECTION("something that is not HTTP") {
        const Mute mute;
        std::jthread peer([&] { mute.answer_once("SSH-2.0-OpenSSH\r\n"); });
        CHECK_FALSE(fetch(get(mute.url())));
    }
    SECTION("no end of headers") {
        const Mute mute;
        std::string flood = "HTTP/1.1 200 OK\r\n";
        for (int i = 0; i < 100'000; ++i) {
            flood += "X-" + std::to_string(i) + ": x\r\n";
        }
        std::jthread peer([&] { mute.answer_once(flood); });
        CHECK_FALSE(fetch(get(mute.url())));
    }
}

TEST_CASE("a deadline or a request to stop ends an exchange that hangs") {
    const Mute mute;
    const auto start = std::chrono::steady_clock::now();
    SECTION("deadline") {
        Options options = quick();
        options.total_timeout = 200ms;
        const auto result = fetch(get(mute.url()), options);
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("within 200ms"));
        CHECK(result.error().transient);
    }
    SECTION("stop") {
        StopSource source;
        std::jthread later([&] {
            std::this_thread::sleep_for(200ms);
            source.request({StopReason::Kind::signal, 15});
        });
        Client client(quick(), {});
        const auto result = client.send(get(mute.url()), source.token());
        REQUIRE_FALSE(result);
        CHECK(result.error().klass == ErrorClass::cancelled);
        CHECK_FALSE(client.send(get(mute.url()), source.token()));
    }
    CHECK(std::chrono::steady_clock::now() - start < 3s);
}

TEST_CASE("TLS is checked against the authorities given, and the reason for a refusal is named") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    const Certificate good(dir->path(), "DNS:localhost,IP:127.0.0.1", -3600, 3600);
    const Certificate expired(dir->path(), "DNS:localhost,IP:127.0.0.1", -7200, -3600);
    const Certificate other_name(dir->path(), "URI:x,DNS:elsewhere.example", -3600, 3600);
    const auto hello = [](const httplib::Request&, httplib::Response& response) {
        response.set_content("safe", "text/plain");
    };
    const auto trusting = [](const Certificate& certificate) {
        Options options = quick();
        options.ca_file = certificate.certificate.string();
        return options;
    };
    Secure server(good);
    server->Get("/", hello);
    server.start();

    CHECK(fetch(get(server.url("/")), trusting(good))->body == "safe");
    CHECK(fetch(get(server.url("/", "localhost")), trusting(good))->body == "safe");
    Tls extra;
    extra.extra_ca_files = {good.certificate.string()};
    CHECK(fetch(get(server.url("/")), trusting(other_name), extra)->body == "safe");

    SECTION("unknown authority") {
        const auto result = fetch(get(server.url("/")), trusting(other_name));
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("not signed by a known authority"));
        CHECK(result.error().hint.contains("--ca-file"));
        CHECK_FALSE(result.error().transient);
        Tls blind;
        blind.verify = false;
        CHECK(fetch(get(server.url("/")), trusting(other_name), blind)->body == "safe");
    }
    SECTION("expired") {
        Secure old(expired);
        old->Get("/", hello);
        old.start();
        const auto result = fetch(get(old.url("/")), trusting(expired));
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("expired"));
    }
    SECTION("another name") {
        Secure named(other_name);
        named->Get("/", hello);
        named.start();
        const auto result = fetch(get(named.url("/")), trusting(other_name));
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("another name"));
    }
    SECTION("a server that does not speak TLS") {
        const Mute plain;
        std::jthread peer([&] { plain.answer_once("HTTP/1.0 400 Bad Request\r\n\r\n"); });
        const auto result = fetch(get("https" + plain.url().substr(4)), trusting(good));
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("does not speak TLS"));
        CHECK_FALSE(result.error().transient);
    }
    SECTION("a bundle that is not there, or holds nothing") {
        Options options = quick();
        options.ca_file = "/no/such/bundle";
        CHECK(fetch(get(server.url("/")), options).error().klass == ErrorClass::usage);
        options.ca_file = good.key.string();
        CHECK(fetch(get(server.url("/")), options).error().klass == ErrorClass::usage);
    }
    SECTION("a client certificate is shown to whom it is for") {
        const Certificate mine(dir->path(), "email:me@example.com", -3600, 3600);
        Secure strict(good, mine.certificate.c_str());
        strict->Get("/", hello);
        strict.start();
        Tls with;
        with.client_certificate = mine.certificate.string();
        with.client_key = mine.key.string();
        CHECK(fetch(get(strict.url("/")), trusting(good), with)->body == "safe");
        CHECK_FALSE(fetch(get(strict.url("/")), trusting(good)));
        with.client_key = good.key.string();
        CHECK(fetch(get(strict.url("/")), trusting(good), with).error().klass == ErrorClass::usage);
    }
    SECTION("a redirect away from TLS is not followed") {
        Plain plain;
        plain->Get("/", hello);
        plain.start();
        Secure leaking(good);
        leaking->Get("/", [&](const httplib::Request&, httplib::Response& response) {
            response.set_redirect(plain.url("/"));
        });
        leaking.start();
        const auto result = fetch(get(leaking.url("/")), trusting(good));
        REQUIRE_FALSE(result);
        CHECK(result.error().message.contains("from https to http"));
    }
}

TEST_CASE("a proxy is asked for what is not excepted, and refusals are told apart") {
    Plain proxy;
    std::string asked;
    std::string credentials;
    proxy->set_pre_routing_handler([&](const httplib::Request& request, httplib::Response& response) {
        asked = request.method + " " + request.target;
        credentials = request.get_header_value("Proxy-Authorization");
        response.status = credentials.empty() ? 407 : 200;
        response.set_content("by proxy", "text/plain");
        return httplib::Server::HandlerResponse::Handled;
    });
    proxy.start();
    const auto through = [&](const std::string& user) {
        const std::string value = "http://" + user + "127.0.0.1:" + std::to_string(proxy.port());
        Options options = quick();
        options.proxies = *ProxyRules::parse([&](const char* name) {
            return std::string_view(name).ends_with("s_proxy") || std::string_view(name) == "http_proxy"
                       ? value.c_str()
                       : nullptr;
        });
        return options;
    };
    const auto response = fetch(get("http://far.invalid/x?y"), through("me:pw@"));
    REQUIRE(response);
    CHECK(response->body == "by proxy");
    CHECK(asked == "GET http://far.invalid:80/x?y");
    CHECK(credentials == "Basic bWU6cHc=");
    const auto denied = fetch(get("http://far.invalid/x"), through(""));
    REQUIRE_FALSE(denied);
    CHECK(denied.error().message.contains("proxy"));
    CHECK(denied.error().cause.contains("407"));
    CHECK_FALSE(denied.error().transient);
}

TEST_CASE("a header value cannot smuggle another header") {
    Plain server;
    server.start();
    Request request = get(server.url("/"));
    request.headers = {{"Authorization", "Bearer x\r\nX-Evil: 1"}};
    const auto result = fetch(request);
    REQUIRE_FALSE(result);
    CHECK(result.error().klass == ErrorClass::usage);
}

TEST_CASE("Retry-After is understood in seconds and as a date, within an hour") {
    const auto of = [](std::string value) {
        Response response;
        response.headers = {{"retry-after", std::move(value)}};
        return response.retry_after();
    };
    CHECK(of("7") == 7s);
    CHECK(of("99999999999999999999999") == 3600s);
    CHECK(of("-5") == 0s);
    CHECK(of("Sun, 06 Nov 1994 08:49:37 GMT") == 0s);
    CHECK(of("Thu, 01 Jan 2099 00:00:00 GMT") == 3600s);
    CHECK_FALSE(of("soon"));
    CHECK_FALSE(Response().retry_after());
}
