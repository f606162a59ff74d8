#include "source/attributes.hpp"
#include "source/attributes_convert.hpp"
#include "source/attributes_pattern.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace slipway;
using namespace slipway::source;
using namespace std::string_literals;
using Text = FileAttributes::Text;

namespace {

Attributes root(std::string_view content) {
    Attributes attributes;
    REQUIRE(attributes.add("", content));
    return attributes;
}

FileAttributes with(Text text, bool crlf, bool ident = false) {
    FileAttributes attributes;
    attributes.text = text;
    attributes.crlf = crlf;
    attributes.ident = ident;
    return attributes;
}

std::string converted(std::string_view stored, const FileAttributes& attributes) {
    return convert_content(stored, attributes, [] { return "0123456789abcdef"s; })
        .value_or(std::string(stored));
}

} // namespace

TEST_CASE("path patterns fit as in .gitignore") {
    struct Case {
        std::string_view pattern;
        std::string_view path;
        bool fits;
    };
    for (const Case& each : std::initializer_list<Case>{{"*.c", "a.c", true},
                                                        {"*.c", "d/a.c", false},
                                                        {"*", "", true},
                                                        {"a*b*c", "axxbyyc", true},
                                                        {"a*b*c", "axxbyy", false},
                                                        {"?", "/", false},
                                                        {"d/*.c", "d/a.c", true},
                                                        {"d/*.c", "d/e/a.c", false},
                                                        {"**/a", "a", true},
                                                        {"**/a", "x/y/a", true},
                                                        {"**/a", "x/ya", false},
                                                        {"d/**", "d/e/f", true},
                                                        {"d/**", "d", false},
                                                        {"d/**/f", "d/f", true},
                                                        {"d/**/f", "d/x/y/f", true},
                                                        {"d/**/f", "d/xf", false},
                                                        {"a**b", "axyb", true},
                                                        {"a**b", "a/b", false},
                                                        {"**/x/**/y", "x/x/q/y", true},
                                                        {"*/x", "a/x", true},
                                                        {"*/x", "a/b/x", false},
                                                        {"[a-c]x", "bx", true},
                                                        {"[!a-c]x", "bx", false},
                                                        {"[^a-c]x", "dx", true},
                                                        {"[]]", "]", true},
                                                        {"[a-]", "-", true},
                                                        {"[[:digit:]]", "7", true},
                                                        {"[[:digit:]]", "x", false},
                                                        {"[a", "a", false},
                                                        {"\\*", "*", true},
                                                        {"\\*", "x", false},
                                                        {"a[/]b", "a/b", false},
                                                        {"**", "a/b", true},
                                                        {"**/", "a/b", false},
                                                        {"A", "a", false}}) {
        INFO(each.pattern << " " << each.path);
        CHECK(path_pattern_matches(each.pattern, each.path) == each.fits);
    }
    std::string evil;
    for (int i = 0; i < 500; ++i) {
        evil += "**/*a";
        evil += i % 2 == 0 ? "/" : "";
    }
    CHECK_FALSE(path_pattern_matches(evil, std::string(4000, 'a') + "/" + std::string(90, 'b')));
}

TEST_CASE("attributes: the last line of the nearest file has the last word") {
    Attributes attributes =
        root("*.txt text eol=crlf\n*.bat text eol=crlf\n*.png binary\n"
             "# comment\n\n  *.x  text=auto\n/only text eol=crlf\n\"a b.txt\" -text\n!*.no eol=crlf\n"
             "docs/ eol=crlf\n*.txt export-ignore diff=x\n");
    REQUIRE(attributes.add("sub", "*.txt -text\nkeep.bat !eol\n"));
    REQUIRE(attributes.add("sub/deep", "*.txt text eol=crlf\n"));
    CHECK(attributes.of("a.txt").crlf);
    CHECK(attributes.of("d/e/a.txt").crlf);
    CHECK_FALSE(attributes.of("a b.txt").crlf);
    CHECK(attributes.of("sub/a.txt").text == Text::binary);
    CHECK_FALSE(attributes.of("sub/a.txt").crlf);
    CHECK(attributes.of("sub/deep/a.txt").crlf);
    CHECK(attributes.of("subdeep/a.txt").crlf);
    CHECK_FALSE(attributes.of("sub/keep.bat").crlf);
    CHECK(attributes.of("sub/x.bat").crlf);
    CHECK(attributes.of("a.png").text == Text::binary);
    CHECK(attributes.of("a.x").text == Text::automatic);
    CHECK(attributes.of("only").crlf);
    CHECK_FALSE(attributes.of("d/only").crlf);
    CHECK_FALSE(attributes.of("docs/a").crlf);
    CHECK_FALSE(attributes.of("a.no").crlf);
}

TEST_CASE("attributes: macros, old names, values") {
    const Attributes attributes =
        root("*.m dos\n[attr]dos text eol=crlf\n[attr]twice dos ident\n*.t twice\n*.u dos -text\n*.c crlf\n"
             "*.d -crlf\n*.i crlf=input\n*.e eol=crlf\n*.l filter=lfs diff=lfs merge=lfs -text\n*.w "
             "working-tree-encoding=UTF-16\n[attr]loop loop2\n[attr]loop2 loop\n*.r loop\n*.b binary text\n");
    CHECK(attributes.of("a.m").crlf);
    CHECK(attributes.of("a.t").crlf);
    CHECK(attributes.of("a.t").ident);
    CHECK(attributes.of("a.u").text == Text::binary);
    CHECK(attributes.of("a.c").text == Text::text);
    CHECK(attributes.of("a.d").text == Text::binary);
    CHECK(attributes.of("a.i").text == Text::text);
    CHECK(attributes.of("a.e").crlf);
    CHECK(attributes.of("a.l").filter == "lfs");
    CHECK(attributes.of("a.w").encoding == "UTF-16");
    CHECK_FALSE(attributes.of("a.r").crlf);
    CHECK(attributes.of("a.b").text == Text::text);
}

TEST_CASE("attributes: what concerns no checkout is forgotten, what is too much refused") {
    CHECK(root("*.x export-ignore\n*.y linguist-generated=true\n").empty());
    Attributes attributes;
    CHECK_FALSE(attributes.add("", std::string((1U << 20U) + 1, ' ')));
    std::string many;
    for (int i = 0; i < 50'001; ++i) {
        many += "a text\n";
    }
    CHECK_FALSE(attributes.add("", many));
    CHECK(root("*.txt text eol=crlf " + std::string(3000, 'x') + "\n").empty());
    CHECK(root("\"unfinished text\n[attr]\n\\\n\" -\n\xff\xfe\n"s + "\0"s).of("x").text == Text::unspecified);
}

TEST_CASE("line ends are changed as git does") {
    const FileAttributes text = with(Text::text, true);
    const FileAttributes guessed = with(Text::automatic, true);
    CHECK(converted("a\nb\n", text) == "a\r\nb\r\n");
    CHECK(converted("a\r\nb\n", text) == "a\r\nb\r\n");
    CHECK(converted("a\0\n"s, text) == "a\0\r\n"s);
    CHECK(converted("a\nb\n", guessed) == "a\r\nb\r\n");
    CHECK(converted("a\r\nb\n", guessed) == "a\r\nb\n");
    CHECK(converted("a\0b\n"s, guessed) == "a\0b\n"s);
    CHECK(converted("a\rb\n", guessed) == "a\rb\n");
    CHECK(converted("\x01\n", guessed) == "\x01\n");
    CHECK(converted("a\n\x1a", guessed) == "a\r\n\x1a");
    CHECK_FALSE(convert_content("a\r\n", text, [] { return ""s; }));
    CHECK_FALSE(convert_content("a\n", with(Text::text, false), [] { return ""s; }));
    CHECK(converted("", text).empty());
}

TEST_CASE("$Id$ is filled in where ident is set") {
    const FileAttributes ident = with(Text::unspecified, false, true);
    CHECK(converted("x $Id$ y", ident) == "x $Id: 0123456789abcdef $ y");
    CHECK(converted("$Id: old $", ident) == "$Id: 0123456789abcdef $");
    CHECK(converted("$Id:$", ident) == "$Id: 0123456789abcdef $");
    CHECK(converted("$Id: file.c,v 1.2 somebody $", ident) == "$Id: file.c,v 1.2 somebody $");
    CHECK(converted("$Id: a\n$ $Id", ident) == "$Id: a\n$ $Id");
    CHECK(converted("$$Id$$Identity$", ident) == "$$Id: 0123456789abcdef $$Identity$");
    CHECK(converted("$Id$\n", with(Text::text, true, true)) == "$Id: 0123456789abcdef $\r\n");
}
