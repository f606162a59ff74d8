#include "source/sparse.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::source;

TEST_CASE("a cone holds its directories, and the files above them") {
    SparseCone cone = SparseCone::of({"/a/b/", "./c", "a/b/inner", "a/b", "none"}).value();
    for (const char* path :
         {"top", "a/file", "a/b/file", "a/b/inner/deep/file", "c/x/y", ".gitattributes", "c"}) {
        INFO(path);
        CHECK(cone.contains(path));
    }
    for (const char* path : {"a/other/file", "ab/file", "d/file", "a/bb/x", "cc/x"}) {
        INFO(path);
        CHECK_FALSE(cone.contains(path));
    }
    CHECK(cone.patterns() == "/*\n!/*/\n/a/\n!/a/*/\n/a/b/\n/c/\n/none/\n");
    CHECK(cone.missed() == std::vector<std::string>{"none"});
}

TEST_CASE("names are written as git's patterns want them") {
    CHECK(SparseCone::of({"a*/b[c]\\"}).value().patterns() ==
          "/*\n!/*/\n/a\\*/\n!/a\\*/*/\n/a\\*/b\\[c\\]\\\\/\n");
}

TEST_CASE("what names no directory below the root is refused") {
    for (const char* path : {"", "/", ".", "..", "a/../b", "a\nb"}) {
        INFO(path);
        CHECK(SparseCone::of({path}).error().klass == ErrorClass::usage);
    }
    CHECK_FALSE(SparseCone::of(std::vector<std::string>(10'001, "a")));
}
