#include "base/encoding.hpp"
#include "base/file.hpp"
#include "registry/auth.hpp"
#include "registry/challenge.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::registry;

namespace {
std::string entry(std::string_view key, std::string_view user_and_password) {
    return "\"" + std::string(key) + "\": {\"auth\": \"" + base64_encode(user_and_password) + "\"}";
}
std::string user_for(const AuthFile& file, std::string_view image) {
    const auto found = file.find(*parse_reference(image));
    return found ? found->username : "";
}
} // namespace

TEST_CASE("the most specific entry wins") {
    const auto file = AuthFile::parse(
        "{\"auths\": {" + entry("quay.io", "host:p1") + "," + entry("quay.io/ns", "ns:p2") + "," +
            entry("quay.io/ns/app", "app:p3") + "," + entry("https://index.docker.io/v1/", "hub:p4") + "," +
            entry("https://reg.example:5000/v2/", "url:p5") + "}}",
        "test");
    REQUIRE(file);
    CHECK(user_for(*file, "quay.io/ns/app:1") == "app");
    CHECK(user_for(*file, "quay.io/ns/app/deep") == "app");
    CHECK(user_for(*file, "quay.io/ns/application") == "ns");
    CHECK(user_for(*file, "quay.io/nsx/app") == "host");
    CHECK(user_for(*file, "alpine") == "hub");
    CHECK(user_for(*file, "reg.example:5000/x") == "url");
    CHECK(user_for(*file, "reg.example/x").empty());
    CHECK(user_for(*file, "xquay.io/x").empty());
}

TEST_CASE("every form of a secret is known for redaction") {
    const auto file = AuthFile::parse(
        "{\"auths\": {" + entry("a.example", "u:hunter2") +
            R"(, "b.example": {"username": "v", "password": "pass:word"}, "c.example": {"auth": "PHRva2VuPjppZHQ=", "x": 1},
                "d.example": {"identitytoken": "refresh"}, "e.example": {}}, "credHelpers": {"f.example": "ecr"}})",
        "test");
    REQUIRE(file);
    const auto secrets = file->secrets();
    for (const char* secret : {"hunter2", "pass:word", "refresh", "idt", "PHRva2VuPjppZHQ="}) {
        CHECK(std::ranges::contains(secrets, secret));
    }
    CHECK(std::ranges::contains(secrets, base64_encode("u:hunter2")));
    CHECK(file->find(*parse_reference("b.example/x"))->password == "pass:word");
    CHECK(file->find(*parse_reference("c.example/x"))->identity_token == "idt");
    CHECK_FALSE(file->find(*parse_reference("e.example/x")));
}

TEST_CASE("file and directory forms are found, and absence is anonymous") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    CHECK(AuthFile::load(dir->path())->empty());
    REQUIRE(write_file_atomic(dir->path() / ".dockercfg", "{" + entry("quay.io", "old:p") + "}"));
    CHECK(user_for(*AuthFile::load(dir->path()), "quay.io/a/b") == "old");
    REQUIRE(
        write_file_atomic(dir->path() / "config.json", "{\"auths\": {" + entry("quay.io", "cfg:p") + "}}"));
    CHECK(user_for(*AuthFile::load(dir->path()), "quay.io/a/b") == "cfg");
    REQUIRE(write_file_atomic(dir->path() / ".dockerconfigjson",
                              "{\"auths\": {" + entry("quay.io", "k8s:p") + "}}"));
    CHECK(user_for(*AuthFile::load(dir->path()), "quay.io/a/b") == "k8s");
    CHECK(user_for(*AuthFile::load(dir->path() / "config.json"), "quay.io/a/b") == "cfg");
    CHECK_FALSE(AuthFile::load(dir->path() / "none"));
    CHECK(AuthFile::parse("", "empty")->empty());
    CHECK(AuthFile::parse("{}", "empty")->empty());
}

TEST_CASE("a broken auth file is an error that does not repeat what it holds") {
    for (const char* bad :
         {"{\"auths\": [\"hunter2\"]}", "hunter2", "[]", "{\"auths\": {\"q\": {\"auth\": \"hunter2!\"}}}",
          "{\"auths\": {\"q\": {\"auth\": \"aHVudGVyMg==\"}}}", "{\"auths\""}) {
        const auto file = AuthFile::parse(bad, "name");
        REQUIRE_FALSE(file);
        CHECK(file.error().klass == ErrorClass::usage);
        CHECK(file.error().message.contains("name"));
        CHECK_FALSE((file.error().message + file.error().cause).contains("hunter2"));
    }
}

TEST_CASE("challenges are read, the strongest is taken, nonsense is skipped") {
    const auto bearer = parse_challenge(
        R"(Basic realm="x", Bearer realm="https://auth.example/token",service="reg,istry" , scope="repository:a:pull,push",error=invalid_token)");
    CHECK(bearer.scheme == Challenge::Scheme::bearer);
    CHECK(bearer.realm == "https://auth.example/token");
    CHECK(bearer.service == "reg,istry");
    CHECK(bearer.scope == "repository:a:pull,push");
    CHECK(bearer.error == "invalid_token");
    CHECK(parse_challenge("basic realm=\"a\\\"b\"").realm == "a\"b");
    for (const char* bad : {"", "Bearer", "Digest realm=x", "====", "Bearer realm=", ",,,\"", "Negotiate"}) {
        CHECK(parse_challenge(bad).scheme == Challenge::Scheme::none);
    }
    CHECK(parse_challenge(std::string(1'000'000, '"')).scheme == Challenge::Scheme::none);
}
