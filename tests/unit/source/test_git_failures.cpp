// What a fetch says when it does not work, and what it leaves behind: an empty directory.
#include "scratch.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <format>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;

namespace {

Error failure(const GitOptions& options, const StopToken& stop = {}, const GitCallbacks& callbacks = {}) {
    Result<Checkout> result = fetch_git(options, callbacks, stop);
    REQUIRE_FALSE(result);
    const Error error = std::move(result).error();
    if (std::getenv("SLIPWAY_TEST_SHOW") != nullptr) {
        WARN(error.code << " " << to_string(error.klass) << ": " << error.message << " | " << error.cause
                        << " | " << error.hint);
    }
    if (fs::exists(options.into)) {
        CHECK(fs::is_empty(options.into));
    }
    CHECK_FALSE(error.message.empty());
    CHECK_FALSE(error.message.contains('\n'));
    return error;
}

class Elapsed {
  public:
    [[nodiscard]] std::chrono::milliseconds ms() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                     start_);
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Accepts connections on loopback and says nothing, or one thing.
class MuteServer {
  public:
    explicit MuteServer(std::string words = {}) : words_(std::move(words)) {
        fd_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(fd_.get(), 8) == 0);
        socklen_t size = sizeof address;
        ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] {
            std::vector<Fd> held;
            for (;;) {
                Fd peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
                if (!peer || done_) {
                    return;
                }
                if (!words_.empty()) {
                    char ignored[4096];
                    [[maybe_unused]] const ssize_t n = ::recv(peer.get(), ignored, sizeof ignored, 0);
                    ::send(peer.get(), words_.data(), words_.size(), MSG_NOSIGNAL);
                    continue; // and hangs up
                }
                held.push_back(std::move(peer));
            }
        });
    }
    ~MuteServer() {
        done_ = true;
        ::shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
    }
    MuteServer(const MuteServer&) = delete;
    MuteServer& operator=(const MuteServer&) = delete;
    [[nodiscard]] int port() const { return port_; }

  private:
    std::string words_;
    Fd fd_;
    int port_ = 0;
    std::atomic<bool> done_{false};
    std::thread thread_;
};

} // namespace

TEST_CASE("a revision that is not there is gitcheckout, of class build, and final") {
    const Scratch scratch;
    const HttpServer server(scratch);
    const std::string url = server.url("/repo.git");
    for (const std::string& revision :
         {std::string("no-such-branch"), std::string("refs/heads/none"), std::string(40, '1')}) {
        INFO(revision);
        const Error error = failure(scratch.options(url, revision));
        CHECK(error.code == code::git_checkout);
        CHECK(error.klass == ErrorClass::build);
        CHECK_FALSE(error.transient);
        CHECK(error.message.contains(revision));
    }
    CHECK(failure(scratch.options(url, std::string(40, '1'))).message.contains("force pushed"));
    CHECK(failure(scratch.options(url, "MAIN")).hint.contains("refs/heads/main"));

    shell(scratch.bare(), "git config uploadpack.allowReachableSHA1InWant true");
    CHECK(failure(scratch.options(url, std::string(40, '1'))).code == code::git_checkout);

    const Error abbreviated = failure(scratch.options(url, "0000000000"));
    CHECK(abbreviated.klass == ErrorClass::build);
    CHECK(abbreviated.message.contains("no branch, tag or commit"));

    GitOptions with_refspec = scratch.options(url);
    with_refspec.refspec = "refs/pull/99/head";
    CHECK(failure(with_refspec).code == code::git_checkout);
}

TEST_CASE("an empty repository says that it is empty") {
    const Scratch scratch;
    shell(scratch.path() / "served", "git init -q --bare empty.git");
    const HttpServer server(scratch);
    const Error error = failure(scratch.options(server.url("/empty.git")));
    CHECK(error.code == code::git_checkout);
    CHECK(error.message.contains("empty"));
}

TEST_CASE("credentials that are missing, wrong or not enough are gitauth") {
    const Scratch scratch;
    const HttpServer server(scratch);
    GitOptions options = scratch.options(server.url("/auth/repo.git"));
    Error error = failure(options);
    CHECK(error.code == code::git_auth);
    CHECK(error.klass == ErrorClass::auth);
    CHECK(error.message.contains("none were given"));

    options.credentials.basic = BasicAuth{.username = "user", .password = "s3cret-wrong"};
    error = failure(options);
    CHECK(error.code == code::git_auth);
    CHECK(error.message.contains("refused"));
    CHECK_FALSE((error.message + error.cause + error.hint).contains("s3cret"));
    CHECK_FALSE(error.transient);

    error = failure(scratch.options(server.url("/status/403/repo.git")));
    CHECK(error.code == code::git_auth);
}

TEST_CASE("a repository that is not there is gitfailure, of class build") {
    const Scratch scratch;
    const HttpServer server(scratch);
    const std::string local = (scratch.path() / "nowhere").string();
    for (const std::string& url : {server.url("/none.git"), local, "file://" + local}) {
        INFO(url);
        const Error error = failure(scratch.options(url));
        CHECK(error.code == code::git_failure);
        CHECK(error.klass == ErrorClass::build);
        CHECK(error.message.contains("no repository"));
        CHECK_FALSE(error.transient);
    }
    CHECK(failure(scratch.options(server.url("/html/repo.git"))).klass == ErrorClass::build);
}

TEST_CASE("unknown hosts, refused ports and failing servers are class network") {
    const Scratch scratch;
    const HttpServer server(scratch);
    Error error = failure(scratch.options("http://no-such-host.invalid/repo.git"));
    CHECK(error.code == code::git_failure);
    CHECK(error.klass == ErrorClass::network);

    for (const char* scheme : {"http", "https", "git", "ssh"}) {
        error = failure(scratch.options(std::format("{}://127.0.0.1:{}/repo.git", scheme, free_port())));
        CHECK(error.klass == ErrorClass::network);
        CHECK(error.transient);
        CHECK(error.message.contains("refused"));
    }
    for (const int status : {429, 500, 503}) {
        error = failure(scratch.options(server.url(std::format("/status/{}/repo.git", status))));
        CHECK(error.klass == ErrorClass::network);
        CHECK(error.transient);
    }
    // TLS towards a server that does not speak it.
    error = failure(scratch.options(std::format("https://127.0.0.1:{}/repo.git", server.port())));
    CHECK(error.klass == ErrorClass::network);
}

TEST_CASE("a pack that ends early is transient; trying again is reported and works") {
    const Scratch scratch;
    const HttpServer server(scratch);
    const Error error = failure(scratch.options(server.url("/cut/repo.git"), "main"));
    CHECK(error.klass == ErrorClass::network);
    CHECK(error.transient);

    GitOptions options = scratch.options(server.url("/busy/repo.git"), "main");
    options.retry = {.retries = 3, .first_delay = Milliseconds(10), .longest_delay = Milliseconds(50)};
    std::vector<int> tries;
    GitCallbacks callbacks;
    callbacks.on_retry = [&](const Error& why, int next, int of, Milliseconds) {
        CHECK(why.transient);
        CHECK(of == 4);
        tries.push_back(next);
    };
    const Result<Checkout> checkout = fetch_git(options, callbacks, {});
    REQUIRE(checkout);
    CHECK(tries == std::vector{2, 3});
}

TEST_CASE("a server gone silent ends the fetch after the stall time, whatever the protocol") {
    const Scratch scratch;
    const MuteServer mute;
    for (const char* scheme : {"http", "https", "git", "ssh"}) {
        INFO(scheme);
        GitOptions options = scratch.options(std::format("{}://127.0.0.1:{}/repo.git", scheme, mute.port()));
        options.stall_timeout = Milliseconds(400);
        const Elapsed elapsed;
        const Error error = failure(options);
        CHECK(elapsed.ms() < std::chrono::seconds(5));
        CHECK(error.klass == ErrorClass::network);
        CHECK(error.transient);
        CHECK(error.message.contains("sent nothing"));
    }
    const HttpServer server(scratch);
    GitOptions options = scratch.options(server.url("/stall/repo.git"), "main");
    options.stall_timeout = Milliseconds(400);
    CHECK(failure(options).message.contains("sent nothing"));
}

TEST_CASE("the stop token ends a fetch that waits, soon and as what it is") {
    const Scratch scratch;
    const MuteServer mute;
    const HttpServer server(scratch);
    for (const std::string& url :
         {std::format("http://127.0.0.1:{}/x", mute.port()), std::format("ssh://127.0.0.1:{}/x", mute.port()),
          std::format("git://127.0.0.1:{}/x", mute.port()), server.url("/stall/repo.git")}) {
        INFO(url);
        StopSource source;
        std::thread later([&source] {
            std::this_thread::sleep_for(std::chrono::milliseconds(300));
            source.request({.kind = StopReason::Kind::signal, .signal = SIGTERM});
        });
        const Elapsed elapsed;
        GitOptions options = scratch.options(url, "main");
        options.stall_timeout = Milliseconds(30'000);
        const Error error = failure(options, source.token());
        later.join();
        CHECK(elapsed.ms() < std::chrono::seconds(3));
        CHECK(error.klass == ErrorClass::cancelled);
        CHECK(error.code == code::cancelled);
    }
}

TEST_CASE("a redirect is followed, but credentials stay with the host they were given for") {
    const Scratch scratch;
    const HttpServer server(scratch);
    const HttpServer other(scratch, "other.log");
    GitOptions options = scratch.options(server.url("/moved/repo.git"), "main");
    CHECK(fetch_git(options, {}, {}));

    options.credentials.basic = BasicAuth{.username = "user", .password = "pass"};
    options.url = server.url("/away/" + other.port() + "/repo.git");
    CHECK(fetch_git(options, {}, {})); // needs none there

    for (const char* start : {"/away/", "/authaway/"}) {
        options.url = server.url(start + other.port() + "/auth/repo.git");
        const Error error = failure(options);
        CHECK(error.code == code::git_auth);
        CHECK(error.message.contains("localhost"));
    }
    options.url = server.url("/authaway/" + other.port() + "/repo.git");
    (void)fetch_git(options, {}, {});
    CHECK(other.log().contains("GET "));
    CHECK_FALSE(other.log().contains("Basic"));
}

TEST_CASE("nonsense from a server is bounded and harmless") {
    const Scratch scratch;
    const std::string long_line(100'000, 'x');
    for (const std::string& words :
         {std::string("HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
                      "001e# service=git-upload-pack\n0000ffff"),
          "HTTP/1.1 200 OK\r\n" + long_line, std::string("\0\xff\x1b[2J\r\n", 8),
          std::string("HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
          std::string("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")}) {
        const MuteServer server(words);
        const Error error = failure(scratch.options(std::format("http://127.0.0.1:{}/x", server.port())));
        CHECK(error.message.size() < 600);
        CHECK(error.cause.size() < 2200);
        CHECK_FALSE(error.cause.contains('\x1b'));
    }
    const MuteServer angry(std::string("0026ERR \x1b[31mno\nway ") + "\xff\xfe here........");
    const Error error = failure(scratch.options(std::format("git://127.0.0.1:{}/x", angry.port())));
    CHECK_FALSE(error.cause.contains('\x1b'));
    CHECK_FALSE(error.cause.contains('\n'));
}

TEST_CASE("a directory that cannot be written is the administrator's move") {
    if (::geteuid() == 0) {
        SKIP("root may write everywhere");
    }
    const Scratch scratch;
    GitOptions options = scratch.options(scratch.bare().string(), "main");
    options.into = "/proc/slipway";
    CHECK_FALSE(fetch_git(options, {}, {}));
    fs::create_directories(scratch.path() / "tree");
    fs::permissions(scratch.path() / "tree", fs::perms::owner_read | fs::perms::owner_exec);
    const Result<Checkout> denied = fetch_git(scratch.options(scratch.bare().string(), "main"), {}, {});
    REQUIRE_FALSE(denied);
    CHECK(denied.error().code == code::pod_forbids);
}
