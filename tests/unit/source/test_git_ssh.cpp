// SSH against a real sshd on loopback, run by this very user. Skipped where there is none, or where the user
// has no entry in the password database (sshd wants one; we do not).
#include "scratch.hpp"

#include <format>
#include <pwd.h>
#include <unistd.h>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;

// libssh2 1.11 loses a few bytes over a key it cannot open; not ours, and not what the sanitizer is here for.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
    return "leak:libssh2";
}

namespace {

class SshServer {
  public:
    explicit SshServer(const Scratch& scratch) : directory_(scratch.path() / "sshd"), port_(free_port()) {
        fs::create_directories(directory_);
        shell(directory_, std::format(R"(
            ssh-keygen -q -t ed25519 -N '' -f host_ed25519 && ssh-keygen -q -t rsa -b 2048 -N '' -f host_rsa &&
            ssh-keygen -q -t ed25519 -N '' -f ed25519 && ssh-keygen -q -t ecdsa -b 256 -N '' -f ecdsa256 &&
            ssh-keygen -q -t ecdsa -b 521 -N '' -f ecdsa521 && ssh-keygen -q -t rsa -b 2048 -N '' -f rsa &&
            ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f rsa-pem && ssh-keygen -q -t ecdsa -m PKCS8 -N '' -f ecdsa-pkcs8 &&
            ssh-keygen -q -t ed25519 -N 'phrase' -f locked && ssh-keygen -q -t ed25519 -N '' -f stranger &&
            cat ed25519.pub ecdsa256.pub ecdsa521.pub rsa.pub rsa-pem.pub ecdsa-pkcs8.pub locked.pub >authorized &&
            chmod 600 authorized &&
            printf '%s\n' 'ListenAddress 127.0.0.1:{1}' 'HostKey {0}/host_ed25519' 'HostKey {0}/host_rsa' \
                'AuthorizedKeysFile {0}/authorized' 'StrictModes no' 'UsePAM no' 'PermitRootLogin yes' 'LogLevel ERROR' \
                'PasswordAuthentication no' 'PidFile none' 'MaxAuthTries 8' 'SetEnv GIT_CONFIG_NOSYSTEM=1' >conf)",
                                      directory_.string(), port_));
        child_.emplace(
            std::vector<std::string>{"/usr/sbin/sshd", "-D", "-e", "-f", (directory_ / "conf").string()});
        await_port(port_);
    }
    [[nodiscard]] SshKey key(const std::string& name, std::string passphrase = {}) const {
        return {.private_key = read_file(directory_ / name).value(),
                .passphrase = std::move(passphrase),
                .name = name};
    }
    [[nodiscard]] std::string known_hosts(const std::string& which) const {
        const std::string key = read_file(directory_ / (which + ".pub")).value();
        return std::format("[127.0.0.1]:{} {}", port_, key);
    }
    [[nodiscard]] int port() const { return port_; }

  private:
    fs::path directory_;
    int port_;
    std::optional<Child> child_;
};

bool no_sshd() {
    return ::access("/usr/sbin/sshd", X_OK) != 0 || ::getpwuid(::getuid()) == nullptr;
}

std::string user() {
    return ::getpwuid(::getuid())->pw_name;
}

} // namespace

TEST_CASE("ssh takes every kind of key from memory, and checks the host's") {
    if (no_sshd()) {
        SKIP("no sshd to talk to");
    }
    const Scratch scratch;
    const SshServer server(scratch);
    GitOptions options = scratch.options(
        std::format("ssh://{}@127.0.0.1:{}{}", user(), server.port(), scratch.bare().string()), "side");
    options.credentials.known_hosts = server.known_hosts("host_ed25519");

    for (const char* name : {"ed25519", "ecdsa256", "ecdsa521", "rsa", "rsa-pem", "ecdsa-pkcs8"}) {
        INFO(name);
        options.credentials.keys = {server.key(name)};
        const Result<Checkout> checkout = fetch_git(options, {}, {});
        INFO((checkout ? "" : checkout.error().message + " | " + checkout.error().cause));
        CHECK(checkout);
        if (checkout) {
            CHECK(checkout->commit == scratch.id("side"));
            CHECK(checkout->shallow);
        }
    }
    SECTION("a second key is tried when the first is refused") {
        options.credentials.keys = {server.key("stranger"), server.key("ed25519")};
        CHECK(fetch_git(options, {}, {}));
    }
    SECTION("the scp-like form, the config's user and port") {
        options.url = std::format("somewhere:{}", scratch.bare().string());
        options.credentials.keys = {server.key("rsa")};
        options.credentials.ssh_user = user();
        options.credentials.ssh_port = server.port();
        options.credentials.ssh_host_name = "127.0.0.1";
        const Result<Checkout> checkout = fetch_git(options, {}, {});
        INFO((checkout ? "" : checkout.error().message + " | " + checkout.error().cause));
        CHECK(checkout);
    }
    SECTION("a passphrase opens a locked key; without it the error is gitauth") {
        options.credentials.keys = {server.key("locked", "phrase")};
        CHECK(fetch_git(options, {}, {}));
        options.credentials.keys = {server.key("locked")};
        CHECK(fetch_git(options, {}, {}).error().code == code::git_auth);
    }
    SECTION("refused keys and no keys at all are gitauth") {
        options.credentials.keys = {server.key("stranger")};
        CHECK(fetch_git(options, {}, {}).error().message.contains("refused"));
        options.credentials.keys = {};
        CHECK(fetch_git(options, {}, {}).error().message.contains("none were given"));
        options.credentials.keys = {
            {.private_key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", .passphrase = "", .name = "x"}};
        CHECK(fetch_git(options, {}, {}).error().code == code::git_auth);
    }
    SECTION("host keys: another type in known_hosts is asked for, a wrong or unknown one is refused") {
        options.credentials.keys = {server.key("ed25519")};
        options.credentials.known_hosts = server.known_hosts("host_rsa");
        CHECK(fetch_git(options, {}, {}));
        options.credentials.known_hosts = server.known_hosts("stranger");
        options.credentials.accept_new_host_key = true; // does not help
        Error error = fetch_git(options, {}, {}).error();
        CHECK(error.code == code::git_auth);
        CHECK(error.message.contains("is not the one"));
        options.credentials.known_hosts.clear();
        std::string shown;
        GitCallbacks callbacks;
        callbacks.on_host_key = [&shown](std::string_view, std::string_view key) { shown = key; };
        CHECK(fetch_git(options, callbacks, {}));
        CHECK(shown.contains("SHA256:"));
        options.credentials.accept_new_host_key = false;
        error = fetch_git(options, {}, {}).error();
        CHECK(error.code == code::git_auth);
        CHECK(error.message.contains("not known"));
    }
    SECTION("a repository that is not there is of class build, and nothing stays in .git but git's own") {
        options.credentials.keys = {server.key("ed25519")};
        REQUIRE(fetch_git(options, {}, {}));
        CHECK(shell(options.into, "ls -A .git | grep slipway || echo none") == "none");
        options.url += "-none";
        const Error error = fetch_git(options, {}, {}).error();
        INFO(error.message << " | " << error.cause);
        CHECK(error.code == code::git_failure);
        CHECK(error.klass == ErrorClass::build);
    }
}
