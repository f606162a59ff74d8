#include "registry/documents.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::registry;

namespace {
const std::string digest = "sha256:" + std::string(64, 'a');
std::string descriptor(const std::string& size = "1") {
    return R"({"digest": ")" + digest + R"(", "mediaType": "m", "size": )" + size + "}";
}
} // namespace

TEST_CASE("manifests and indexes are told apart, ambiguity is refused") {
    const auto manifest = parse_document(R"({"schemaVersion": 2, "config": )" + descriptor() +
                                             R"(, "layers": [)" + descriptor("7") + "]}",
                                         "application/vnd.oci.image.manifest.v1+json; charset=utf-8");
    REQUIRE(manifest);
    CHECK_FALSE(manifest->is_index);
    CHECK(manifest->media_type == media::oci_manifest);
    CHECK(manifest->layers.at(0).size == 7);
    const auto index = parse_document(R"({"manifests": [)" + descriptor() + "]}", "application/json");
    REQUIRE(index);
    CHECK(index->is_index);
    CHECK(index->media_type == media::oci_index);
    // Readable as both: the same bytes under one digest would mean two images.
    CHECK_FALSE(parse_document(R"({"manifests": [], "config": )" + descriptor() + R"(, "layers": []})", ""));
    CHECK_FALSE(parse_document(R"({"manifests": []})", media::oci_manifest));
    CHECK_FALSE(parse_document(R"({"config": )" + descriptor() + R"(, "layers": []})", media::oci_index));
}

TEST_CASE("hostile documents are errors, not crashes") {
    const std::string huge = "18446744073709551615";
    const std::string half = "9000000000000000000";
    for (const std::string& bad :
         {std::string(), std::string("null"), std::string("[]"), std::string("{}"),
          std::string("{\"layers\": 1, \"config\": 2}"),
          std::string(R"({"schemaVersion": 1, "fsLayers": []})"),
          "{\"manifests\": [" + descriptor("-1") + "]}", "{\"manifests\": [" + descriptor(huge) + "]}",
          "{\"manifests\": [" + descriptor("1.5") + "]}", "{\"manifests\": [" + descriptor("\"1\"") + "]}",
          std::string(R"({"manifests": [{"digest": "sha256:../x", "size": 1}]})"),
          "{\"manifests\": [" + descriptor(half) + "," + descriptor(half) + "," + descriptor(half) + "]}",
          std::string("{\"manifests\": {}}"), std::string(2'000'000, '['),
          std::string("{\"manifests\": [\"\xff\"]}")}) {
        INFO(bad.substr(0, 100));
        CHECK_FALSE(parse_document(bad, ""));
    }
    ResolvedImage image;
    CHECK_FALSE(parse_config("[", image));
    CHECK(parse_config(
        R"({"os": 1, "config": {"Env": [1, "=x", "A=b=c", "plain"], "OnBuild": {"a": 1}, "Labels": [],
                          "Healthcheck": {"Test": ["NONE"]}, "User": null}})",
        image));
    CHECK(image.env == std::vector<std::pair<std::string, std::string>>{{"A", "b=c"}});
    CHECK(image.on_build.empty());
    CHECK_FALSE(image.has_healthcheck);
}

TEST_CASE("tokens are bounded and printable") {
    CHECK(parse_token(R"({"token": "abc", "expires_in": 300})")->lifetime == std::chrono::seconds(300));
    CHECK(parse_token(R"({"access_token": "abc"})")->value == "abc");
    CHECK(parse_token(R"({"token": "abc", "expires_in": 99999999999999999999})")->value == "abc");
    CHECK(parse_token(R"({"token": "abc", "expires_in": -5})")->lifetime == std::chrono::seconds(60));
    CHECK_FALSE(parse_token("{}"));
    CHECK_FALSE(parse_token(R"({"token": "a\r\nb"})"));
    CHECK_FALSE(parse_token(R"({"token": ")" + std::string(20'000, 'x') + "\"}"));
}

TEST_CASE("what a registry says about an error fits on one line") {
    CHECK(error_words(R"({"errors": [{"code": "DENIED", "message": "no\nway"}]})") == "DENIED: no way");
    CHECK(error_words(R"({"errors": []})").empty());
    CHECK(error_words("<html>...").empty());
    CHECK(error_words("too\tmany") == "too many");
    CHECK(error_words(std::string(5000, 'x')).size() < 320);
    CHECK(error_words("\xff\xfe").size() == 6);
}

TEST_CASE("a list of images is read back as it was written, and is the same each time") {
    const std::vector<ListEntry> entries{
        {.digest = digest,
         .media_type = std::string(media::oci_manifest),
         .size = 7,
         .platform = {.os = "linux", .architecture = "arm64", .variant = "v8"}},
        {.digest = digest,
         .media_type = std::string(media::docker_manifest),
         .size = 8,
         .platform = {.os = "linux", .architecture = "amd64", .variant = ""}}};
    for (const std::string_view type : {media::oci_index, media::docker_list}) {
        const std::string text = write_list(type, entries);
        CHECK(text == write_list(type, entries));
        const auto document = parse_document(text, "");
        REQUIRE(document);
        CHECK(document->is_index);
        CHECK(document->media_type == type);
        REQUIRE(document->manifests.size() == 2);
        CHECK(document->manifests[0].platform == entries[0].platform);
        CHECK(document->manifests[1].platform == entries[1].platform);
        CHECK(document->manifests[1].size == 8);
        CHECK(document->manifests[1].media_type == media::docker_manifest);
    }
    CHECK_FALSE(write_list(media::oci_index, entries).contains(R"("variant":"")"));
}
