#include "source/git.hpp"
#include "source/known_hosts.hpp"
#include "source/plan.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::source;

TEST_CASE("git URLs are understood in every form git takes") {
    const auto parsed = [](std::string_view text) {
        INFO(text);
        const Result<GitUrl> url = parse_git_url(text);
        REQUIRE(url);
        return *url;
    };
    GitUrl url = parsed("https://user:p%40ss@GitHub.com:8443/org/repo.git");
    CHECK(url.scheme == GitUrl::Scheme::https);
    CHECK(url.username == "user");
    CHECK(url.password == "p@ss");
    CHECK(url.host == "github.com");
    CHECK(url.port == 8443);
    CHECK(url.path == "/org/repo.git");
    CHECK(url.clean == "https://github.com:8443/org/repo.git");

    url = parsed("git@github.com:org/repo.git");
    CHECK(url.scheme == GitUrl::Scheme::ssh);
    CHECK(url.scp_like);
    CHECK(url.username == "git");
    CHECK(url.path == "org/repo.git");
    CHECK(url.clean == "git@github.com:org/repo.git");

    url = parsed("ssh://git@[::1]:2222/~/repo");
    CHECK(url.host == "::1");
    CHECK(url.port == 2222);
    CHECK(url.clean == "ssh://git@[::1]:2222/~/repo");

    CHECK(parsed("ssh://git:secret@host/repo").clean == "ssh://git@host/repo");
    CHECK(parsed("git@[::1]:repo").host == "::1");
    CHECK(parsed("file:///srv/a%20b").path == "/srv/a b");
    CHECK(parsed("/srv/repo").scheme == GitUrl::Scheme::file);
    CHECK(parsed("HTTPS://host/repo").clean == "https://host/repo");
}

TEST_CASE("what is no git URL is refused without repeating a password") {
    for (const std::string& text : {std::string(),
                                    std::string("-oProxyCommand=x"),
                                    std::string("--upload-pack=x"),
                                    std::string("ext::sh -c x"),
                                    std::string("ftp://host/x"),
                                    std::string("relative/path"),
                                    std::string("https:///x"),
                                    std::string("https://host"),
                                    std::string("https://host:99999/x"),
                                    std::string("https://host:x/y"),
                                    std::string("ssh://-oProxyCommand=x/y"),
                                    std::string("ssh://host/-x"),
                                    std::string("git@host:-x"),
                                    std::string("-x@host:y"),
                                    std::string("https://ho st/x"),
                                    std::string("https://host/x\n"),
                                    std::string("https://host/\x1b[2J"),
                                    std::string("https://a\0b/x", 13),
                                    std::string("https://host/\xff"),
                                    std::string("https://[%]/x"),
                                    std::string("https://[beef]/x"),
                                    std::string("https://[::1%]/x"),
                                    std::string("file://remote/x"),
                                    std::string("git://u:p4ssword@host/x"),
                                    std::string("https://u:p4ssword@ho_@/x"),
                                    std::string("https://u%0a:x@host/x"),
                                    "https://host/" + std::string(3000, 'x')}) {
        INFO(text);
        const Result<GitUrl> url = parse_git_url(text);
        REQUIRE_FALSE(url);
        CHECK(url.error().klass == ErrorClass::usage);
        CHECK_FALSE((url.error().message + url.error().hint + url.error().cause).contains("p4ssword"));
    }
}

TEST_CASE("secrets in a URL are found in raw and decoded form, even in a malformed one") {
    CHECK(secrets_in_url("https://u:p%40ss@host/x") == std::vector<std::string>{"p%40ss", "p@ss"});
    CHECK(secrets_in_url("https://ghp_token@host/x") == std::vector<std::string>{"ghp_token"});
    CHECK(secrets_in_url("https://tok:x-oauth-basic@host/x") ==
          std::vector<std::string>{"x-oauth-basic", "tok"});
    CHECK(secrets_in_url("weird://u:pw@@@host") == std::vector<std::string>{"pw@@"});
    CHECK(secrets_in_url("git@github.com:x/y").empty());
    CHECK(secrets_in_url("https://host/x").empty());
}

TEST_CASE("revisions and refspecs that could mean something else are refused") {
    for (const char* revision :
         {"-x", "a b", "a..b", "a:b", "main\n", "refs/heads/.x", "a~1", "x^{tree}", "*"}) {
        INFO(revision);
        CHECK_FALSE(check_revision(revision, ""));
    }
    for (const char* refspec : {"--upload-pack=x", "a:b:c", "refs/heads/*:refs/x", "a\tb"}) {
        INFO(refspec);
        CHECK_FALSE(check_revision("", refspec));
    }
    for (const char* revision : {"", "main", "feature/x", "refs/pull/1/head", "v1.0", "HEAD"}) {
        CHECK(check_revision(revision, "+refs/heads/*:refs/remotes/origin/* refs/pull/1/head"));
    }
}

TEST_CASE("a branch goes before a tag of the same name, and a commit is fetched by the ref whose tip it is") {
    const std::string a(40, 'a');
    const std::string b(40, 'b');
    const std::string c(40, 'c');
    const std::vector<AdvertisedRef> refs = {{"HEAD", a, "refs/heads/main"},
                                             {"refs/heads/main", a, ""},
                                             {"refs/heads/x", b, ""},
                                             {"refs/tags/x", c, ""},
                                             {"refs/tags/x^{}", a, ""},
                                             {"refs/tags/y", c, ""},
                                             {"refs/tags/y^{}", std::string(40, 'd'), ""}};
    CHECK(plan_fetch(refs, "x", "", false)->ref == "refs/heads/x");
    CHECK(plan_fetch(refs, "tags/x", "", false)->ref == "refs/tags/x");
    CHECK(plan_fetch(refs, b, "", false)->refspecs ==
          std::vector<std::string>{"+refs/heads/x:refs/remotes/origin/x"});
    CHECK(plan_fetch(refs, std::string(40, 'd'), "", false)->refspecs ==
          std::vector<std::string>{"+refs/tags/y:refs/tags/y"});
    CHECK(plan_fetch(refs, std::string(40, 'e'), "", false)->bare_commit);
    CHECK(plan_fetch(refs, std::string(40, 'e'), "", true)->everything);
    CHECK(plan_fetch(refs, "none", "", false).error().code == code::git_checkout);
    CHECK(plan_fetch(refs, "BBBB", "", false)->prefix == "bbbb");
    CHECK(plan_fetch(refs, "bbbb", "refs/heads/x", false)->everything);
    CHECK(plan_fetch({}, "bbbb", "", false).error().code == code::git_checkout);
    CHECK_FALSE(plan_fetch(refs, "bbb", "", false));
}

TEST_CASE("known_hosts: plain, ported, hashed, patterned, revoked") {
    // "AAAA" + type: the smallest thing that has the shape of a key.
    const std::string blob("\0\0\0\x0bssh-ed25519XX", 17);
    const std::string other("\0\0\0\x0bssh-ed25519YY", 17);
    const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5WFg=";
    const auto verdict = [&](const std::string& content, int port = 22,
                             std::string_view host = "git.example.com") {
        return HostKeys::for_host(content, host, port).check(blob);
    };
    CHECK(verdict("git.example.com " + key) == HostKeyVerdict::match);
    CHECK(verdict("# c\r\n\nGIT.example.com,1.2.3.4 " + key + " comment\r\n") == HostKeyVerdict::match);
    CHECK(verdict("*.example.com " + key) == HostKeyVerdict::match);
    CHECK(verdict("*.example.com,!git.* " + key) == HostKeyVerdict::unknown);
    CHECK(verdict("git.example.com " + key, 2222) == HostKeyVerdict::unknown);
    CHECK(verdict("[git.example.com]:2222 " + key, 2222) == HostKeyVerdict::match);
    CHECK(verdict("other.example.com " + key) == HostKeyVerdict::unknown);
    CHECK(verdict("@revoked * " + key + "\ngit.example.com " + key) == HostKeyVerdict::revoked);
    CHECK(verdict("@cert-authority * " + key) == HostKeyVerdict::unknown);
    CHECK(verdict("git.example.com ssh-rsa !!!\ngarbage\n" + std::string(100'000, '*')) ==
          HostKeyVerdict::unknown);
    CHECK(HostKeys::for_host("git.example.com " + key, "git.example.com", 0).check(other) ==
          HostKeyVerdict::mismatch);
    // Made with ssh-keygen -H from "git.example.com".
    CHECK(HostKeys::for_host("*.example.com " + key, "git.example.com", 2222).plain_lines().empty());
    CHECK(HostKeys::for_host("*.example.com " + key, "git.example.com", 22).plain_lines() ==
          "git.example.com " + key + "\n");
    CHECK(host_key_fingerprint(blob).starts_with("ssh-ed25519 SHA256:"));
}
