#include "base/retry.hpp"

#include <catch2/catch_test_macros.hpp>
#include <csignal>

using namespace slipway;
using namespace std::chrono_literals;

namespace {
Error transient() {
    Error error = make_error(ErrorClass::network, code::network, "refused");
    error.transient = true;
    return error;
}
const RetryPolicy quick{.retries = 2, .first_delay = 1ms, .longest_delay = 2ms};
} // namespace

TEST_CASE("what is transient is tried again, and only so often") {
    int calls = 0;
    const auto result =
        with_retries<int>(quick, {}, {}, [&]() -> Result<int> { return ++calls, fail(transient()); });
    CHECK_FALSE(result);
    CHECK(calls == 3);
}

TEST_CASE("what is final is not tried again") {
    int calls = 0;
    const auto result = with_retries<int>(quick, {}, {}, [&]() -> Result<int> {
        ++calls;
        return fail(ErrorClass::auth, code::git_auth, "denied");
    });
    CHECK_FALSE(result);
    CHECK(calls == 1);
}

TEST_CASE("a stop ends the waiting") {
    StopSource source;
    source.request({.kind = StopReason::Kind::signal, .signal = SIGTERM});
    const auto result =
        with_retries<int>({.retries = 5, .first_delay = 1h, .longest_delay = 1h}, source.token(), {},
                          []() -> Result<int> { return fail(transient()); });
    REQUIRE_FALSE(result);
    CHECK(result.error().klass == ErrorClass::cancelled);
    CHECK(result.error().message == "stopped by SIGTERM");
}

TEST_CASE("back-off doubles up to its limit, with jitter, and honours Retry-After") {
    const RetryPolicy policy{.retries = 9, .first_delay = 1s, .longest_delay = 10s};
    CHECK(retry_delay(policy, 2, transient(), 0.0) == 500ms);
    CHECK(retry_delay(policy, 3, transient(), 0.0) == 1s);
    CHECK(retry_delay(policy, 9, transient(), 0.999999) <= 10s);
    Error asked = transient();
    asked.retry_after = 7s;
    CHECK(retry_delay(policy, 2, asked, 0.0) == 7s);
    asked.retry_after = 3600s;
    CHECK(retry_delay(policy, 2, asked, 0.0) == 10s);
}

TEST_CASE("Retry-After is seconds or a date, from nothing to an hour") {
    const std::chrono::system_clock::time_point now{784'111'767s}; // ten seconds before the date below
    CHECK(parse_retry_after(" 120 ", now) == 120s);
    CHECK(parse_retry_after("0", now) == 0s);
    CHECK(parse_retry_after("-5", now) == 0s);
    CHECK(parse_retry_after("-99999999999999999999", now) == 0s);
    CHECK(parse_retry_after("99999999999999999999", now) == 3600s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now) == 10s);
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 1h) == 0s);
    CHECK_FALSE(parse_retry_after("", now));
    CHECK_FALSE(parse_retry_after("soon", now));
    CHECK_FALSE(parse_retry_after("12 monkeys", now));
}
