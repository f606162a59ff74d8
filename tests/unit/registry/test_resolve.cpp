#include "fake_registry.hpp"
#include "image.hpp"
#include "registry/resolve.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::registry;
using namespace slipway::registry::test;

namespace {

struct Resolving {
    FakeRegistry registry;
    Options opts = options();
    Image amd;
    Image arm{{"arm layer"}, "arm64"};
    std::string index;

    Resolving() {
        registry.blobs[digest::sha256(amd.config)] = amd.config;
        registry.blobs[digest::sha256(arm.config)] = arm.config;
        registry.add_manifest("single", std::string(manifest_type), amd.manifest);
        registry.add_manifest("arm", std::string(manifest_type), arm.manifest);
        const std::string body =
            "{\"schemaVersion\":2,\"manifests\":[" +
            describe(manifest_type, "attestation",
                     R"(,"platform":{"os":"unknown","architecture":"unknown"},)"
                     R"("annotations":{"vnd.docker.reference.type":"attestation-manifest"})") +
            "," +
            describe(manifest_type, amd.manifest, R"(,"platform":{"os":"linux","architecture":"amd64"})") +
            "," +
            describe(manifest_type, arm.manifest,
                     R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})") +
            "]}";
        index = registry.add_manifest("multi", std::string(index_type), body);
    }
    Result<ResolvedImage> resolve(std::string_view tag, std::string_view platform = "linux/amd64") {
        return resolve_image(opts, *parse_reference(registry.host() + "/ns/app" + std::string(tag)),
                             platform);
    }
};

} // namespace

TEST_CASE("an index leads to the platform's manifest and its config") {
    Resolving it;
    const auto image = it.resolve(":multi");
    REQUIRE(image);
    CHECK(image->index_digest == it.index);
    CHECK(image->manifest_digest == it.amd.digest);
    CHECK(image->pin() == it.index);
    CHECK(image->config_digest == digest::sha256(it.amd.config));
    CHECK(image->layers.size() == 2);
    CHECK(image->size == it.amd.layers[0].size() + it.amd.layers[1].size());
    CHECK(image->env.at(1) == std::pair<std::string, std::string>("A", "b=c"));
    CHECK(image->user == "1000");
    CHECK(image->on_build == std::vector<std::string>{"RUN echo hi"});
    CHECK(image->labels.at("k") == "v");
    CHECK(image->has_healthcheck);
    CHECK(image->platform == "linux/amd64");
    for (const char* spelling : {"linux/arm64", "linux/arm64/v8", "linux/aarch64"}) {
        const auto arm = it.resolve(":multi", spelling);
        REQUIRE(arm);
        CHECK(arm->manifest_digest == it.arm.digest);
    }
    CHECK(it.resolve("@" + it.index)->index_digest == it.index);
    const auto single = it.resolve(":single");
    REQUIRE(single);
    CHECK(single->index_digest.empty());
    CHECK(single->pin() == it.amd.digest);
    CHECK(single->platform_matches);
    CHECK_FALSE(it.resolve(":arm")->platform_matches);
}

TEST_CASE("what is missing is told apart") {
    Resolving it;
    const auto none = it.resolve(":nope");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == code::cannot_pull_base_image);
    CHECK(none.error().klass == ErrorClass::build);
    CHECK(none.error().message == "no such image: " + it.registry.host() + "/ns/app:nope");

    const auto platform = it.resolve(":multi", "linux/s390x");
    REQUIRE_FALSE(platform);
    CHECK(platform.error().klass == ErrorClass::build);
    CHECK(platform.error().message.contains("linux/s390x"));
    CHECK(platform.error().hint == "the image offers linux/amd64, linux/arm64/v8");
    CHECK(it.resolve(":multi", "nonsense").error().klass == ErrorClass::usage);

    int status = 0;
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.status = status;
        return in.path.contains("manifests");
    };
    const auto error_of = [&](int now) {
        status = now;
        const auto image = it.resolve(":multi");
        REQUIRE_FALSE(image);
        return std::string(image.error().code) + " " + std::string(to_string(image.error().klass));
    };
    CHECK(error_of(401) == "registryauth auth");
    CHECK(error_of(403) == "registryauth auth");
    CHECK(error_of(429) == "cannotpullbaseimage registry");
    CHECK(error_of(502) == "cannotpullbaseimage registry");
    CHECK(error_of(418) == "cannotpullbaseimage registry");
}

TEST_CASE("a registry that lies about digests is not believed") {
    Resolving it;
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.set_content("{\"manifests\":[]}", std::string(index_type));
        return in.path.ends_with(it.amd.digest);
    };
    const auto image = it.resolve(":multi");
    REQUIRE_FALSE(image);
    CHECK(image.error().klass == ErrorClass::registry);
    CHECK(image.error().message.contains("is not the one with digest"));

    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.set_content("{\"config\":{\"User\":\"evil\"}}", "application/json");
        return in.path.contains("/blobs/");
    };
    CHECK_FALSE(it.resolve(":single"));
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.set_header("Docker-Content-Digest", digest::sha256("other"));
        out.set_content(it.amd.manifest, std::string(manifest_type));
        return in.path.ends_with("/single");
    };
    CHECK_FALSE(it.resolve(":single"));
}

TEST_CASE("hostile answers are errors of the registry") {
    Resolving it;
    std::string body;
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.set_content(body, "text/html");
        return in.path.contains("manifests");
    };
    for (const std::string& bad : {std::string("<html>log in</html>"), std::string(5'000'000, 'x'),
                                   std::string("[]"), std::string(1'000'000, '{')}) {
        body = bad;
        const auto image = it.resolve(":multi");
        REQUIRE_FALSE(image);
        CHECK((image.error().klass == ErrorClass::registry || image.error().klass == ErrorClass::network));
        CHECK(image.error().message.size() < 500);
    }
}

TEST_CASE("a token is fetched once per scope, with credentials, and renewed when refused") {
    Resolving it;
    it.opts.auth = *AuthFile::parse(
        R"({"auths":{")" + it.registry.host() + R"(":{"username":"u","password":"p"}}})", "t");
    int issued = 0;
    int accepted_from = 1;
    std::string token_query;
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        if (in.path == "/token") {
            token_query = in.target + " " + in.get_header_value("Authorization");
            out.set_content("{\"token\":\"t" + std::to_string(++issued) + "\",\"expires_in\":300}",
                            "application/json");
            return true;
        }
        const std::string value = in.get_header_value("Authorization");
        if (value.starts_with("Bearer t") && std::stoi(value.substr(8)) >= accepted_from) {
            return false;
        }
        out.status = 401;
        out.set_header("WWW-Authenticate",
                       "Bearer realm=\"http://" + it.registry.host() + "/token\",service=\"s\"");
        return true;
    };
    const auto image = it.resolve(":multi");
    REQUIRE(image);
    CHECK(issued == 1);
    CHECK(token_query == "/token?service=s&scope=repository%3Ans%2Fapp%3Apull&account=u Basic dTpw");
    CHECK(image->username == "u");

    issued = 0;
    accepted_from = 2;
    CHECK(it.resolve(":multi"));
    CHECK(issued == 2);

    SECTION("a registry that never has enough is left alone") {
        issued = 0;
        accepted_from = 1000;
        const auto denied = it.resolve(":multi");
        REQUIRE_FALSE(denied);
        CHECK(denied.error().code == code::registry_auth);
        CHECK(issued == 2);
    }
}

TEST_CASE("a mirror is asked first, and the registry itself when the mirror fails") {
    Resolving it;
    FakeRegistry mirror;
    mirror.fault = [](const httplib::Request& in, httplib::Response& out) {
        out.status = 500;
        return in.path != "/v2/";
    };
    RegistriesConf conf;
    REQUIRE(conf.add("[[registry]]\nlocation = \"" + it.registry.host() +
                         "\"\n[[registry.mirror]]\nlocation = \"" + mirror.host() + "/copy\"\n",
                     "t"));
    it.opts.registries = conf;
    const auto image = it.resolve(":multi");
    REQUIRE(image);
    CHECK(image->served_by == it.registry.host());
    CHECK(mirror.count("GET /v2/copy/ns/app/manifests/multi") == 1);
    mirror.fault = nullptr;
    mirror.manifests = it.registry.manifests;
    mirror.blobs = it.registry.blobs;
    CHECK(it.resolve(":multi")->served_by == mirror.host());
}

TEST_CASE("plain http is used only where TLS need not be verified") {
    Resolving it;
    it.opts.tls_verify = true;
    CHECK_FALSE(it.resolve(":multi"));
    it.opts.tls_verify = std::nullopt;
    CHECK_FALSE(it.resolve(":multi"));
    RegistriesConf conf;
    REQUIRE(conf.add("[[registry]]\nlocation = \"" + it.registry.host() + "\"\ninsecure = true\n", "t"));
    it.opts.registries = conf;
    CHECK(it.resolve(":multi"));
}

TEST_CASE("of a short name's meanings the first that is there is taken, but none behind a broken registry") {
    Resolving there;
    Resolving empty;
    empty.registry.manifests.clear();
    const auto search = [&](const std::string& first, const std::string& second) {
        RegistriesConf conf;
        REQUIRE(conf.add("unqualified-search-registries = [\"" + first + "\", \"" + second + "\"]", "test"));
        there.opts.registries = conf;
        return resolve_name(there.opts, "ns/app:single", "linux/amd64");
    };
    const auto found = search(empty.registry.host(), there.registry.host());
    REQUIRE(found);
    CHECK(found->reference.text() == there.registry.host() + "/ns/app:single");

    const auto nowhere = search(empty.registry.host(), empty.registry.host());
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().klass == ErrorClass::build);
    CHECK(nowhere.error().hint.contains("with its registry"));

    const auto broken = search("localhost:1", there.registry.host());
    REQUIRE_FALSE(broken);
    CHECK(broken.error().klass == ErrorClass::network);
}
