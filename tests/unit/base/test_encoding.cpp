#include "base/encoding.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;

TEST_CASE("base64 as RFC 4648 gives it, both alphabets read") {
    CHECK(base64_encode("") == "");
    CHECK(base64_encode("f") == "Zg==");
    CHECK(base64_encode("fo") == "Zm8=");
    CHECK(base64_encode("foobar") == "Zm9vYmFy");
    CHECK(base64_decode("Zm9vYg==") == "foob");
    CHECK(base64_decode("Zm9vYg") == "foob");
    CHECK(base64_decode("-_-_") == base64_decode("+/+/"));
    CHECK_FALSE(base64_decode("Zg=a"));
    CHECK_FALSE(base64_decode("Z"));
    CHECK_FALSE(base64_decode("Zm 9"));
}

TEST_CASE("percent-encoding goes there and back") {
    CHECK(percent_encode("a/b c~") == "a%2Fb%20c~");
    CHECK(percent_decode("a%2Fb%20c~%4") == "a/b c~%4");
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD, one for each maximal subpart") {
    CHECK(to_valid_utf8("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    CHECK(to_valid_utf8("a\xff"
                        "b") == "a\xef\xbf\xbd"
                                "b");
    CHECK(to_valid_utf8("\xe2\x82") == "\xef\xbf\xbd");                             // cut short: one
    CHECK(to_valid_utf8("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); // surrogate: three
    CHECK(to_valid_utf8("\xf0\x9f\x9a\xa2") == "\xf0\x9f\x9a\xa2");
}

TEST_CASE("text from outside becomes one harmless line") {
    CHECK(one_line("plain text") == "plain text");
    CHECK(one_line(" two\r\nlines\t ") == "two  lines");
    CHECK(one_line("\x1b[31mred\x7f") == "[31mred");
    CHECK(one_line("a\xc2\x9b"
                   "31mb\xc2\xa0") == "a 31mb\xc2\xa0");
    CHECK(one_line("\xff"
                   "a\xc2") == "\xef\xbf\xbd"
                               "a\xef\xbf\xbd");
    CHECK(one_line("äöü", 3) == "ä…");
    CHECK(one_line("äöü", 6) == "äöü");
    CHECK(one_line("").empty());
    CHECK(one_line("\n\n").empty());
}
