#include "registry/reference.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::registry;

namespace {
const std::string digest = "sha256:" + std::string(64, 'a');
std::string normal(std::string_view text) {
    const auto parsed = parse_reference(text);
    return parsed ? parsed->text() : "error";
}
} // namespace

TEST_CASE("references are normalised as container tools do") {
    CHECK(normal("alpine") == "docker.io/library/alpine:latest");
    CHECK(normal("alpine:3.20") == "docker.io/library/alpine:3.20");
    CHECK(normal("user/app") == "docker.io/user/app:latest");
    CHECK(normal("docker.io/alpine") == "docker.io/library/alpine:latest");
    CHECK(normal("index.docker.io/alpine") == "docker.io/library/alpine:latest");
    CHECK(normal("localhost/app") == "localhost/app:latest");
    CHECK(normal("localhost:5000/app:v1") == "localhost:5000/app:v1");
    CHECK(normal("Quay.io/ns/app") == "quay.io/ns/app:latest");
    CHECK(normal("[::1]:5000/app") == "[::1]:5000/app:latest");
    CHECK(normal("quay.io/a/b/c/d@" + digest) == "quay.io/a/b/c/d@" + digest);
    CHECK(normal("quay.io/a/b:t@" + digest) == "quay.io/a/b:t@" + digest);
    CHECK(normal("docker://quay.io/a/b") == "quay.io/a/b:latest");
    CHECK(normal("a__b/c-d.e_f---g") == "docker.io/a__b/c-d.e_f---g:latest");
    CHECK(parse_reference("alpine")->with_digest(digest) == "docker.io/library/alpine@" + digest);
}

TEST_CASE("what is no reference is refused in words, harmlessly") {
    for (const std::string& bad : {std::string(),
                                   std::string("Alpine"),
                                   std::string("a//b"),
                                   std::string("/a"),
                                   std::string("a/"),
                                   std::string("a:"),
                                   std::string("a:-x"),
                                   std::string("a@"),
                                   std::string("a@sha256:zz"),
                                   "a@" + digest + "0",
                                   std::string("a b"),
                                   std::string("a\nb"),
                                   std::string("quay.io/../etc"),
                                   std::string("quay.io:0/a"),
                                   std::string("quay.io:99999/a"),
                                   std::string("-quay.io/a"),
                                   std::string("a..b"),
                                   std::string("a___b"),
                                   std::string("a_-b"),
                                   std::string("https://quay.io/a"),
                                   std::string("quay.io/a?x=1"),
                                   std::string("quay.io/a#b"),
                                   std::string("[::1/a"),
                                   "a:" + std::string(129, 't'),
                                   std::string(300, 'a'),
                                   std::string(100'000, 'a'),
                                   std::string("quay.io/a%2fb"),
                                   std::string("user@quay.io/a"),
                                   std::string("\x1b[31ma"),
                                   std::string("\xff")}) {
        INFO(bad.substr(0, 80));
        const auto parsed = parse_reference(bad);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().klass == ErrorClass::usage);
        CHECK(parsed.error().message.size() < 900);
        CHECK_FALSE(parsed.error().message.contains('\n'));
        CHECK_FALSE(parsed.error().message.contains('\x1b'));
    }
}
