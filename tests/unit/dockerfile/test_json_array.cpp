#include "dockerfile/json_array.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway::dockerfile;
using Kind = JsonArray::Kind;

TEST_CASE("An array of strings is read with its escapes") {
    const JsonArray array = read_json_array(R"(  [ "a b" ,"\u00e9\ud83d\ude00\n\\\/", "" ] rest)");
    REQUIRE(array.kind == Kind::strings);
    REQUIRE(array.strings == std::vector<std::string>{"a b", "\xC3\xA9\xF0\x9F\x98\x80\n\\/", ""});
}

TEST_CASE("A lone surrogate becomes the replacement character") {
    REQUIRE(read_json_array(R"(["\ud800x"])").strings.at(0) == "\xEF\xBF\xBDx");
    REQUIRE(read_json_array(R"(["\ud800\u0041"])").strings.at(0) == "\xEF\xBF\xBD"
                                                                    "A");
}

TEST_CASE("An array with other values is told from text that is no JSON") {
    REQUIRE(read_json_array(R"(["a", 1])").kind == Kind::not_strings);
    REQUIRE(read_json_array(R"([-1.5e+3, true, null, {"a": [1, {}]}])").kind == Kind::not_strings);
    REQUIRE(read_json_array("[]").kind == Kind::strings);
    for (const char* text : {"", "[", "[ -f x ] && y", "['a']", R"(["a",])", R"(["a" "b"])", R"(["a)", "[01]",
                             "[1.]", R"(["\x"])", R"(["\u12"])", "[\"a\tb\"]", "[{1:2}]", "{}", "x"}) {
        CAPTURE(text);
        REQUIRE(read_json_array(text).kind == Kind::none);
    }
}

TEST_CASE("Deep nesting ends without exhausting the stack") {
    REQUIRE(read_json_array(std::string(1'000'000, '[')).kind == Kind::none);
}
