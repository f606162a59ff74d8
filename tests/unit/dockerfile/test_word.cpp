// Variables as buildah 1.39 fills them in; every row was seen in an image it built. Where a row says "error",
// the text must be refused.
#include "dockerfile/expand.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <string>
#include <vector>

using namespace slipway::dockerfile;

namespace {

std::optional<std::string> known(std::string_view name) {
    static const std::map<std::string, std::string, std::less<>> values = {
        {"v", "v1.2.3"},   {"n", "1.2.3"},    {"path", "/a/b/c.tar.gz"},
        {"abc", "abc123"}, {"dots", "a.b.c"}, {"one", "1"},
        {"empty", ""},     {"two", "a  b"}};
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
}

struct Row {
    std::string text;
    std::string expected;
};

void check(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        CAPTURE(row.text);
        const auto result = expand(row.text, known);
        CHECK((result ? result->text : "error") == row.expected);
    }
}

} // namespace

TEST_CASE("buildah: only the operators with a colon are known, and empty is unset") {
    check({{"${one:-d}", "1"},
           {"${empty:-d}", "d"},
           {"${nope:-d}", "d"},
           {"${one:+p}", "p"},
           {"${empty:+p}", ""},
           {"${one:?m}", "1"},
           {"${nope:?m}", "error"},
           {"${nope:?}", "error"},
           {"${nope-d}", "error"},
           {"${nope+d}", "error"},
           {"${nope?d}", "error"},
           {"${one:=d}", "error"},
           {"${one:1}", "error"},
           {"${one^^}", "error"},
           {"${one", "error"},
           {"${one:-d", "error"},
           {"${nope:-${one:+${one}2}}", "12"},
           {"${nope:-\"q r\"}", "q r"}});
}

TEST_CASE("buildah: parameters of a shell are no variables, and digits come one by one") {
    check({{"$", "$"}, {"$$", "$$"}, {"$@", "$@"}, {"$12", "2"}, {"a${}b", "ab"}, {"$(x)", "$(x)"}});
}

TEST_CASE("buildah: the backslash escapes, and vanishes at the end") {
    check({{"\\${one}", "${one}"},
           {"$\\{one}", "${one}"},
           {"\"\\$one\"", "$one"},
           {"\\\\$one", "\\1"},
           {"b\\c", "bc"},
           {"\"b\\c\"", "b\\c"},
           {"'b\\c'", "b\\c"},
           {"a\\", "a"},
           {"'open", "error"},
           {"\"open", "error"},
           {"\"open\\\"", "error"}});
}

TEST_CASE("buildah: a star does not cross a slash, and no pattern takes the whole value") {
    check({{"${v#v}", "1.2.3"},
           {"${v##*.}", "3"},
           {"${path##*/}", "a/b/c.tar.gz"},
           {"${path#*/}", "a/b/c.tar.gz"},
           {"${v#x}", "v1.2.3"},
           {"${v#v1.2.3}", "v1.2.3"},
           {"${v##*}", "3"},
           {"${n%.*}", "1.2"},
           {"${n%%.*}", "1"},
           {"${path%/*}", "/a/b"},
           {"${path%.gz}", "/a/b/c.tar"},
           {"${n%1.2.3}", ""},
           {"${abc#[a-z]}", "bc123"},
           {"${abc##[a-z]*}", "3"},
           {"${abc%[0-9]}", "abc12"},
           {"${abc%[^0-9]}", "abc123"},
           {"${abc#[}", "abc123"},
           {"${one#1}", "1"},
           {"${one#}", "error"},
           {"${one%}", "error"}});
}

TEST_CASE("buildah: replacing knows anchors, and needs no replacement") {
    check({{"${dots/./-}", "a-b.c"},
           {"${dots//./-}", "a-b-c"},
           {"${dots/x/y}", "a.b.c"},
           {"${dots//[ab]/z}", "z.z.c"},
           {"${dots/#a/z}", "z.b.c"},
           {"${dots/%c/z}", "a.b.z"},
           {"${dots/.}", "ab.c"},
           {"${dots//?/q}", "qqqqq"},
           {"${dots//b.c/}", "a."},
           {"${dots/}", "error"},
           {"${dots//}", "error"}});
}

TEST_CASE("buildah: words split at blanks that are not protected") {
    const auto words = [](std::string_view text) { return expand_words(text, known)->words; };
    using Words = std::vector<std::string>;
    CHECK(words("80 $two\tx") == Words{"80", "a", "b", "x"});
    CHECK(words("\"$two\" a\\ b") == Words{"a  b", "a b"});
    CHECK(words("$empty ").empty());
}
