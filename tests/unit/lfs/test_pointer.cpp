#include "lfs/pointer.hpp"

#include <catch2/catch_test_macros.hpp>
#include <format>

using namespace slipway::lfs;

namespace {

const std::string oid(64, 'a');

std::string pointer(std::string_view middle = {}, std::string_view size = "12345") {
    return std::format("version https://git-lfs.github.com/spec/v1\n{}oid sha256:{}\nsize {}\n", middle, oid,
                       size);
}

} // namespace

TEST_CASE("a pointer says which object and how large") {
    const auto found = parse_pointer(pointer());
    REQUIRE(found);
    CHECK(found->oid == oid);
    CHECK(found->size == 12345);
    CHECK(found->extensions.empty());
    CHECK(parse_pointer(pointer({}, "9223372036854775807"))->size == 9'223'372'036'854'775'807U);
}

TEST_CASE("older versions, blank lines and Windows line ends are read as git-lfs reads them") {
    for (const char* version : {"https://hawser.github.com/spec/v1", "http://git-media.io/v/2"}) {
        CHECK(parse_pointer(std::format("version {}\noid sha256:{}\nsize 1", version, oid)));
    }
    CHECK(parse_pointer(
        std::format("version https://git-lfs.github.com/spec/v1\r\noid sha256:{}\r\n\r\nsize 1\r\n", oid)));
}

TEST_CASE("extensions are named") {
    const auto found =
        parse_pointer(pointer(std::format("ext-0-foo sha256:{0}\next-1-bar sha256:{0}\n", oid)));
    REQUIRE(found);
    CHECK(found->extensions == std::vector<std::string>{"foo", "bar"});
}

TEST_CASE("what is no pointer is none") {
    const std::string upper(64, 'A');
    for (const std::string& text :
         {std::string(), std::string("\n"), std::string("version https://git-lfs.github.com/spec/v1\n"),
          "oid sha256:" + oid + "\nsize 1\n",
          "version https://example.com/v1\noid sha256:" + oid + "\nsize 1\n",
          "version https://git-lfs.github.com/spec/v1\nsize 1\noid sha256:" + oid + "\n",
          "version https://git-lfs.github.com/spec/v1\noid sha256:" + upper + "\nsize 1\n",
          "version https://git-lfs.github.com/spec/v1\noid sha1:" + oid + "\nsize 1\n", pointer({}, "-1"),
          pointer({}, "1x"), pointer({}, ""), pointer({}, "9223372036854775808"), pointer() + "more 1\n",
          pointer("other 1\n"), pointer("ext-0-foo md5:1\n"), pointer() + std::string(1024, '\n'),
          std::string(1023, '\0')}) {
        INFO(text);
        CHECK_FALSE(parse_pointer(text));
    }
}
