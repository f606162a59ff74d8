#include "http/url.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::http;

TEST_CASE("a URL falls into its parts") {
    const auto url = parse_url("HTTPS://User:p%40ss@Example.COM:8443/a/b?c=d#frag");
    REQUIRE(url);
    CHECK(url->https);
    CHECK(url->host == "example.com");
    CHECK(url->port == 8443);
    CHECK(url->target == "/a/b?c=d");
    CHECK(url->username == "User");
    CHECK(url->password == "p@ss");
    CHECK(url->text() == "https://example.com:8443/a/b?c=d");
    CHECK(parse_url("http://h?q")->target == "/?q");
    CHECK(parse_url("http://[::1]:80/")->origin() == "http://[::1]");
    CHECK(parse_url("https://h:443")->origin() == "https://h");
}

TEST_CASE("what is no URL is refused, and a password is not repeated") {
    for (const char* bad :
         {"", "example.com", "ftp://h/", "http://", "http://h:0/", "http://h:65536/", "http://h:x/",
          "http://a b/", "http://h/\r\nX: y", "http://[::1/", "http://[::1]x/", "http://h\\@evil/",
          "file:///etc/passwd", "http://[fe80::1%25eth0]/"}) {
        INFO(bad);
        CHECK_FALSE(parse_url(bad));
    }
    CHECK_FALSE(parse_url("http://h/" + std::string(9000, 'a')));
    const auto secret = parse_url("ftp://me:hunter2@host/");
    REQUIRE_FALSE(secret);
    CHECK_FALSE(secret.error().message.contains("hunter2"));
}

TEST_CASE("a Location is taken relative to where it came from") {
    const Url base = *parse_url("https://user:pw@h:5000/v2/a/uploads/?x=1");
    const auto to = [&](const char* location) {
        const auto url = resolve_url(base, location);
        return url ? url->text() : "error";
    };
    CHECK(to("/v2/b?s=1") == "https://h:5000/v2/b?s=1");
    CHECK(to("//other/x") == "https://other/x");
    CHECK(to("http://other:81/x") == "http://other:81/x");
    CHECK(to("next") == "https://h:5000/v2/a/uploads/next");
    CHECK(to("../up/./y") == "https://h:5000/v2/a/up/y");
    CHECK(to("/a/../../../b") == "https://h:5000/b");
    CHECK(to("?y=2") == "https://h:5000/v2/a/uploads/?y=2");
    CHECK(to("") == "error");
    CHECK(to("/x\r\nEvil: 1") == "error");
    CHECK(resolve_url(base, "/x")->password.empty());
}
