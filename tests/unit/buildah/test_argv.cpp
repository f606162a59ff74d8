#include "buildah/argv.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::buildah;

namespace {

Global global() {
    Global result;
    result.root = "/w/graph";
    result.runroot = "/w/run";
    result.driver = "overlay";
    return result;
}

Build minimal() {
    Build result;
    result.dockerfile = "/src/Dockerfile";
    result.context = "/src";
    return result;
}

bool has(const Argv& argv, std::string_view word) {
    return std::ranges::find(argv, word) != argv.end();
}

constexpr std::string_view digest = "sha256:7647945717e1e3350914653cc8e53dbb976ef2c015c9bc5b306e676506c7193d";

} // namespace

TEST_CASE("the plain build command line is exactly this") {
    const auto argv = build(global(), minimal());
    REQUIRE(argv);
    CHECK(*argv == Argv{"buildah", "--root=/w/graph", "--runroot=/w/run", "--storage-driver=overlay", "build",
                        "--isolation=chroot", "--layers=true", "--pull=never", "--format=oci",
                        "--file=/src/Dockerfile", "--", "/src"});
}

TEST_CASE("every option of a build reaches the command line") {
    Build options = minimal();
    options.bases = {{"debian:${V}", "docker.io/library/debian@" + std::string(digest)}};
    options.contexts = {{"docs", "/src/a b=c"}};
    options.build_args = {{"A", "x y=z"}, {"EMPTY", ""}};
    options.target = "app";
    options.labels = {{"l", "--not-an-option"}};
    options.annotations = {{"a", "b,c"}};
    options.secrets = {{"token", "/run/secrets/token"}};
    options.ssh = {{"default", {"/run/agent.sock"}}, {"other", {}}};
    options.platform = "linux/arm64";
    options.format = "docker";
    options.timestamp = 0;
    options.iidfile = "/w/iid";
    options.tags = {"localhost/x:1"};
    options.network = "host";
    options.cache_from = {"quay.io/a/cache"};
    options.cache_to = {"quay.io/a/cache"};
    options.cache_ttl = "24h";
    options.no_cache = true;
    options.drop_capabilities = {"CAP_KILL"};
    options.access.authfile = "/w/auth.json";
    options.access.tls_verify = false;
    const auto argv = build(global(), options);
    REQUIRE(argv);
    for (const char* word : {"--build-context=docs=/src/a b=c",
                             "--build-arg=A=x y=z",
                             "--build-arg=EMPTY=",
                             "--target=app",
                             "--label=l=--not-an-option",
                             "--annotation=a=b,c",
                             "--secret=id=token,src=/run/secrets/token",
                             "--ssh=default=/run/agent.sock",
                             "--ssh=other",
                             "--platform=linux/arm64",
                             "--format=docker",
                             "--timestamp=0",
                             "--iidfile=/w/iid",
                             "--tag=localhost/x:1",
                             "--network=host",
                             "--cache-from=quay.io/a/cache",
                             "--cache-to=quay.io/a/cache",
                             "--cache-ttl=24h",
                             "--no-cache",
                             "--cap-drop=CAP_KILL",
                             "--authfile=/w/auth.json",
                             "--tls-verify=false"}) {
        INFO(word);
        CHECK(has(*argv, word));
    }
    CHECK(has(*argv,
              "--build-context=debian:${V}=docker-image://docker.io/library/debian@" + std::string(digest)));
}

TEST_CASE("no value can become an option or an argument of its own") {
    Build options = minimal();
    const std::string evil = "--authfile=/etc/shadow";
    options.target = evil;
    options.build_args = {{evil.substr(0, 10), evil}};
    options.cache_ttl = evil;
    const auto argv = build(global(), options);
    REQUIRE(argv);
    const auto end = std::ranges::find(*argv, "--");
    REQUIRE(end != argv->end());
    CHECK(std::ranges::find(argv->begin(), end, evil) == end);
    CHECK(std::ranges::distance(end, argv->end()) == 2);
}

TEST_CASE("a Dockerfile path with a comma is quoted as buildah's CSV wants it") {
    Build options = minimal();
    options.dockerfile = "/src/a,\"b";
    const auto argv = build(global(), options);
    REQUIRE(argv);
    CHECK(has(*argv, "--file=\"/src/a,\"\"b\""));
}

TEST_CASE("what buildah would misread is refused as usage") {
    const auto refused = [](const Build& options) {
        const auto argv = build(global(), options);
        return !argv && argv.error().klass == ErrorClass::usage;
    };
    Build options = minimal();
    options.secrets = {{"a", "/x,src=/etc/shadow"}};
    CHECK(refused(options));
    options = minimal();
    options.secrets = {{"a,env=B", "/x"}};
    CHECK(refused(options));
    options = minimal();
    options.labels = {{"a=b", "c"}};
    CHECK(refused(options));
    options = minimal();
    options.build_args = {{"A", std::string("b\0c", 3)}};
    CHECK(refused(options));
    options = minimal();
    options.platform = "linux/amd64,linux/arm64";
    CHECK(refused(options));
    options = minimal();
    options.bases = {{"debian", "docker.io/x\n--foo"}};
    CHECK(refused(options));
    options = minimal();
    options.context = "relative";
    CHECK(refused(options));
    options = minimal();
    options.isolation = "none";
    CHECK(refused(options));
    options = minimal();
    options.tags = {"-x"};
    CHECK(refused(options));
}

TEST_CASE("pull names the transport and stands behind the separator") {
    Pull options;
    options.reference = "quay.io/a/b@" + std::string(digest);
    options.platform = "linux/amd64";
    options.retries = 1;
    const auto argv = pull(global(), options);
    REQUIRE(argv);
    CHECK(argv->back() == "docker://" + options.reference);
    CHECK((*argv)[argv->size() - 2] == "--");
    CHECK(has(*argv, "--policy=missing"));
    CHECK(has(*argv, "--retry=1"));
    options.reference = "--creds=a:b";
    CHECK_FALSE(pull(global(), options));
    options.reference = "";
    CHECK_FALSE(pull(global(), options));
}

TEST_CASE("push goes to a layout and nowhere else") {
    Push options;
    options.image = "sha256:abc";
    options.destination = oci_destination("/hand/image", "img").value();
    options.digestfile = "/hand/digest";
    options.compression = "zstd";
    options.compression_level = 3;
    const auto argv = push(global(), options);
    REQUIRE(argv);
    CHECK(*argv == Argv{"buildah", "--root=/w/graph", "--runroot=/w/run", "--storage-driver=overlay", "push",
                        "--digestfile=/hand/digest", "--compression-format=zstd", "--compression-level=3",
                        "--", "sha256:abc", "oci:/hand/image:img"});
    options.destination = "docker://evil.example/x";
    CHECK_FALSE(push(global(), options));
    CHECK_FALSE(oci_destination("/with:colon"));
    CHECK_FALSE(oci_destination("relative"));
    CHECK(dir_destination("/with:colon").value() == "dir:/with:colon");
}

TEST_CASE("the small commands are right too") {
    CHECK(tag(global(), "quay.io/a/b@" + std::string(digest), "docker.io/library/debian:13")->back() ==
          "docker.io/library/debian:13");
    CHECK_FALSE(tag(global(), "x", "a@" + std::string(digest)));
    CHECK(has(*remove_all_containers(global()), "--all"));
}

TEST_CASE("what makes buildah's surroundings stands before it") {
    Global wrapped = global();
    wrapped.wrapper = {"/self", "inside", "--"};
    const auto argv = info(wrapped);
    REQUIRE(argv);
    CHECK(Argv(argv->begin(), argv->begin() + 4) == Argv{"/self", "inside", "--", wrapped.program});
}
