#include "source/submodule_file.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::source;

TEST_CASE(".gitmodules is read as git reads it") {
    const std::vector<Submodule> found =
        parse_gitmodules(
            "[submodule \"a.b/c\"]\n\tpath = libs/a/ ; comment\n\turl = ../a.git\n\turl = second\n"
            "[submodule \"none\"]\n\tpath = none\n\turl = x\n\tupdate = none\n[core]\n\tpath = y\n"
            "[SubModule \"Q\"]\n\tPATH = \"q q\"\n\turl = \"h\\\\\"\n[submodule]\n\tx = y\n"
            "[submodule \"later\"]\n\tpath = none\n\turl = z\n[submodule \"pathless\"]\n\turl = u\n")
            .value();
    REQUIRE(found.size() == 3);
    CHECK(found[0].name == "a.b/c");
    CHECK(found[0].path == "libs/a");
    CHECK(found[0].url == "../a.git");
    CHECK(found[1].name == "later");
    CHECK_FALSE(found[1].never);
    CHECK(found[2].name == "Q");
    CHECK(found[2].path == "q q");
    CHECK(found[2].url == "h\\");
    CHECK(parse_gitmodules("")->empty());
    CHECK(parse_gitmodules("[submodule").error().where->file == ".gitmodules");
}

TEST_CASE("relative URLs are resolved against the parent's") {
    struct Case {
        std::string_view url;
        std::string_view parent;
        std::string_view wanted; ///< empty = refused
    };
    for (const Case& each :
         std::initializer_list<Case>{{"../b.git", "https://h/o/a.git", "https://h/o/b.git"},
                                     {"../b.git", "https://h/o/a.git/", "https://h/o/b.git"},
                                     {"./", "https://h/o/a.git", "https://h/o/a.git"},
                                     {"./b", "https://h/o/a.git", "https://h/o/a.git/b"},
                                     {"../../x/b/", "https://u:p@h:8443/o/a.git", "https://u:p@h:8443/x/b"},
                                     {"../../../b", "https://h/o/a.git", ""},
                                     {"../../..", "https://h/o/a.git", ""},
                                     {"../b", "git@h:o/a.git", "git@h:o/b"},
                                     {"../../b", "git@h:o/a.git", "git@h:b"},
                                     {"../../../b", "git@h:o/a.git", ""},
                                     {"../b", "ssh://git@h:22/a.git", "ssh://git@h:22/b"},
                                     {"../b", "/srv/a.git", "/srv/b"},
                                     {"../b", "file:///srv/a.git", "file:///srv/b"},
                                     {"./../b", "https://h/o/a", "https://h/o/b"},
                                     {"https://x/y", "https://h/o/a", "https://x/y"},
                                     {"b", "https://h/o/a", "b"}}) {
        INFO(each.url << " " << each.parent);
        const Result<std::string> found = resolve_submodule_url(each.url, each.parent);
        CHECK(found.value_or("") == each.wanted);
        CHECK((found || found.error().klass == ErrorClass::build));
    }
}

TEST_CASE("names that would leave .git/modules are refused") {
    for (const char* name :
         {"", ".", "..", "a/..", "../a", "a/../b", "/a", "a/", "a//b", "a\\..\\b", "a\nb"}) {
        INFO(name);
        CHECK_FALSE(check_submodule_name(name));
    }
    CHECK_FALSE(check_submodule_name(std::string(256, 'x')));
    for (const char* name : {"a", "a/b", "..a", "a b", "ä", ".git", "-x"}) {
        INFO(name);
        CHECK(check_submodule_name(name));
    }
}

TEST_CASE("submodules are chosen by path") {
    CHECK(submodule_is_wanted({}, "a/b"));
    CHECK(submodule_is_wanted({"a"}, "a/b"));
    CHECK(submodule_is_wanted({"a/b/"}, "a/b"));
    CHECK(submodule_is_wanted({"./a"}, "a"));
    CHECK(submodule_is_wanted({"."}, "a"));
    CHECK_FALSE(submodule_is_wanted({"a"}, "ab"));
    CHECK_FALSE(submodule_is_wanted({"a/b/c"}, "a/b"));
}

TEST_CASE("a local submodule is for local repositories only") {
    const GitUrl local = parse_git_url("file:///x").value();
    CHECK_FALSE(check_submodule_url(local, GitUrl::Scheme::https));
    CHECK(check_submodule_url(local, GitUrl::Scheme::file));
    CHECK(check_submodule_url(parse_git_url("git://h/x").value(), GitUrl::Scheme::https));
}
