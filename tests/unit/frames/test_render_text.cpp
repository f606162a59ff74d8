#include "frames/terminal_text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace slipway::frames;

TEST_CASE("escape sequences go, colour stays where it is wanted") {
    CHECK(harmless("\x1b[31mred\x1b[0m", false) == "red");
    CHECK(harmless("\x1b[31mred", true) == "\x1b[31mred\x1b[0m");
    CHECK(harmless("a\x1b[Kb\x1b[2J\x1b[1;1Hc\x1b(Bd\x1b"
                   "7e",
                   true) == "abcde");
    CHECK(harmless("\x1b]0;title\atext\x1b]8;;http://x\x1b\\link", true) == "textlink");
    CHECK(harmless("\x1bPdcs\x1b\\x\x1b_apc\x1b\\y", true) == "xy");
}

TEST_CASE("a sequence without its end hides nothing") {
    CHECK(harmless("\x1b]0;title", true) == "^[]0;title");
    CHECK(harmless("\x1b[12", true) == "^[[12");
    CHECK(harmless("\x1b", true) == "^[");
    CHECK(harmless("\x1b[31\x01m", true) == "^[[31^Am");
}

TEST_CASE("blinking and hidden text is not let through, operands of colours are not taken for them") {
    CHECK(harmless("\x1b[8mx", true) == "x");
    CHECK(harmless("\x1b[1;8;31mx", true) == "\x1b[1;31mx\x1b[0m");
    CHECK(harmless("\x1b[05mx", true) == "x");
    CHECK(harmless("\x1b[38;5;8mx", true) == "\x1b[38;5;8mx\x1b[0m");
    CHECK(harmless("\x1b[48;2;8;5;6;8mx", true) == "\x1b[48;2;8;5;6mx\x1b[0m");
    CHECK(harmless("\x1b[38;2;1mx", true) == "\x1b[38;2;1mx\x1b[0m");
    CHECK(harmless("\x1b[>4;2mx", true) == "x");
    CHECK(harmless("\x1b[" + std::string(100, '1') + "mx", true) == "x");
}

TEST_CASE("controls become visible and direction overrides are replaced") {
    CHECK(harmless("a\tb", false) == "a       b");
    CHECK(harmless("\a\b\x7f", false) == "^G^H^?");
    CHECK(harmless("a\r\nb", false) == "a  b");
    CHECK(harmless("\u009b2J", false) == "\ufffd2J");
    CHECK(harmless("\u202eabc\u2066", false) == "\ufffdabc\ufffd");
    CHECK(harmless("\xff\xfe", false) == "\ufffd\ufffd");
    CHECK(harmless(std::string_view("a\0b", 3), false) == "a^@b");
    CHECK(harmless("e\u0301\u0301\u0301\u0301\u0301\u0301", false) == "e\u0301\u0301\u0301\u0301");
}

TEST_CASE("columns are counted as a terminal does") {
    CHECK(columns_of("abc") == 3);
    CHECK(columns_of("é") == 1);
    CHECK(columns_of("e\u0301") == 1);
    CHECK(columns_of("漢字") == 4);
    CHECK(columns_of("🚀") == 2);
    CHECK(columns_of("\x1b[31mab\x1b[0m") == 2);
    CHECK(columns_of("✓━▸") == 3);
}

TEST_CASE("text is wrapped at the column, words whole where asked, colour taken up again") {
    using Rows = std::vector<std::string>;
    CHECK(wrap("", 10, false) == Rows{""});
    CHECK(wrap("abcdefghij", 10, false) == Rows{"abcdefghij"});
    CHECK(wrap("abcdefghijk", 10, false) == Rows{"abcdefghij", "k"});
    CHECK(wrap("one two three four", 10, true) == Rows{"one two", "three four"});
    CHECK(wrap("a verylongwordindeed", 10, true) == Rows{"a verylong", "wordindeed"});
    CHECK(wrap("漢漢漢漢漢", 9, false) == Rows{"漢漢漢漢", "漢"});
    CHECK(wrap("\x1b[31m123456789\x1b[0m", 8, false) == Rows{"\x1b[31m12345678\x1b[0m", "\x1b[31m9\x1b[0m"});
}

TEST_CASE("text is shortened to fit with its mark") {
    CHECK(shortened("abc", 3, "…") == "abc");
    CHECK(shortened("abcd", 3, "…") == "ab…");
    CHECK(shortened("漢漢", 3, "…") == "漢…");
    CHECK(shortened("abcd", 0, "…") == "");
    CHECK(shortened("\x1b[31mabcd\x1b[0m", 3, "…") == "\x1b[31mab\x1b[0m…");
}

TEST_CASE("an instruction over several lines becomes one") {
    CHECK(one_line("RUN a && \\\n    b\t c\r\n") == "RUN a && b c");
    CHECK(one_line("RUN echo \\n") == "RUN echo \\n");
    CHECK(one_line("") == "");
}
