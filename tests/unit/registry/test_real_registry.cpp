// Against a registry that runs outside, when SLIPWAY_TEST_REGISTRY names one (host:port). Tag [.real]: not
// run by default; tests/integration starts the registry. Also read: SLIPWAY_TEST_AUTH (auth file),
// SLIPWAY_TEST_CA (CA file; TLS is verified when it is set), SLIPWAY_TEST_LAYOUT and SLIPWAY_TEST_DIGEST (an
// image layout made by buildah; a small one is made up otherwise).
#include "image.hpp"
#include "registry/client.hpp"
#include "registry/push.hpp"
#include "registry/resolve.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <iostream>

using namespace slipway;
using namespace slipway::registry;
using namespace slipway::registry::test;

namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

struct Outside {
    std::string host = from_environment("SLIPWAY_TEST_REGISTRY");
    Options opts = options();

    Outside() {
        if (const std::string ca = from_environment("SLIPWAY_TEST_CA"); !ca.empty()) {
            auto http = std::make_shared<http::Options>(*opts.http);
            http->ca_file = ca;
            opts.http = http;
            opts.tls_verify = true;
        }
        if (const std::string auth = from_environment("SLIPWAY_TEST_AUTH"); !auth.empty()) {
            opts.auth = *AuthFile::load(auth);
        }
    }
};

} // namespace

TEST_CASE("a real registry takes what is pushed and gives it back", "[.real]") {
    Outside it;
    if (it.host.empty()) {
        SKIP("SLIPWAY_TEST_REGISTRY is not set");
    }
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    std::filesystem::path layout = from_environment("SLIPWAY_TEST_LAYOUT");
    std::string digest = from_environment("SLIPWAY_TEST_DIGEST");
    if (layout.empty()) {
        layout = dir->path() / "image";
        const Image image({"layer one", std::string(9'000'000, 'z'), "layer three", ""});
        write_oci(layout, image);
        digest = image.digest;
    }
    const auto fd = open_directory(layout);
    REQUIRE(fd);
    PushRequest request;
    request.layout = fd->get();
    request.expected_digest = digest;
    request.destination = *parse_reference(it.host + "/ns/app");
    request.tags = {"v1", "latest"};
    std::vector<std::string> states;
    request.on_progress = [&](const PushProgress& progress) {
        if (progress.state != PushProgress::State::uploading) {
            states.emplace_back(progress.id);
        }
    };
    const auto pushed = push_layout(it.opts, request);
    INFO((pushed ? "" : pushed.error().message + " / " + pushed.error().cause + " / " + pushed.error().hint));
    REQUIRE(pushed);
    CHECK(pushed->digest == digest);
    CHECK(pushed->tag_error() == nullptr);
    CHECK(std::ranges::all_of(pushed->tags, [&](const TagResult& tag) { return tag.digest == digest; }));
    CHECK(std::ranges::contains(states, "latest"));
    std::cout << "uploaded " << pushed->blobs_uploaded << " existing " << pushed->blobs_existing << " bytes "
              << pushed->bytes_uploaded << "/" << pushed->bytes_total << '\n';

    const auto again = push_layout(it.opts, request);
    REQUIRE(again);
    CHECK(again->bytes_uploaded == 0);

    request.destination = *parse_reference(it.host + "/other/copy");
    request.mount_from = {"ns/nothing-here", "ns/app"};
    const auto mounted = push_layout(it.opts, request);
    INFO((mounted ? "" : mounted.error().message + " / " + mounted.error().cause));
    REQUIRE(mounted);
    CHECK(mounted->blobs_mounted == pushed->blobs_uploaded + pushed->blobs_existing);

    request.destination = *parse_reference(it.host + "/third/pieces");
    const auto image = resolve_image(it.opts, *parse_reference(it.host + "/ns/app:v1"), "linux/amd64");
    INFO((image ? "" : image.error().message + " / " + image.error().cause));
    REQUIRE(image);
    CHECK(image->manifest_digest == digest);

    const auto session = std::make_shared<Session>(it.opts, *parse_reference(it.host + "/ns/pieces"),
                                                   Endpoint{it.host, "ns/pieces"}, Purpose::push);
    Repository repository(session);
    const std::string bytes(3'000'001, 'k');
    const auto status = repository.upload(
        digest::sha256(bytes), bytes.size(),
        [&](std::uint64_t offset, std::span<char> buffer) -> Result<std::size_t> {
            return bytes.copy(buffer.data(), buffer.size(), offset);
        },
        1'000'000);
    INFO((status ? "" : status.error().message + " / " + status.error().cause));
    CHECK(status);
    CHECK(repository.blob(digest::sha256(bytes), bytes.size()) == bytes);
    CHECK_FALSE(*repository.blob_exists(digest::sha256("none")));
    CHECK(resolve_image(it.opts, *parse_reference(it.host + "/ns/none"), "").error().klass ==
          ErrorClass::build);
}
