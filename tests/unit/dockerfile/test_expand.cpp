// Tables of the variable expansion as BuildKit does it; test_word.cpp has buildah's. Where a row says
// "error", the text must be refused.
#include "dockerfile/expand.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace slipway::dockerfile;

namespace {

std::optional<std::string> known(std::string_view name) {
    static const std::map<std::string, std::string, std::less<>> values = {
        {"x", "value"},    {"empty", ""},     {"path", "/usr/local/lib/libz.tar.gz"},
        {"two", "a  b"},   {"star", "a*b*c"}, {"lines", "one\ntwo"},
        {"wide", "größe"}, {"n", "n"}};
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
}

struct Row {
    std::string text;
    std::string expected;
};

constexpr ExpandOptions buildkit = {.dialect = Dialect::buildkit};

std::string expanded(const std::string& text, const ExpandOptions& options = buildkit) {
    const auto result = expand(text, known, options);
    return result ? result->text : "error";
}

void check(const std::vector<Row>& rows, const ExpandOptions& options = buildkit) {
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(expanded(row.text, options) == row.expected);
    }
}

} // namespace

TEST_CASE("Plain and braced variables are filled in") {
    check({{"", ""},
           {"text", "text"},
           {"$x", "value"},
           {"${x}", "value"},
           {"a${x}b$x.c", "avalueb"
                          "value.c"},
           {"$xy", ""},
           {"$x-y", "value-y"},
           {"$", "$"},
           {"a$", "a$"},
           {"$.", "$."},
           {"$(date)", "$(date)"},
           {"$1x", "x"},
           {"$12x", "x"},
           {"$@x", "x"},
           {"$$", ""},
           {"${empty}", ""},
           {"größe$wide", "größegröße"}});
}

TEST_CASE("Conditions know set from empty") {
    check({{"${x:-d}", "value"},
           {"${nope:-d}", "d"},
           {"${empty:-d}", "d"},
           {"${x-d}", "value"},
           {"${nope-d}", "d"},
           {"${empty-d}", ""},
           {"${x:+d}", "d"},
           {"${nope:+d}", ""},
           {"${empty:+d}", ""},
           {"${x+d}", "d"},
           {"${nope+d}", ""},
           {"${empty+d}", "d"},
           {"${x:?m}", "value"},
           {"${nope:?m}", "error"},
           {"${empty:?m}", "error"},
           {"${x?m}", "value"},
           {"${nope?m}", "error"},
           {"${empty?m}", ""},
           {"${nope:-}", ""}});
}

TEST_CASE("Words inside braces are expanded themselves") {
    check({{"${nope:-$x}", "value"},
           {"${nope:-${nada:-${x}}}", "value"},
           {"${nope:-a b}", "a b"},
           {"${nope:-'a}b'}", "a}b"},
           {"${nope:-\"$x\"}", "value"},
           {"${nope:-\\}}", "}"},
           {"${nope:-a}b}", "ab}"}});
}

TEST_CASE("Prefixes and suffixes are taken off, shortest or longest") {
    check({{"${path#*/}", "usr/local/lib/libz.tar.gz"},
           {"${path##*/}", "libz.tar.gz"},
           {"${path%.*}", "/usr/local/lib/libz.tar"},
           {"${path%%.*}", "/usr/local/lib/libz"},
           {"${path#/usr}", "/local/lib/libz.tar.gz"},
           {"${path#nothing}", "/usr/local/lib/libz.tar.gz"},
           {"${x#?}", "alue"},
           {"${wide%??}", "grö"},
           {"${star#a\\*}", "b*c"},
           {"${x#$n}", "value"},
           {"${x%${nope:-ue}}", "val"},
           {"${x#*}", "value"},
           {"${x##*}", ""},
           {"${lines#*}", "one\ntwo"},
           {"${lines##*}", "\ntwo"},
           {"${nope#a}", ""},
           {"${x#a\\b}", "error"}});
}

TEST_CASE("Matches are replaced, the first or all") {
    check({{"${path/lib/LIB}", "/usr/local/LIB/libz.tar.gz"},
           {"${path//lib/LIB}", "/usr/local/LIB/LIBz.tar.gz"},
           {"${path//\\//-}", "-usr-local-lib-libz.tar.gz"},
           {"${x/a*u/-}", "v-e"},
           {"${x/l/}", "vaue"},
           {"${x//?/x}", "xxxxx"},
           {"${x//*/x}", "x"},
           {"${x//q/z}", "value"},
           {"${x/l/$n$n}", "vannue"},
           {"${x/a}", "error"},
           {"${x///b}", "value"}});
}

TEST_CASE("Quotes and escapes protect, and go") {
    check({{"'$x'", "$x"},
           {"\"$x\"", "value"},
           {"\"'$x'\"", "'value'"},
           {"'\"$x\"'", "\"$x\""},
           {"\\$x", "$x"},
           {"\"\\$x\"", "$x"},
           {"\"a\\nb\"", "a\\nb"},
           {"a\\nb", "anb"},
           {"\"\\\\\"", "\\"},
           {"a\\", "a"},
           {"it\\'s", "it's"},
           {"'it", "error"},
           {"\"it", "error"},
           {"\"it\\\"", "error"},
           {"\\${x}", "${x}"}});
}

TEST_CASE("What is no substitution is refused") {
    check({{"${", "error"},
           {"${}", "error"},
           {"${x", "error"},
           {"${x:", "error"},
           {"${x:-", "error"},
           {"${x:-a", "error"},
           {"${:-a}", "error"},
           {"${{x}}", "error"},
           {"${x^^}", "error"},
           {"${x,,}", "error"},
           {"${x:1:2}", "error"},
           {"${x:=a}", "error"},
           {"${x:#a}", "error"},
           {"${.}", "error"},
           {"${x!}", "error"}});
}

TEST_CASE("The escape directive's character takes the backslash's place") {
    check({{"`$x", "$x"}, {"c:\\dir\\$x", "c:\\dir\\value"}, {"\"`\"\"", "\""}},
          {.escape = '`', .dialect = Dialect::buildkit});
}

TEST_CASE("Quotes and escapes of a here-document work, but stay") {
    check({{"\"$x\" '$x' \\$x", "\"value\" '$x' \\$x"}, {"it's", "error"}}, {.keep_quotes = true});
}

TEST_CASE("Variables that are not set are reported once each") {
    const auto result = expand("$a ${b} $a ${c:-d} ${e#f} '$g'", known, buildkit);
    REQUIRE(result);
    REQUIRE(result->unset == std::vector<std::string>{"a", "b", "e"});
}

TEST_CASE("What BuildKit makes of a word is told where it is something else") {
    CHECK(expand("${x:-a}", known)->buildkit.empty());
    CHECK(expand("${x#v}", known)->buildkit.empty());
    CHECK(expand("${path##*/}", known)->buildkit == "\"libz.tar.gz\"");
    CHECK(expand("a${}", known)->buildkit == "an error");
    CHECK(expand("\\a", known, {.escape = '`'})->buildkit == "\"\\a\"");
}

TEST_CASE("Words split at blanks that are not protected") {
    const auto words = [](std::string_view text) { return expand_words(text, known, buildkit)->words; };
    using Words = std::vector<std::string>;
    CHECK(words("a b\tc") == Words{"a", "b", "c"});
    CHECK(words("$two") == Words{"a", "b"});
    CHECK(words("\"$two\"") == Words{"a  b"});
    CHECK(words("a\\ b 'c d'") == Words{"a b", "c d"});
    CHECK(words("x${two}y") == Words{"xa", "by"});
    CHECK(words("  ").empty());
    CHECK(words("$empty").empty());
}

TEST_CASE("The message of ${x:?message} reaches the user with the variable's name") {
    const auto result = expand("${nope:?give a version}", known, buildkit);
    REQUIRE_FALSE(result);
    REQUIRE(result.error().message == "nope: give a version");
    REQUIRE(result.error().code == "dockerfileissue");
    REQUIRE(result.error().klass == slipway::ErrorClass::build);
}

TEST_CASE("Deep nesting is refused, not followed") {
    std::string text;
    for (int i = 0; i < 100'000; ++i) {
        text += "${a:-";
    }
    REQUIRE_FALSE(expand(text, known));
    REQUIRE_FALSE(expand(text, known, buildkit));
    REQUIRE(expand("${a:-${a:-${a:-${a:-${a:-x}}}}}", known)->text == "x");
    REQUIRE(expanded("${a:-${a:-${a:-${a:-${a:-x}}}}}") == "x");
}

TEST_CASE("A result that grows past all bounds is refused") {
    const std::string big(100'000, 'x');
    const auto lookup = [&](std::string_view) { return std::optional(big); };
    for (const Dialect dialect : {Dialect::buildah, Dialect::buildkit}) {
        REQUIRE(expand("$a", lookup, {.dialect = dialect}));
        REQUIRE_FALSE(expand("$a$a$a", lookup, {.dialect = dialect}));
        REQUIRE_FALSE(expand("\"$a$a$a\"", lookup, {.dialect = dialect}));
        REQUIRE_FALSE(expand("${a//x/xxxxxxxx}", lookup, {.dialect = dialect}));
    }
}

TEST_CASE("A pattern made to be slow is given up") {
    const std::string value(60'000, 'a');
    const auto lookup = [&](std::string_view) { return std::optional(value); };
    for (const Dialect dialect : {Dialect::buildah, Dialect::buildkit}) {
        const auto result = expand("${a//*a*a*a*a*a*b/c}", lookup, {.dialect = dialect});
        REQUIRE_FALSE(result);
        REQUIRE(result.error().message.contains("too long"));
    }
    REQUIRE_FALSE(expand("${a%%*a*a*b}", lookup));
}

TEST_CASE("Any bytes are taken or refused, never more") {
    std::mt19937 random(20'221'122); // NOLINT: the same bytes every time
    const std::string alphabet = "${}:-+?#%/\\'\"` ax\n\xC3\xA9\xFF<";
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        for (auto i = random() % 40; i > 0; --i) {
            text += alphabet[random() % alphabet.size()];
        }
        const auto result = expand(text, known);
        REQUIRE((!result || result->text.size() < 100'000));
        (void)expand(text, known, {.keep_quotes = true});
        (void)expand_words(text, known, {.escape = '`', .dialect = Dialect::buildkit});
        (void)expand_words(text, known);
    }
}
