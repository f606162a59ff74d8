#include "lfs/batch.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <format>

using namespace slipway;
using namespace slipway::lfs;
using std::chrono::seconds;

namespace {

const Time now{seconds(1'767'225'600)}; // 2026-01-01T00:00:00Z
const std::string one(64, '1');
const std::string two(64, '2');
const std::vector<Object> asked{{.oid = one, .size = 10}, {.oid = two, .size = 20}};

Result<Answer> first_of(std::string_view object) {
    auto answers = parse_batch(std::format(R"({{"objects":[{}]}})", object), {asked.front()}, now);
    if (!answers) {
        return fail(answers.error());
    }
    return answers->front();
}

std::string with_action(std::string_view action) {
    return std::format(R"({{"oid":"{}","size":10,"actions":{{"download":{}}}}})", one, action);
}

} // namespace

TEST_CASE("a request names what is wanted") {
    CHECK(
        batch_request({asked.front()}, "refs/heads/main") ==
        R"({"hash_algo":"sha256","objects":[{"oid":")" + one +
            R"(","size":10}],"operation":"download","ref":{"name":"refs/heads/main"},"transfers":["basic"]})");
    CHECK_FALSE(batch_request(asked, "").contains("ref"));
    CHECK_FALSE(batch_request(asked, "refs/heads/\xff").empty());
}

TEST_CASE("answers come in the order of the questions, whatever the server's") {
    const auto answers = parse_batch(
        std::format(
            R"({{"transfer":"basic","objects":[{{"oid":"{}","error":{{"code":404,"message":"gone\nfor good"}}}},
            {{"oid":"never asked"}},7,{{"oid":"{}","actions":{{"download":{{"href":"https://h/x"}}}}}}]}})",
            two, one),
        asked, now);
    REQUIRE(answers);
    REQUIRE(answers->size() == 2);
    CHECK(answers->at(0).download->href == "https://h/x");
    CHECK(answers->at(1).error == 404);
    CHECK(answers->at(1).message == "gone for good");
}

TEST_CASE("an object the server does not mention has neither action nor error") {
    const auto answers = parse_batch(R"({"objects":[]})", asked, now);
    REQUIRE(answers);
    CHECK_FALSE(answers->at(0).download);
    CHECK(answers->at(0).error == 0);
}

TEST_CASE("an action expires when it says so, in either way of saying it") {
    const auto expiry = [](std::string_view members) {
        return first_of(with_action(std::format(R"({{"href":"https://h/x"{}}})", members)))
            .value()
            .download->expires;
    };
    CHECK(expiry(R"(,"expires_in":60)") == now + seconds(60));
    CHECK(expiry(R"(,"expires_in":60,"expires_at":"2030-01-01T00:00:00Z")") == now + seconds(60));
    CHECK(expiry(R"(,"expires_at":"2026-01-01T00:01:00Z")") == now + seconds(60));
    CHECK(expiry(R"(,"expires_at":"2026-01-01T02:01:00.5+02:00")") ==
          now + std::chrono::milliseconds(60'500));
    CHECK(expiry(R"(,"expires_in":0,"expires_at":"0001-01-01T00:00:00Z")") == std::nullopt);
    CHECK(expiry(R"(,"expires_at":"tomorrow")") == std::nullopt);
    CHECK(expiry(R"(,"expires_in":9223372036854775807)").has_value());
    const Action action{.href = {}, .headers = {}, .expires = now + seconds(60)};
    CHECK_FALSE(action.expired(now + seconds(54)));
    CHECK(action.expired(now + seconds(55)));
}

TEST_CASE("headers of the exchange itself are not the server's to set") {
    const auto answer = first_of(with_action(
        R"({"href":"https://h/x","header":{"Authorization":"Bearer abcdef","HOST":"other","Content-Length":"1","range":"bytes=0-"}})"));
    REQUIRE(answer);
    CHECK(answer->download->headers ==
          std::vector<std::pair<std::string, std::string>>{{"Authorization", "Bearer abcdef"}});
}

TEST_CASE("header values and what stands in a query are secrets") {
    const Action action{.href = "https://h/x?sig=0123456789abcdef%2B&t=1&flag",
                        .headers = {{"Authorization", "Bearer abcdef"}},
                        .expires = {}};
    const auto secrets = action.secrets();
    for (const char* secret : {"Bearer abcdef", "abcdef", "0123456789abcdef+"}) {
        CHECK(std::ranges::contains(secrets, secret));
    }
    CHECK(secrets.size() == 3);
}

TEST_CASE("what is not understood is an error, never a crash") {
    for (const std::string& body :
         {std::string("<html>"), std::string(), std::string("[]"), std::string(R"({"objects":{}})"),
          std::string(R"({"transfer":"multipart","objects":[]})"),
          std::string(R"({"hash_algo":"sha512","objects":[]})"), std::string(100'000, '['),
          std::format(R"({{"objects":[{}]}})", with_action(R"({"header":{"a":1}})")),
          std::format(R"({{"objects":[{}]}})",
                      with_action(std::format(R"({{"header":{{"a":"{}"}}}})", std::string(20'000, 'x'))))}) {
        const auto answers = parse_batch(body, asked, now);
        REQUIRE_FALSE(answers);
        CHECK(answers.error().klass == ErrorClass::build);
    }
    CHECK(first_of(std::format(R"({{"oid":"{}","error":{{"code":"x"}}}})", one)).value().error == 500);
    CHECK_FALSE(parse_authentication("git-lfs-authenticate: what?", now));
    CHECK(parse_authentication(R"({"href":"https://h/l","header":{}})", now).value().href == "https://h/l");
    CHECK(error_message(R"({"message":"no\u0000\u001b[1m"})") == "no  [1m");
    CHECK(error_message("<html>secret</html>").empty());
}
