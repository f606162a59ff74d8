// Downloads from a real server on the loopback that cuts, lies and changes its mind.
#include "base/file.hpp"
#include "http/download.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace slipway;
using namespace slipway::http;
using namespace std::chrono_literals;

namespace {

const std::string content = [] {
    std::string text;
    for (int i = 0; i < 50'000; ++i) {
        text += std::to_string(i) + "\n";
    }
    return text;
}();

struct Answer {
    std::string bytes; ///< head and body, as they go over the wire; then the connection is closed
    bool hold = false; ///< or is left open in silence
};

/// Answers each request by the next of `answers`; the last one repeats. By hand, because a server library
/// would apply ranges itself.
class Server {
  public:
    explicit Server(std::vector<Answer> answers)
        : answers_(std::move(answers)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(listener_.get(), 16) == 0);
        REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() {
        ::shutdown(listener_.get(), SHUT_RDWR); // ends accept
        thread_.join();
    }
    [[nodiscard]] Url url(std::string_view query = "") const {
        return *parse_url("http://127.0.0.1:" + std::to_string(port_) + "/file" + std::string(query));
    }
    std::vector<std::string> ranges;
    std::vector<std::string> if_ranges;

  private:
    void serve() {
        for (;;) {
            Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!peer) {
                return;
            }
            std::string head;
            std::array<char, 4096> buffer{};
            while (!head.contains("\r\n\r\n")) {
                const ssize_t n = ::read(peer.get(), buffer.data(), buffer.size());
                if (n <= 0) {
                    break;
                }
                head.append(buffer.data(), static_cast<std::size_t>(n));
            }
            ranges.push_back(header(head, "\r\nRange: "));
            if_ranges.push_back(header(head, "\r\nIf-Range: "));
            const Answer& answer = answers_[std::min(ranges.size(), answers_.size()) - 1];
            // MSG_NOSIGNAL: who has read enough hangs up.
            std::string_view left = answer.bytes;
            while (!left.empty()) {
                const ssize_t n = ::send(peer.get(), left.data(), left.size(), MSG_NOSIGNAL);
                if (n <= 0) {
                    break;
                }
                left.remove_prefix(static_cast<std::size_t>(n));
            }
            if (answer.hold) {
                held_.push_back(std::move(peer));
            }
        }
    }
    static std::string header(const std::string& head, std::string_view name) {
        const auto at = head.find(name);
        return at == std::string::npos
                   ? ""
                   : head.substr(at + name.size(), head.find("\r\n", at + 2) - at - name.size());
    }

    std::vector<Answer> answers_;
    Fd listener_;
    std::vector<Fd> held_;
    std::thread thread_;
    int port_ = 0;
};

/// Announces all of `content`, sends only the first `size` bytes of it, hangs up.
Answer cut(std::size_t size, const std::string& etag = "\"one\"") {
    return {.bytes =
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(content.size()) +
                "\r\n" + (etag.empty() ? "" : "ETag: " + etag + "\r\n") + "\r\n" + content.substr(0, size)};
}

Answer whole(const std::string& etag = "\"one\"") {
    return cut(content.size(), etag);
}

/// A 206, whatever was asked.
Answer part(const std::string& range, const std::string& body) {
    return {.bytes = "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n" +
                     (range.empty() ? "" : "Content-Range: " + range + "\r\n") + "\r\n" + body};
}

Answer status(int code) {
    const std::string body = "<Error><Message>be\tcause</Message></Error>";
    return {.bytes = "HTTP/1.1 " + std::to_string(code) + " So\r\nConnection: close\r\nContent-Length: " +
                     std::to_string(body.size()) + "\r\n\r\n" + body};
}

struct Outcome {
    Result<Downloaded> result;
    std::string got;
    std::vector<std::uint64_t> progress;
};

Outcome get(const Url& url, int retries = 3, std::uint64_t limit = 0) {
    Options options;
    options.connect_timeout = 2s;
    options.read_timeout = 1s;
    Client client(options, {});
    Outcome outcome;
    const Fd fd(::memfd_create("download", MFD_CLOEXEC));
    outcome.result =
        download(client,
                 {.url = url,
                  .limit = limit,
                  .retry = {.retries = retries, .first_delay = 1ms},
                  .on_retry = {},
                  .on_progress = [&](std::uint64_t now, std::uint64_t) { outcome.progress.push_back(now); }},
                 fd.get(), {});
    ::lseek(fd.get(), 0, SEEK_SET);
    outcome.got = *read_all(fd.get(), std::size_t{64} << 20U);
    return outcome;
}

} // namespace

TEST_CASE("a file comes whole") {
    const Server server({whole()});
    const Outcome outcome = get(server.url());
    REQUIRE(outcome.result);
    CHECK(outcome.got == content);
    CHECK(outcome.result->size == content.size());
    CHECK(outcome.progress.back() == content.size());
}

TEST_CASE("after a cut the rest is asked for, of the same file") {
    const std::string rest = content.substr(1000);
    const std::string range =
        "bytes 1000-" + std::to_string(content.size() - 1) + "/" + std::to_string(content.size());
    const Server server({cut(1000), part(range, rest)});
    const Outcome outcome = get(server.url());
    REQUIRE(outcome.result);
    CHECK(outcome.got == content);
    CHECK(outcome.result->resumed == 1);
    CHECK(server.ranges == std::vector<std::string>{"", "bytes=1000-"});
    CHECK(server.if_ranges.back() == "\"one\"");
}

TEST_CASE("a part that is not the rest is thrown away with what was there") {
    const std::string size = std::to_string(content.size());
    const std::string last = std::to_string(content.size() - 1);
    for (const std::string& range :
         {"bytes 999-" + last + "/" + size, "bytes 1000-" + last + "/" + size + "0",
          "bytes 1000-1999/" + size, std::string("bytes */") + size, std::string("lines 1-2/3"),
          std::string()}) {
        CAPTURE(range);
        const Server server({cut(1000), part(range, std::string(content.size() - 1000, '?')), whole()});
        const Outcome outcome = get(server.url());
        REQUIRE(outcome.result);
        CHECK(outcome.got == content);
        CHECK(server.ranges.back().empty());
    }
}

TEST_CASE("a server without ranges, with another file or without validators starts over") {
    for (const auto& second : {whole(), whole("\"two\"")}) {
        const Server server({cut(1000), second});
        const Outcome outcome = get(server.url());
        REQUIRE(outcome.result);
        CHECK(outcome.got == content);
        CHECK(outcome.result->resumed == 0);
    }
    for (const char* tag : {"", "W/\"weak\""}) {
        const Server server({cut(1000, tag), whole()});
        REQUIRE(get(server.url()).result);
        CHECK(server.ranges == std::vector<std::string>{"", ""});
    }
    const Server server({cut(1000), status(416), whole()});
    CHECK(get(server.url()).got == content);
}

TEST_CASE("tries run out") {
    const Server server({cut(1000, "")});
    const Outcome outcome = get(server.url(), 2);
    REQUIRE_FALSE(outcome.result);
    CHECK(outcome.result.error().klass == ErrorClass::network);
    CHECK(server.ranges.size() == 3);
}

TEST_CASE("silence is a failure of its own") {
    const Server server(
        {{.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n", .hold = true}});
    const Outcome outcome = get(server.url(), 0);
    REQUIRE_FALSE(outcome.result);
    CHECK(outcome.result.error().transient);
    CHECK(outcome.result.error().message.contains("sent nothing"));
}

TEST_CASE("a status says whose move it is, and only what may pass is tried again") {
    struct Expected {
        int status;
        ErrorClass klass;
        std::size_t requests;
    };
    for (const auto& [code, klass, requests] :
         {Expected{401, ErrorClass::auth, 1}, Expected{403, ErrorClass::auth, 1},
          Expected{404, ErrorClass::build, 1}, Expected{410, ErrorClass::build, 1},
          Expected{400, ErrorClass::build, 1}, Expected{500, ErrorClass::network, 2},
          Expected{503, ErrorClass::network, 2}, Expected{429, ErrorClass::network, 2},
          Expected{501, ErrorClass::network, 1}}) {
        CAPTURE(code);
        const Server server({status(code)});
        const Outcome outcome = get(server.url("?Signature=0123456789"), 1);
        REQUIRE_FALSE(outcome.result);
        const Error& error = outcome.result.error();
        CHECK(error.klass == klass);
        CHECK(error.code == "buildpackissue");
        CHECK(server.ranges.size() == requests);
        CHECK(error.cause == "HTTP " + std::to_string(code) + ": be cause");
        CHECK_FALSE((error.message + error.cause + error.hint).contains("0123456789"));
        CHECK(error.hint.contains("expired") == (code >= 400 && code < 412));
        CHECK(outcome.got.empty());
    }
}

TEST_CASE("a file past the limit is refused, announced or not") {
    const Server announced({whole()});
    const Server silent(
        {{.bytes = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content}}); // its end is the connection's
    for (const Server* server : {&announced, &silent}) {
        CHECK(get(server->url(), 0, content.size()).result);
        const Outcome outcome = get(server->url(), 3, content.size() - 1);
        REQUIRE_FALSE(outcome.result);
        CHECK(outcome.result.error().klass == ErrorClass::build);
        CHECK(server->ranges.size() == 2);
    }
}

TEST_CASE("what a URL may show and must not") {
    const auto url = *parse_url("https://ada:pw@example.com/a/b.tgz?X-Signature=abcdefgh%2F&short=abc#frag");
    CHECK(text_without_query(url) == "https://example.com/a/b.tgz");
    const auto secrets =
        secrets_in_query("https://ada:pw@example.com/a?X-Signature=abcdefgh%2F&short=abc#frag");
    const auto has = [&](std::string_view text) { return std::ranges::contains(secrets, text); };
    CHECK(has("X-Signature=abcdefgh%2F&short=abc"));
    CHECK(has("abcdefgh%2F"));
    CHECK(has("abcdefgh/"));
    CHECK_FALSE(has("abc"));
    CHECK(secrets_in_query("not a url").empty());
}
