#include "source/lfs_server.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::source;

TEST_CASE("the LFS server stands beside the repository") {
    CHECK(find_lfs_server("", "https://h.example/foo/bar")->url == "https://h.example/foo/bar.git/info/lfs");
    CHECK(find_lfs_server("", "https://h.example/foo/bar.git/")->url ==
          "https://h.example/foo/bar.git/info/lfs");
    CHECK(find_lfs_server("", "git://h.example:9418/foo.git")->url == "https://h.example/foo.git/info/lfs");
    CHECK(find_lfs_server("", "https://h.example/foo")->ssh_url.empty());
}

TEST_CASE("over ssh the server is asked, and its https address is what is left") {
    const auto url = find_lfs_server("", "ssh://git@h.example:2222/foo/bar.git");
    CHECK(url->url == "https://h.example/foo/bar.git/info/lfs");
    CHECK(url->ssh_url == "ssh://git@h.example:2222/foo/bar.git");
    CHECK(url->ssh_command == "git-lfs-authenticate /foo/bar.git download");
    const auto scp = find_lfs_server("", "git@h.example:foo/bar");
    CHECK(scp->url == "https://h.example/foo/bar.git/info/lfs");
    CHECK(scp->ssh_command == "git-lfs-authenticate foo/bar download");
}

TEST_CASE("a path is one word of the command, whatever it holds") {
    CHECK(find_lfs_server("", "git@h.example:foo;id")->ssh_command ==
          "git-lfs-authenticate 'foo;id' download");
    CHECK(find_lfs_server("", "git@h.example:it's$(id)")->ssh_command ==
          R"(git-lfs-authenticate 'it'\''s$(id)' download)");
}

TEST_CASE("what is configured wins, within bounds") {
    CHECK(find_lfs_server("https://l.example/x/", "https://h.example/r")->url == "https://l.example/x");
    CHECK(find_lfs_server("git@l.example:x", "/srv/r.git")->ssh_url == "git@l.example:x");
    for (const char* url :
         {"file:///srv", "/srv", "git://l.example/x", "ftp://l.example/x", "nonsense", "-x"}) {
        INFO(url);
        const auto found = find_lfs_server(url, "https://h.example/r");
        REQUIRE_FALSE(found);
        CHECK(found.error().code == code::git_checkout);
    }
    CHECK_FALSE(find_lfs_server("", "file:///srv/r.git"));
}

TEST_CASE("credentials without a host go no further than the repository's own") {
    CHECK(is_same_service("https://h.example/r", "https://H.example:443/l"));
    CHECK(is_same_service("ssh://git@h.example/r", "https://h.example/l"));
    CHECK(is_same_service("git@h.example:r", "ssh://git@h.example:2222/l"));
    CHECK(is_same_service("http://h.example/r", "https://h.example/l"));
    CHECK_FALSE(is_same_service("https://h.example/r", "http://h.example/l"));
    CHECK_FALSE(is_same_service("ssh://git@h.example/r", "http://h.example/l"));
    CHECK_FALSE(is_same_service("https://h.example/r", "https://h.example:8443/l"));
    CHECK_FALSE(is_same_service("https://h.example/r", "https://h.example.evil/l"));
    CHECK_FALSE(is_same_service("/srv/r", "https://h.example/l"));
}
