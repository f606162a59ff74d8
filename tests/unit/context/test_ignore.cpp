// The table of cases against the real buildah is tests/differential; here is what it cannot reach.
#include "context/glob.hpp"
#include "context/ignore.hpp"
#include "context/text.hpp"

#include <catch2/catch_test_macros.hpp>
#include <format>

using namespace slipway::context;

namespace {

/// The paths that `rules` leaves.
std::string left(const IgnoreRules& rules, std::initializer_list<std::string_view> paths) {
    std::string out;
    for (const std::string_view path : paths) {
        if (!rules.verdict(path).excluded) {
            out += (out.empty() ? "" : " ") + std::string(path);
        }
    }
    return out;
}

} // namespace

TEST_CASE("the last pattern that matches a path or one of its parents decides") {
    const IgnoreRules rules("*\n!src\nsrc/old\n!src/old/keep\n");
    CHECK(left(rules, {"a", "src", "src/a", "src/old", "src/old/a", "src/old/keep", "src/old/keep/x"}) ==
          "src src/a src/old/keep src/old/keep/x");
    CHECK(rules.verdict("src/old/a").line == 3);
    CHECK(rules.pattern_of(3) == "src/old");
    CHECK(rules.pattern_of(4) == "!src/old/keep");
}

TEST_CASE("an excluded directory is entered where an exception is spelled beneath it") {
    const IgnoreRules rules("*\n!src/old/keep\n!**/anywhere\n");
    CHECK(rules.enters("src"));
    CHECK(rules.enters("src/old"));
    CHECK_FALSE(rules.enters("other"));
    CHECK(rules.enters_named("src"));
    CHECK_FALSE(rules.enters_named("src/old/keep"));
    CHECK_FALSE(rules.enters_named("sr"));
    CHECK_FALSE(IgnoreRules("src\n").enters("src"));
}

TEST_CASE("characters of regular expressions mean what they mean in Go") {
    CHECK(left(IgnoreRules("a+\n"), {"a", "aa", "a+", "b"}) == "a+ b");
    CHECK(left(IgnoreRules("a{2,3}\n"), {"a", "aa", "aaa", "aaaa"}) == "a aaaa");
    CHECK(left(IgnoreRules("{a,b}\n"), {"a", "b", "{a,b}"}) == "a b");
    CHECK(left(IgnoreRules("x|y\n"), {"x", "xa", "y", "ay", "z"}) == "z");
    CHECK(left(IgnoreRules("(a|b)c\n"), {"ac", "bc", "(a|b)c", "c"}) == "(a|b)c c");
    CHECK(left(IgnoreRules("[^a-c]\\d\n"), {"a1", "d1", "dd"}) == "a1 dd");
    CHECK(left(IgnoreRules("e$f\n"), {"e$f", "e"}) == "e");
}

TEST_CASE("a pattern that Go refuses is malformed, with its line") {
    for (const char* pattern : {"!", "[a", "[b-a]", "a\\", "a++", "*+", "(a", "a)", "[]", "\\y", "a{1001}",
                                "a{3,2}", "((a{40}){40})", "(+)"}) {
        INFO(pattern);
        const IgnoreRules rules(std::format("first\n\n{}\nlast\n", pattern));
        REQUIRE(rules.malformed());
        CHECK(rules.malformed()->line == 3);
        CHECK(rules.malformed()->pattern == pattern);
    }
}

TEST_CASE("what only buildah can read is said to be unread") {
    for (const char* pattern : {"[[:alpha:]]", "\\pL", "\\bx", "\\x41"}) {
        INFO(pattern);
        const IgnoreRules rules(pattern);
        CHECK_FALSE(rules.malformed());
        CHECK(rules.unread());
    }
    std::string many;
    for (std::size_t i = 0; i <= IgnoreRules::most_patterns; ++i) {
        many += "a\n";
    }
    CHECK(IgnoreRules(many).unread());
}

TEST_CASE("hostile patterns cost time in proportion to their length and the path's") {
    const std::string path = std::string(4000, 'a') + 'b';
    for (std::string pattern :
         {std::string("**a**a**a**a**a**a**a**a**a**c"), std::string("*a*a*a*a*a*a*a*a*a*a*c"),
          std::string("((((a+)+)+)+)+c"), std::string("(a|a|a|a)+(a|a)+c"), std::string("a{500}a{500}c")}) {
        INFO(pattern);
        const IgnoreRules rules(pattern);
        CHECK_FALSE(rules.verdict(path).excluded);
        CHECK(rules.work() < 20'000 + 50 * path.size() * pattern.size());
    }
    const IgnoreRules deep(std::string(100'000, '('));
    CHECK((deep.malformed() || deep.unread()));
    CHECK(IgnoreRules("(((((((a{10}){10}){10}){10}){10}){10}){10})").malformed());
    CHECK(IgnoreRules(std::string(50'000, '?')).unread());
}

TEST_CASE("white space, marks and line ends are read as Go reads them") {
    CHECK(left(IgnoreRules("a/\r\n# b\r\n  c\t\r\n"), {"a", "b", "c"}) == "b");
    CHECK(left(IgnoreRules("\xEF\xBB\xBF"
                           "a\n"),
               {"a"})
              .empty());
    CHECK(left(IgnoreRules("\xC2\xA0"
                           "a\xE3\x80\x80\n"),
               {"a"})
              .empty());
    // A line feed in a name ends what `.` matches.
    CHECK(left(IgnoreRules("a\n"), {"a/x\ny"}) == "a/x\ny");
}

TEST_CASE("a path is cleaned as Go cleans it") {
    CHECK(clean_path("") == ".");
    CHECK(clean_path("a//b/./c/..") == "a/b");
    CHECK(clean_path("../../a") == "../../a");
    CHECK(clean_path("a/../../b") == "../b");
    CHECK(clean_path("/../a/") == "/a");
    CHECK(clean_path("/") == "/");
}

TEST_CASE("globs are Go's") {
    using enum GlobMatch;
    CHECK(glob_match("*.txt", "a.txt") == yes);
    CHECK(glob_match("*.txt", ".txt") == yes);
    CHECK(glob_match("*", "a/b") == no);
    CHECK(glob_match("a*b*c", "aXbYc") == yes);
    CHECK(glob_match("a*b*c", "aXbY") == no);
    CHECK(glob_match("?", "ü") == yes);
    CHECK(glob_match("[!a]", "!") == yes);
    CHECK(glob_match("[^a]", "a") == no);
    CHECK(glob_match("\\*", "*") == yes);
    CHECK(glob_match("a[", "b") == malformed);
    CHECK(glob_match("a\\", "b") == malformed);
    CHECK(glob_match("[a-]", "-") == malformed);
    CHECK(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(3000, 'a')) == no);
}
