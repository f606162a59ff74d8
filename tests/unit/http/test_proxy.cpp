#include "http/proxy.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>

using namespace slipway;
using namespace slipway::http;

namespace {

Result<ProxyRules> rules(const std::map<std::string, std::string>& environment) {
    return ProxyRules::parse([&](const char* name) -> const char* {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
    });
}

} // namespace

TEST_CASE("each scheme has its proxy, lower case wins") {
    const auto parsed = rules({{"http_proxy", "http://one:3128"},
                               {"HTTP_PROXY", "http://two"},
                               {"HTTPS_PROXY", "user:pass%21@three:8080"}});
    REQUIRE(parsed);
    CHECK(parsed->proxy_for("http://example.com/") == Proxy{"one", 3128, "", ""});
    CHECK(parsed->proxy_for("https://example.com/") == Proxy{"three", 8080, "user", "pass!"});
    CHECK(parsed->secrets() == std::vector<std::string>{"pass!"});
    CHECK(rules({{"ALL_PROXY", "http://all:1"}})->proxy_for("https://example.com/")->host == "all");
    CHECK_FALSE(rules({})->proxy_for("https://example.com/"));
    CHECK_FALSE(rules({{"https_proxy", ""}})->proxy_for("https://example.com/"));
}

TEST_CASE("no_proxy names, suffixes, addresses, ranges and ports") {
    const auto parsed = rules({{"https_proxy", "http://p:1"},
                               {"NO_PROXY", ".corp.example, other.example,10.0.0.0/8 ,192.168.1.7,fd00::/8,"
                                            "*.star.example,port.example:5000,,/,bad/99,[2001:db8::1]:443"}});
    REQUIRE(parsed);
    const auto direct = [&](std::string_view url) { return !parsed->proxy_for(url).has_value(); };
    CHECK(direct("https://a.corp.example/"));
    CHECK(direct("https://corp.example/"));
    CHECK(direct("https://OTHER.example/"));
    CHECK(direct("https://x.other.example/"));
    CHECK_FALSE(direct("https://another.example/"));
    CHECK(direct("https://10.200.3.4/"));
    CHECK_FALSE(direct("https://11.0.0.1/"));
    CHECK(direct("https://192.168.1.7/"));
    CHECK_FALSE(direct("https://192.168.1.8/"));
    CHECK(direct("https://[fd12::1]/"));
    CHECK_FALSE(direct("https://[fe80::1]/"));
    CHECK(direct("https://x.star.example/"));
    CHECK(direct("https://port.example:5000/"));
    CHECK_FALSE(direct("https://port.example/"));
    CHECK(direct("https://[2001:db8::1]/"));
    CHECK(direct("https://localhost:5000/"));
    CHECK(direct("https://127.0.0.1/"));
    CHECK(rules({{"https_proxy", "http://p:1"}, {"no_proxy", "*"}})->proxy_for("https://a/") == std::nullopt);
}

TEST_CASE("a proxy that cannot be used is named by its variable, never by its password") {
    for (const char* bad : {"socks5://h:1", "https://h:1", "http://u:secret@:1", "http://u:secret@h:99999"}) {
        const auto parsed = rules({{"https_proxy", bad}});
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().klass == ErrorClass::usage);
        CHECK(parsed.error().message.contains("https_proxy"));
        CHECK_FALSE((parsed.error().message + parsed.error().hint + parsed.error().cause).contains("secret"));
    }
}
