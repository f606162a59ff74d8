#include "base/file.hpp"
#include "handoff/files.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <sys/stat.h>

using namespace slipway;
namespace fs = std::filesystem;

namespace {

struct State {
    TemporaryDirectory directory = *TemporaryDirectory::create("slipway-test-");
    const fs::path& path = directory.path();
};

handoff::Plan plan() {
    handoff::Plan plan;
    plan.source = "/slipway/source";
    plan.context = ".";
    plan.dockerfile = "Dockerfile";
    plan.ignore_file = "Dockerfile.dockerignore";
    plan.context_files = 12;
    plan.context_bytes = 6'000'000'000;
    plan.warnings = {{.code = "sourceclimbs", .message = "COPY ../a", .hint = ""}};
    plan.platform = "linux/amd64";
    plan.build_args = {{"A", "1"}, {"B", "two \"words\"\n"}};
    plan.contexts = {{"docs", "/slipway/source/docs"}};
    plan.stages = {{.index = 0, .name = "app", .base = "debian:13", .base_kind = "image"}};
    plan.commands = {
        {.n = 1, .stage = 0, .position = 1, .line = 1, .keyword = "FROM", .text = "FROM debian:13"},
        {.n = 2,
         .stage = 0,
         .position = 2,
         .line = 2,
         .keyword = "RUN",
         .text = "RUN --network=none true",
         .network = "none"}};
    plan.images = {{.spelling = "debian:13",
                    .pinned = "docker.io/library/debian@sha256:00",
                    .name = "docker.io/library/debian:13",
                    .index_digest = "",
                    .manifest_digest = "sha256:00",
                    .registry = "docker.io",
                    .repository = "library/debian",
                    .tag = "13",
                    .platform = "linux/amd64",
                    .size = 1234567890123,
                    .line = 1,
                    .user = "1000",
                    .env = {"PATH=/bin", "EMPTY="},
                    .on_build = {"RUN true"},
                    .layers = {"sha256:0a", "sha256:0b"},
                    .stands_in_for = {"${BASE}"}}};
    return plan;
}

} // namespace

TEST_CASE("every value comes back as it was written") {
    const State state;
    const handoff::Source source{.directory = "/s",
                                 .commit = "c0ffee",
                                 .url = "https://example.org/a.git",
                                 .ref = "refs/heads/main",
                                 .committer_date = "2026-11-22T07:45:03Z",
                                 .committer_time = 1795333503,
                                 .subject = "Größe",
                                 .archive_digest = "sha256:abc",
                                 .author = "Ä <a@example.org>",
                                 .author_date = "2026-11-21T07:45:03Z",
                                 .tree = "beef",
                                 .options = {"--sparse=docs", "--lfs=false"}};
    REQUIRE(handoff::write(state.path, source));
    CHECK(handoff::read_source(state.path) == source);
    REQUIRE(handoff::write(state.path, plan()));
    CHECK(handoff::read_plan(state.path) == plan());
    const handoff::Image image{.layout = "oci",
                               .path = "image",
                               .manifest_digest = "sha256:11",
                               .config_digest = "sha256:22",
                               .platform = "linux/amd64",
                               .size = 5,
                               .layers = 2};
    REQUIRE(handoff::write(state.path, image));
    CHECK(handoff::read_image(state.path) == image);
    const handoff::Pushed pushed{.digest = "sha256:11", .references = {"r/a:1", "r/a:2"}};
    REQUIRE(handoff::write(state.path, pushed));
    CHECK(handoff::read_pushed(state.path) == pushed);
}

TEST_CASE("a missing value names the step to run") {
    const State state;
    const auto result = handoff::read_plan(state.path);
    REQUIRE_FALSE(result);
    CHECK(result.error().klass == ErrorClass::usage);
    CHECK(result.error().message.contains("plan.json"));
}

TEST_CASE("a damaged value is refused with the member's name, never used half") {
    const State state;
    const auto refuse = [&](const std::string& content, const std::string& what) {
        CAPTURE(content.substr(0, 80));
        REQUIRE(write_file_atomic(state.path / "image.json", content));
        const auto result = handoff::read_image(state.path);
        REQUIRE_FALSE(result);
        CHECK(result.error().klass == ErrorClass::usage);
        CAPTURE(result.error().message);
        CHECK(result.error().message.contains(what));
    };
    refuse("", "not a JSON object");
    refuse("[1]", "not a JSON object");
    refuse("{\"slipway-handoff\": 2}", "version is 2");
    refuse("{\"layout\":\"oci\"}", "no \"slipway-handoff\"");
    refuse(R"({"slipway-handoff":1,"layout":7})", "image.layout is not a string");
    refuse(R"({"slipway-handoff":1,"layout":"oci","path":"image","manifest-digest":"x","config-digest":"",)"
           R"("platform":"","size":-1,"layers":1})",
           "image.size");
    refuse(R"({"slipway-handoff":1,"layout":"ext4","path":"image","manifest-digest":"x","config-digest":"",)"
           R"("platform":"","size":1,"layers":1})",
           "neither oci nor dir");
    refuse(std::string(40U << 20U, ' '), "larger");
    refuse(std::string(100'000, '['), "not a JSON object");
}

TEST_CASE("a link or a pipe in place of a value is not followed and does not block") {
    const State state;
    fs::create_symlink("/etc/passwd", state.path / "image.json");
    CHECK_FALSE(handoff::read_image(state.path));
    fs::remove(state.path / "image.json");
    REQUIRE(::mkfifo((state.path / "image.json").c_str(), 0600) == 0);
    CHECK_FALSE(handoff::read_image(state.path));
}

TEST_CASE("forgetting removes a step's value and all later ones") {
    const State state;
    REQUIRE(handoff::write(state.path, handoff::Source{}));
    REQUIRE(handoff::write(state.path, plan()));
    REQUIRE(handoff::write(state.path, handoff::Pushed{}));
    REQUIRE(handoff::forget_from(state.path, "plan"));
    CHECK(fs::exists(state.path / "source.json"));
    CHECK_FALSE(fs::exists(state.path / "plan.json"));
    CHECK_FALSE(fs::exists(state.path / "pushed.json"));
}
