#include "base/file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <sys/stat.h>

using namespace slipway;
namespace fs = std::filesystem;

TEST_CASE("a file is replaced whole, with the mode asked for") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    const fs::path file = dir->path() / "a";
    REQUIRE(write_file_atomic(file, "one", 0640));
    REQUIRE(write_file_atomic(file, "two", 0640));
    CHECK(read_file(file) == "two");
    struct stat info{};
    REQUIRE(::stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 07777U) == 0640U);
    CHECK(std::distance(fs::directory_iterator(dir->path()), {}) == 1);
}

TEST_CASE("more than the limit is refused, not read") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    REQUIRE(write_file_atomic(dir->path() / "a", "12345"));
    CHECK(read_file(dir->path() / "a", 5) == "12345");
    CHECK_FALSE(read_file(dir->path() / "a", 4));
}

TEST_CASE("nothing opens outside the directory") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    fs::create_directory(dir->path() / "in");
    fs::create_symlink("/etc", dir->path() / "in" / "abs");
    fs::create_symlink("../..", dir->path() / "in" / "up");
    fs::create_symlink("real", dir->path() / "in" / "fine");
    REQUIRE(write_file_atomic(dir->path() / "in" / "real", "x"));
    const auto root = open_directory(dir->path() / "in");
    REQUIRE(root);
    CHECK(open_beneath(root->get(), "real", O_RDONLY));
    CHECK(open_beneath(root->get(), "fine", O_RDONLY));
    for (const char* path : {"/etc/passwd", "../in/real", "abs/passwd", "up/etc", "none"}) {
        CAPTURE(path);
        const auto result = open_beneath(root->get(), path, O_RDONLY);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == code::context_issue);
        CHECK(result.error().klass == ErrorClass::build);
    }
}
