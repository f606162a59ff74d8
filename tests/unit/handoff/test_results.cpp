#include "base/file.hpp"
#include "handoff/results.hpp"

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace slipway;
using handoff::NamedResult;

namespace {

std::string encoded(const std::vector<NamedResult>& results) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const NamedResult& result : results) {
        list.push_back({{"key", result.name}, {"value", result.value}, {"type", 4}});
    }
    return list.dump();
}

} // namespace

TEST_CASE("the budget counts what the entrypoint will really write") {
    std::vector<NamedResult> results{{.name = "error-message", .value = std::string(5000, '"')},
                                     {.name = "commit", .value = std::string(40, 'a')}};
    CHECK(handoff::fit_budget(results, 1800) == std::vector<std::string>{"error-message"});
    CHECK(encoded(results).size() <= 1800);
    CHECK(encoded(results).size() > 1700);
    CHECK(results[1].value.size() == 40);
}

TEST_CASE("lists lose whole entries, in the order error-message, BASE_IMAGES_DIGESTS, IMAGES") {
    std::string bases;
    std::string images;
    for (int i = 0; i < 20; ++i) {
        bases += (bases.empty() ? "" : "\n") + std::string("docker.io/library/base@sha256:") +
                 std::string(64, 'b');
        images +=
            (images.empty() ? "" : ",") + std::string("quay.io/team/app@sha256:") + std::string(64, 'c');
    }
    std::vector<NamedResult> results{{.name = "IMAGES", .value = images},
                                     {.name = "BASE_IMAGES_DIGESTS", .value = bases},
                                     {.name = "IMAGE_DIGEST", .value = "sha256:" + std::string(64, 'c')}};
    CHECK(handoff::fit_budget(results, 1800) == std::vector<std::string>{"BASE_IMAGES_DIGESTS", "IMAGES"});
    CHECK(results[1].value.empty());
    CHECK(results[0].value.ends_with(std::string(64, 'c')));
    CHECK(encoded(results).size() <= 1800);
}

TEST_CASE("text is cut at the end of a code point") {
    std::vector<NamedResult> results{{.name = "error-message", .value = ""}};
    for (int i = 0; i < 100; ++i) {
        results[0].value += "\xf0\x9f\x9a\xa2";
    }
    handoff::fit_budget(results, 100);
    CHECK(results[0].value.size() % 4 == 0);
    CHECK_FALSE(results[0].value.empty());
}

TEST_CASE("results are written without a newline, only where a path was given") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    REQUIRE(handoff::write_results({{"commit", dir->path() / "commit"}, {"other", dir->path() / "other"}},
                                   {{.name = "commit", .value = "abc"}, {.name = "url", .value = "u"}}));
    CHECK(read_file(dir->path() / "commit") == "abc");
    CHECK_FALSE(std::filesystem::exists(dir->path() / "other"));
    CHECK_FALSE(std::filesystem::exists(dir->path() / "url"));
}
