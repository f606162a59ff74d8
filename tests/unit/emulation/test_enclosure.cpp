#include "emulation/enclosure.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::emulation;

TEST_CASE("the internal call says everything about an enclosure, and reads it back") {
    const Enclosure enclosure{.map_by = MapBy::programs,
                              .uid_map = {{0, 1000, 1}, {1, 1, 999}, {1000, 1001, 64535}},
                              .gid_map = {{0, 4294967294, 1}},
                              .deny_setgroups = true,
                              .furniture = "/build/a b, c=d",
                              .pretend = true,
                              .pid_namespace = true,
                              .keep_signals = true};
    auto words = prefix(enclosure);
    REQUIRE(words.size() > 3);
    CHECK(words[0] == "/proc/self/exe");
    CHECK(words[1] == enclosure_word);
    words.insert(words.end(), {"buildah", "--", "build"});
    std::vector<std::string> rest;
    const auto read = parse_prefix(std::span(words).subspan(2), rest);
    REQUIRE(read);
    CHECK(rest == std::vector<std::string>{"buildah", "--", "build"});
    CHECK(read->map_by == enclosure.map_by);
    CHECK(read->uid_map == enclosure.uid_map);
    CHECK(read->gid_map == enclosure.gid_map);
    CHECK(read->deny_setgroups);
    CHECK(read->furniture == enclosure.furniture);
    CHECK(read->pretend);
    CHECK(read->pid_namespace);
    CHECK(read->keep_signals);
}

TEST_CASE("an internal call nobody made is refused") {
    const std::vector<std::vector<std::string>> calls{
        {},
        {"--"},
        {"--", "true"},
        {"furniture=relative", "--", "true"},
        {"furniture=/x", "true"},
        {"furniture=/x", "--"},
        {"furniture=/x", "surprise", "--", "true"},
        {"furniture=/x", "helper", "uids=0:1", "--", "true"},
        {"furniture=/x", "helper", "uids=a:b:c,", "--", "true"},
        {"furniture=/x", "helper", "uids=0:1:99999999999999999999,", "--", "true"}};
    for (const auto& call : calls) {
        std::vector<std::string> rest;
        CHECK_FALSE(parse_prefix(call, rest));
    }
}
