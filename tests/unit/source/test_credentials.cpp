#include "base/file.hpp"
#include "source/credential_files.hpp"
#include "source/credentials.hpp"
#include "source/netrc.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::source;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view key_text =
    "-----BEGIN OPENSSH PRIVATE KEY-----\r\nYWJj\r\n-----END OPENSSH PRIVATE KEY-----";

class Directory {
  public:
    Directory() : directory_(TemporaryDirectory::create("slipway-credentials-").value()) {}
    Directory& put(const std::string& name, std::string_view content) {
        fs::create_directories((path() / name).parent_path());
        REQUIRE(write_file_atomic(path() / name, content, 0600));
        return *this;
    }
    [[nodiscard]] const fs::path& path() const { return directory_.path(); }

  private:
    TemporaryDirectory directory_;
};

} // namespace

TEST_CASE("a kubernetes.io/basic-auth secret is read with its final newlines taken off") {
    Directory directory;
    directory.put("..data/username", "user\n").put("..data/password", "s3cret\n");
    fs::create_symlink("..data/username", directory.path() / "username"); // as kubelet mounts them
    fs::create_symlink("..data/password", directory.path() / "password");
    const Result<CredentialStore> store = read_basic_auth_dir(directory.path());
    REQUIRE(store);
    const GitCredentials found = credentials_for(*store, "https://any.example.com/x");
    REQUIRE(found.basic);
    CHECK(found.basic->username == "user");
    CHECK(found.basic->password == "s3cret");
    CHECK(found.secrets() == std::vector<std::string>{"s3cret"});
    CHECK_FALSE(credentials_for(*store, "ssh://git@any.example.com/x").basic);
}

TEST_CASE("a .git-credentials file gives each host its own") {
    Directory directory;
    directory.put(".git-credentials",
                  "https://a:one%2F@github.com\n\n# c\nhttps://b:two@github.com/org\nnonsense\n"
                  "https://c:three@host:8443\nhttp://d:four@plain\nhttps://x:y@gitHUB.com.evil\n");
    const CredentialStore store = read_basic_auth_dir(directory.path()).value();
    const auto password = [&store](std::string_view url) {
        const GitCredentials found = credentials_for(store, url);
        return found.basic ? found.basic->password : "-";
    };
    CHECK(password("https://github.com/other/x") == "one/");
    CHECK(password("https://github.com/org/x") == "two");
    CHECK(password("https://github.com/organised/x") == "one/");
    CHECK(password("https://b@github.com/org/x") == "two");
    CHECK(password("https://a@github.com/org/x") == "one/");
    CHECK(password("https://host:8443/x") == "three");
    CHECK(password("https://host/x") == "-");
    CHECK(password("http://github.com/x") == "-"); // not in the clear
    CHECK(password("http://plain/x") == "four");
    CHECK(password("https://github.com:444/x") == "-");
    CHECK(password("https://evil/x") == "-");
}

TEST_CASE("a kubernetes.io/ssh-auth secret is read, and a key without its final newline is mended") {
    Directory directory;
    directory.put("ssh-privatekey", key_text).put("known_hosts", "host ssh-ed25519 AAAA");
    const CredentialStore store = read_ssh_dir(directory.path()).value();
    const GitCredentials found = credentials_for(store, "git@any:x/y");
    REQUIRE(found.keys.size() == 1);
    CHECK(found.keys[0].private_key ==
          "-----BEGIN OPENSSH PRIVATE KEY-----\nYWJj\n-----END OPENSSH PRIVATE KEY-----\n");
    CHECK(found.known_hosts == "host ssh-ed25519 AAAA\n");
    CHECK(credentials_for(store, "https://any/x").keys.empty());
}

TEST_CASE("Tekton's ssh layout binds keys to hosts, wherever the directory has been copied to") {
    Directory home;
    home.put(".ssh/id_one", std::string(key_text) + "\n1")
        .put(".ssh/id_two", std::string(key_text) + "\n2")
        .put(".ssh/id_two.pub", "ssh-ed25519 AAAA")
        .put(".ssh/config",
             "Host github.com\n    HostName github.com\n    IdentityFile /tekton/home/.ssh/id_one\n"
             "Host alias\n    HostName 10.0.0.1\n    Port 2222\n    User deploy\n    IdentityFile "
             "~/.ssh/id_two\n")
        .put(".gitconfig",
             "[credential]\n\thelper = store\n[url \"git@alias:org/\"]\n\tinsteadOf = git@gitlab.com:org/\n")
        .put(".git-credentials", "https://u:p@github.com\n");
    const CredentialStore store = read_home(home.path());
    const GitCredentials github = credentials_for(store, "git@github.com:a/b");
    REQUIRE(github.keys.size() == 1);
    CHECK(github.keys[0].name == "id_one");
    const std::string rewritten = rewrite_url(store, "git@gitlab.com:org/x.git");
    CHECK(rewritten == "git@alias:org/x.git");
    const GitCredentials alias = credentials_for(store, rewritten);
    REQUIRE(alias.keys.size() == 1);
    CHECK(alias.keys[0].name == "id_two");
    CHECK(alias.ssh_host_name == "10.0.0.1");
    CHECK(alias.ssh_port == 2222);
    CHECK(alias.ssh_user == "deploy");
    CHECK(credentials_for(store, "git@evil.com:a/b").keys.empty());
    CHECK(credentials_for(store, "https://github.com/a/b").basic);
    CHECK_FALSE(credentials_for(store, "https://evil.com/a/b").basic);
}

TEST_CASE("a .netrc gives each machine its own, at any port") {
    Directory home;
    home.put(".netrc",
             "# c\nmachine h.example login \"us er\" password s3cret\nmacdef init\nmachine evil login x\n\n"
             "machine Other\n\tlogin o\n\tpassword p\\q account z\nmachine none login x\n"
             "default login d password dd\nmachine behind login x password y\n");
    CredentialStore store = read_home(home.path());
    const auto basic = [&store](std::string_view url) {
        const auto found = credentials_for(store, url).basic;
        return found ? found->username + ":" + found->password : "-";
    };
    store.bind_passwords("https://main/x");
    CHECK(basic("https://h.example/x") == "us er:s3cret");
    CHECK(basic("http://h.example:8080/x") == "us er:s3cret");
    CHECK(basic("https://other/x") == "o:p\\q");
    CHECK(basic("https://main/y") == "d:dd");
    CHECK(basic("https://behind/x") == "-");
    CHECK(basic("https://sub.h.example/x") == "-");
    CHECK(basic("https://o@h.example/x") == "-");
    CHECK(parse_netrc("machine machine machine login password").empty());
    CHECK(parse_netrc("default password x").size() == 1);
    CHECK(parse_netrc("\"").empty());
}

TEST_CASE("a password without a host stays with the one URL it was given for") {
    Directory directory;
    directory.put("username", "u").put("password", "p");
    CredentialStore store = read_basic_auth_dir(directory.path()).value();
    store.bind_passwords("https://h:8443/x");
    CHECK(credentials_for(store, "https://h:8443/y").basic);
    CHECK_FALSE(credentials_for(store, "https://h/y").basic);
    CHECK_FALSE(credentials_for(store, "http://h:8443/y").basic);
    CHECK_FALSE(credentials_for(store, "https://other:8443/y").basic);
}

TEST_CASE("a .gitconfig says which account of a host is meant") {
    Directory home;
    home.put(".gitconfig",
             "[credential]\n\thelper = !touch /tmp/pwned\n[credential \"https://h\"]\n\tusername = b\n")
        .put(".git-credentials", "https://a:one@h\nhttps://b:two@h\nhttps://c:three@i\n");
    const CredentialStore store = read_home(home.path());
    CHECK(credentials_for(store, "https://h/x").basic->password == "two");
    CHECK(credentials_for(store, "https://a@h/x").basic->password == "one");
    CHECK(credentials_for(store, "https://i/x").basic->password == "three");
}

TEST_CASE("keys that take a passphrase are told from those that do not") {
    CHECK(key_is_encrypted("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx"));
    CHECK(key_is_encrypted("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"));
    CHECK_FALSE(key_is_encrypted("-----BEGIN RSA PRIVATE KEY-----\nMII\n"));
    CHECK_FALSE(
        key_is_encrypted("-----BEGIN OPENSSH PRIVATE "
                         "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gt\n"));
    CHECK(key_is_encrypted("-----BEGIN OPENSSH PRIVATE "
                           "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDq\n"));
    CHECK_FALSE(key_is_encrypted("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
}

TEST_CASE("directories that hold nothing usable are the caller's mistake, a missing home is not") {
    const Directory directory;
    CHECK(read_basic_auth_dir(directory.path()).error().klass == ErrorClass::usage);
    CHECK(read_ssh_dir(directory.path()).error().klass == ErrorClass::usage);
    CHECK(read_ssh_dir(directory.path() / "none").error().klass == ErrorClass::usage);
    CHECK(read_home(directory.path() / "none").entries.empty());
    CHECK(read_home("").entries.empty());
}

TEST_CASE("credential files full of nonsense give nothing and do no harm") {
    const std::string noise = std::string(50'000, '[') + "\n" + std::string(50'000, '"') +
                              "\n=\n[url \"\n\\\nHost\nPort x\n" + std::string("\0\xff\n", 3);
    CHECK(parse_git_credentials(noise).empty());
    CHECK(parse_git_config(noise).rewrites.empty());
    CHECK(parse_ssh_config(noise).size() <= 2);
    std::string many;
    for (int i = 0; i < 5000; ++i) {
        many += "https://u:p@h/x\n";
    }
    CHECK(parse_git_credentials(many).size() <= 1024);
}
