#include "base/file.hpp"
#include "registry/registries_conf.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::registry;

namespace {

std::string show(const Result<std::vector<Endpoint>>& endpoints) {
    if (!endpoints) {
        return endpoints.error().code;
    }
    std::string out;
    for (const Endpoint& one : *endpoints) {
        out += (out.empty() ? "" : " ") + one.registry + "/" + one.repository + (one.insecure ? "!" : "") +
               (one.mirror ? "*" : "");
    }
    return out;
}

RegistriesConf of(std::string_view text) {
    RegistriesConf conf;
    const auto status = conf.add(text, "test.conf");
    INFO((status ? "" : status.error().message));
    REQUIRE(status);
    return conf;
}

} // namespace

TEST_CASE("without a configuration everything is where it says") {
    CHECK(show(RegistriesConf().pull_endpoints("quay.io", "a/b", false)) == "quay.io/a/b");
    CHECK(RegistriesConf().push_endpoint("quay.io", "a/b")->registry == "quay.io");
}

TEST_CASE("mirrors come first, the longest prefix decides, locations rewrite") {
    const auto conf = of(R"(
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "quay.io"
location = "quay.proxy.example:8443/cache"
[[registry.mirror]]
location = "mirror.example/quay"
insecure = true
[[registry.mirror]]
location = "digests.example"
pull-from-mirror = "digest-only"
[[registry]]
location = "quay.io/secret"
blocked = true
[[registry]]
prefix = "*.dev.example"
insecure = true
[[registry]]
location = "localhost:5000"
insecure = true
)");
    CHECK(show(conf.pull_endpoints("quay.io", "a/b", false)) ==
          "mirror.example/quay/a/b!* quay.proxy.example:8443/cache/a/b");
    CHECK(show(conf.pull_endpoints("quay.io", "a/b", true)) ==
          "mirror.example/quay/a/b!* digests.example/a/b* quay.proxy.example:8443/cache/a/b");
    CHECK(show(conf.pull_endpoints("quay.io", "secret/b", false)) == "cannotpullbaseimage");
    CHECK(show(conf.pull_endpoints("quay.io", "secrets/b", false)).contains("/cache/secrets/b"));
    CHECK(show(conf.pull_endpoints("x.dev.example", "a", false)) == "x.dev.example/a!");
    CHECK(show(conf.pull_endpoints("dev.example", "a", false)) == "dev.example/a");
    CHECK(show(conf.pull_endpoints("localhost:5000", "a", false)) == "localhost:5000/a!");
    CHECK(show(conf.pull_endpoints("localhost:50001", "a", false)) == "localhost:50001/a");
    CHECK(conf.push_endpoint("quay.io", "a/b")->registry == "quay.proxy.example:8443");
    CHECK_FALSE(conf.push_endpoint("quay.io", "secret/b"));
}

TEST_CASE("a broken configuration is named with its line") {
    RegistriesConf conf;
    const auto broken = conf.add("[[registry]]\nlocation = \"x\nblocked = maybe", "/etc/x.conf");
    REQUIRE_FALSE(broken);
    CHECK(broken.error().klass == ErrorClass::usage);
    CHECK(broken.error().message.contains("/etc/x.conf"));
    CHECK(broken.error().message.contains("line 2"));
    CHECK_FALSE(conf.add("[registries.search]\nregistries = []", "old"));
    CHECK_FALSE(conf.add("[[registry]]\ninsecure = true", "x"));
    CHECK_FALSE(conf.add(std::string(200'000, '['), "deep"));
}

TEST_CASE("the drop-in directory is read after the file, in name order") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    const auto file = dir->path() / "registries.conf";
    CHECK_FALSE(RegistriesConf::load(file));
    REQUIRE(write_file_atomic(file, "[[registry]]\nlocation = \"a.example\"\n"));
    REQUIRE(make_directories(file.string() + ".d"));
    REQUIRE(write_file_atomic(file.string() + ".d/10.conf",
                              "[[registry]]\nlocation = \"a.example\"\ninsecure = true\n"));
    REQUIRE(write_file_atomic(file.string() + ".d/20.conf.bak", "nonsense"));
    const auto conf = RegistriesConf::load(file);
    REQUIRE(conf);
    CHECK(show(conf->pull_endpoints("a.example", "x", false)) == "a.example/x!");
}

TEST_CASE("a short name stands for its alias, else for itself in the search registries, else in docker.io") {
    const auto meant = [](const RegistriesConf& conf, std::string_view text) -> std::string {
        const auto meanings = conf.meanings(text);
        if (!meanings) {
            return meanings.error().code;
        }
        std::string out;
        for (const Reference& one : *meanings) {
            out += (out.empty() ? "" : " ") + one.text();
        }
        return out;
    };
    CHECK(meant({}, "debian:13") == "docker.io/library/debian:13");
    CHECK(meant({}, "team/app") == "docker.io/team/app:latest");

    auto conf = of(R"(
unqualified-search-registries = ["quay.io", "docker.io", "localhost:5000"]
[aliases]
fedora = "registry.example/fedora"
"team/app" = "localhost:5000/team/app"
centos = "quay.io/centos/centos"
)");
    const std::string digest = "@sha256:" + std::string(64, 'a');
    CHECK(meant(conf, "fedora") == "registry.example/fedora:latest");
    CHECK(meant(conf, "fedora:41") == "registry.example/fedora:41");
    CHECK(meant(conf, "fedora:41" + digest) == "registry.example/fedora:41" + digest);
    CHECK(meant(conf, "team/app") == "localhost:5000/team/app:latest");
    CHECK(meant(conf, "debian") ==
          "quay.io/debian:latest docker.io/library/debian:latest localhost:5000/debian:latest");
    CHECK(meant(conf, "docker.io/library/fedora") == "docker.io/library/fedora:latest");
    CHECK(meant(conf, "quay.io/fedora:1") == "quay.io/fedora:1");
    CHECK(meant(conf, "Fedora") == code::missing_or_invalid_argument);

    // A later file takes an alias back and has its own list.
    REQUIRE(conf.add("unqualified-search-registries = []\n[aliases]\nfedora = \"\"\n", "later.conf"));
    CHECK(meant(conf, "fedora") == "docker.io/library/fedora:latest");
    CHECK(meant(conf, "centos") == "quay.io/centos/centos:latest");

    CHECK_FALSE(conf.add("unqualified-search-registries = [\"no registry\"]", "x"));
    CHECK_FALSE(conf.add("[aliases]\nx = \"HTTP://\"", "x"));
}
