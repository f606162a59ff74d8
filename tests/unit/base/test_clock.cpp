#include "base/clock.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace std::chrono_literals;

TEST_CASE("durations are read as people write them") {
    CHECK(parse_duration("10s") == 10s);
    CHECK(parse_duration("1h30m") == 90min);
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("0") == 0ms);
    CHECK(parse_duration("90") == 90s);
}

TEST_CASE("what is not a duration is class usage") {
    for (const char* text : {"", "s", "10x", "-1s", "1h30", "99999999999999999999s", "400d", "1 s", "1s "}) {
        CAPTURE(text);
        const auto result = parse_duration(text);
        REQUIRE_FALSE(result);
        CHECK(result.error().klass == ErrorClass::usage);
    }
}

TEST_CASE("durations are written so that they can be read back") {
    CHECK(format_duration(90min) == "1h30m");
    CHECK(format_duration(0ms) == "0s");
    CHECK(format_duration(1500ms) == "1s500ms");
    CHECK(humane_duration(400ms) == "0.4s");
    CHECK(humane_duration(185s) == "3m05s");
    CHECK(humane_bytes(1536) == "1.5 KiB");
    CHECK(humane_bytes(54ULL << 20U) == "54 MiB");
    CHECK(humane_bytes((1ULL << 20U) - 1) == "1.0 MiB");
}

TEST_CASE("time is UTC with milliseconds") {
    CHECK(format_utc(std::chrono::sys_days{2026y / 11 / 22} + 7h + 45min + 3s + 118ms) ==
          "2026-11-22T07:45:03.118Z");
}
