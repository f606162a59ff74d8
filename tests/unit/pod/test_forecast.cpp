// What a build will need of its volume, before anything is pulled.
#include "pod/forecast.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::pod;

namespace {

constexpr std::uint64_t mebibyte = 1U << 20U;

Recipe recipe(std::string driver, double factor) {
    Recipe made;
    made.storage = driver;
    made.driver = std::move(driver);
    made.disk_factor = factor;
    return made;
}

FileSystem volume(std::uint64_t free, std::string type = "ext4") {
    return {.path = "/work",
            .type = std::move(type),
            .exists = true,
            .writable = true,
            .free_bytes = free,
            .total_bytes = free,
            .free_inodes = 100'000,
            .total_inodes = 100'000};
}

} // namespace

TEST_CASE("vfs takes a copy for every layer, overlay takes one of each") {
    const Forecast overlay = forecast(recipe("overlay", 1.2), {{100 * mebibyte, 9}}, 0);
    CHECK(overlay.bytes / mebibyte == 412); // 100 x 2.6 x 1.2, and the download
    const Forecast vfs = forecast(recipe("vfs", 4.0), {{100 * mebibyte, 9}}, 0);
    CHECK(vfs.bytes / mebibyte == 1920); // 100 x 2.6 x (5 + 2), and the download
    CHECK(forecast(recipe("vfs", 4.0), {{100 * mebibyte, 1}}, 0).bytes / mebibyte == 1140);
    CHECK(overlay.least == 100 * mebibyte);
    CHECK(overlay.inodes > 10'000);
}

TEST_CASE("several images add up, but only the largest is certain") {
    const Forecast both =
        forecast(recipe("overlay", 1.0), {{10 * mebibyte, 1}, {30 * mebibyte, 1}}, mebibyte);
    CHECK(both.bytes / mebibyte == 135); // 40 x 2.6, the larger download, the context
    CHECK(both.least == 30 * mebibyte);
    CHECK(forecast(recipe("overlay", 1.0), {}, 0).bytes == 0);
}

TEST_CASE("sizes nobody can have do not overflow") {
    const auto most = static_cast<std::uint64_t>(-1);
    const Forecast absurd = forecast(recipe("vfs", 4.0), {{most, 1000}, {most, 1000}}, most);
    CHECK(absurd.bytes > absurd.least);
}

TEST_CASE("little space is warned of, none at all refused") {
    const Recipe overlay = recipe("overlay", 1.2);
    const Forecast need = forecast(overlay, {{100 * mebibyte, 3}}, 0);
    CHECK(compare(need, volume(500 * mebibyte), overlay).value().empty());
    const auto little = compare(need, volume(300 * mebibyte), overlay).value();
    REQUIRE(little.size() == 1);
    CHECK(little[0].code == "littlespace");
    const auto none = compare(need, volume(99 * mebibyte), overlay);
    REQUIRE_FALSE(none);
    CHECK(none.error().klass == ErrorClass::resource);
    CHECK(none.error().code == code::out_of_disk);
    CHECK(none.error().hint.contains("412 MiB"));
    // What compresses by itself may hold more than it seems.
    CHECK(compare(need, volume(99 * mebibyte, "btrfs"), overlay));
    CHECK(compare(need, FileSystem{}, overlay).value().empty());
}

TEST_CASE("few inodes are warned of, and a file system without such a limit is not") {
    const Recipe overlay = recipe("overlay", 1.2);
    const Forecast need = forecast(overlay, {{5000 * mebibyte, 3}}, 0);
    FileSystem large = volume(1ULL << 40U);
    const auto few = compare(need, large, overlay).value();
    REQUIRE(few.size() == 1);
    CHECK(few[0].code == "fewinodes");
    large.free_inodes = large.total_inodes = 0;
    CHECK(compare(need, large, overlay).value().empty());
}
