// Every kind as it stands on the wire. A change here is a change of the contract: docs/frames.md and
// docs/frames.schema.json go with it. SLIPWAY_UPDATE_GOLDEN=1 writes the file anew.
#include "frames/encode.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace slipway;
using namespace slipway::frames;
using namespace std::chrono_literals;

namespace {

const std::string golden = std::string(SLIPWAY_TEST_DIR) + "/frames/golden/kinds.jsonl";

std::vector<Payload> all_kinds() {
    const std::string digest = "sha256:" + std::string(64, 'a');
    return {
        Hello{
            .version = "0.1.0",
            .build_id = "3f1c",
            .attempt = 2,
            .does = "builds app with 9 instructions",
            .recipe = Recipe{.name = "C", .isolation = "chroot", .reason = "no subordinate ids"},
            .storage = Storage{.driver = "overlay", .path = "/slipway/storage"},
            .limits =
                {.timeout = 1h, .grace = 5s, .heartbeat = 10s, .log_budget = 6291456, .memory = 4294967296}},
        Hello{.version = "0.1.0", .build_id = "3f1c", .does = "pushes the image"},
        Phase{.name = PhaseName::pulling,
              .pull = Pull{.registry = "quay.io",
                           .image = "library/debian",
                           .tag = "trixie",
                           .digest = digest,
                           .username = "robot"}},
        Phase{.name = PhaseName::building},
        Command{.n = 3, .of = 9, .stage = "app", .line = 12, .text = "RUN make -j2"},
        Command{.n = 3,
                .of = 9,
                .stage = "app",
                .line = 12,
                .text = "RUN make -j2",
                .state = CommandState::failed,
                .duration = 1234ms,
                .trust = Trust::text},
        Command{.n = 1, .of = 9, .text = "FROM debian", .state = CommandState::cached},
        Log{.stream = Lane::err, .n = 3, .text = "\x1b[31mwarning:\x1b[0m \"unused\" \xe2\x82\xac"},
        Log{.text = "the beginning", .more = true, .dropped = 8192},
        Log{.text = "near the end", .tail = true},
        Progress{.what = "pull", .id = "sha256:aaaa", .current = 512, .total = 1024},
        Progress{.what = "fetch", .current = 7, .unit = Unit::objects},
        Heartbeat{.elapsed = 20s,
                  .memory = 104857600,
                  .memory_limit = 4294967296,
                  .storage_free = 1073741824,
                  .inodes_free = 65000},
        Warning{.code = "healthcheck",
                .message = "OCI images cannot hold HEALTHCHECK",
                .hint = "use --format docker"},
        Warning{.code = "lint",
                .message = "as has another case than its FROM",
                .hint = "write AS",
                .rule = "FromAsCasing",
                .where = Where{.file = "Dockerfile", .line = 1, .column = 8, .quote = "FROM a as x"}},
        Image{.id = digest,
              .digest = digest,
              .config_digest = digest,
              .media_type = "application/vnd.oci.image.manifest.v1+json",
              .platform = "linux/amd64",
              .size = 31457280,
              .layers = 2,
              .base_images = {BaseImage{.name = "docker.io/library/debian:trixie", .digest = digest}}},
        Layer{.digest = digest,
              .size = 1048576,
              .media_type = "application/vnd.oci.image.layer.v1.tar+gzip",
              .from = LayerOrigin::base},
        ResultFrame{.name = "IMAGE_DIGEST", .value = digest},
        Timing{.what = "RUN make -j2",
               .start = std::chrono::sys_days{std::chrono::year{2026} / 11 / 22} + 7h,
               .duration = 1234ms,
               .cpu = 2300ms,
               .peak_memory = 52428800,
               .bytes = 4096},
        ErrorFrame::from(
            Error{.code = "builderror",
                  .klass = ErrorClass::build,
                  .message = "RUN make -j2 failed with status 2",
                  .cause = "make: *** No rule to make target 'all'.",
                  .hint = "add the target or fix the name",
                  .where = Where{.file = "Dockerfile", .line = 12, .column = 1, .quote = "RUN make -j2"},
                  .child_exit = 2,
                  .retry_after = {}}),
        Reproduce{.command = "podman run --rm localhost/slipway:0.1.0 run --skip --build-arg='A=1 ",
                  .more = true},
        Reproduce{.command = "2'"},
        ErrorFrame{.code = "outofmemory",
                   .klass = ErrorClass::resource,
                   .message = "out of memory while running: RUN make -j64",
                   .cause = {},
                   .hint = {},
                   .where = {},
                   .exit = 15,
                   .child_exit = {},
                   .output = {"cc -c a.c", "c++: fatal error: \"Killed\""},
                   .duration = 1234ms,
                   .peak_memory = 268435456},
        ErrorFrame::from(make_error(ErrorClass::cancelled, "cancelled", "the build was cancelled")),
        End{.status = EndStatus::succeeded,
            .frames = 22,
            .redactions = 3,
            .archive = "/logs/3f1c-2-build.frames.zst"},
        End{.status = EndStatus::cancelled, .exit = 143, .frames = 23, .dropped = 1024},
    };
}

std::string encoded() {
    std::string out;
    std::string line;
    std::uint64_t seq = 0;
    for (const Payload& payload : all_kinds()) {
        encode_into(line, ++seq, "2026-11-22T07:45:03.118Z", "build", payload);
        out += line;
    }
    return out;
}

} // namespace

TEST_CASE("every kind looks on the wire as it is written down") {
    std::set<std::size_t> kinds;
    for (const Payload& payload : all_kinds()) {
        kinds.insert(payload.index());
    }
    CHECK(kinds.size() == std::variant_size_v<Payload>);
    if (std::getenv("SLIPWAY_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(golden) << encoded();
    }
    std::ostringstream expected;
    expected << std::ifstream(golden).rdbuf();
    CHECK(encoded() == expected.str());
}
