#include "scratch.hpp"
#include "source/lfs_files.hpp"

#include <fcntl.h>
#include <format>
#include <fstream>
#include <sys/stat.h>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;

namespace {

/// The tree of `scratch` after `line` has been run in its work tree and all of it committed.
fs::path fetched_tree(const Scratch& scratch, const std::string& line) {
    shell(scratch.work(),
          line + " && git add -A && git commit -qm lfs && git push -q ../served/repo.git main");
    const GitOptions options = scratch.options(scratch.bare().string(), "main");
    REQUIRE(fetch_git(options, {}, {}));
    return options.into;
}

std::vector<std::string> paths(const LfsTree& tree) {
    std::vector<std::string> names;
    for (const LfsFile& file : tree.files) {
        names.push_back(file.path);
    }
    return names;
}

constexpr std::string_view pointer = R"(pointer() {
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' "$1"; } && )";

} // namespace

TEST_CASE("files in LFS are those whose attributes say so, wherever that is said") {
    const Scratch scratch;
    const fs::path tree = fetched_tree(scratch, std::string(pointer) + R"(
        printf '[attr]large filter=lfs -text\n*.bin large\n' >.gitattributes && mkdir -p a/b c &&
        pointer 1 >a/1.bin && pointer 2 >a/b/2.bin && pointer 3 >c/3.bin && pointer 4 >no.txt &&
        echo '*.bin -filter' >c/.gitattributes && echo '*.dat filter=lfs' >a/b/.gitattributes && pointer 5 >a/b/5.dat &&
        ln -s a/1.bin link.bin && : >empty.bin && head -c 2000 /dev/zero >whole.bin)");
    const LfsTree found = find_lfs_files(tree).value();
    CHECK(paths(found) == std::vector<std::string>{"a/1.bin", "a/b/2.bin", "a/b/5.dat"});
    CHECK(found.files.front().text.starts_with("version https://git-lfs.github.com/spec/v1\n"));
    CHECK(found.url.empty());
    CHECK(fs::is_directory(found.git_dir));

    // What is not checked out, or is no file any more, is left alone.
    fs::remove(tree / "a/1.bin");
    fs::remove(tree / "a/b/2.bin");
    fs::create_symlink("/etc/passwd", tree / "a/b/2.bin");
    CHECK(paths(find_lfs_files(tree).value()) == std::vector<std::string>{"a/b/5.dat"});
}

TEST_CASE(".lfsconfig is read, of it only what a stranger may decide") {
    const Scratch scratch;
    const fs::path tree = fetched_tree(scratch, std::string(pointer) + R"(
        echo '*.bin filter=lfs' >.gitattributes && mkdir -p huge/x && pointer 1 >1.bin && pointer 2 >huge/x/2.bin &&
        printf '[lfs]\n url = https://first.example\n url = https://h.example/l\n fetchexclude = "none, huge"\n' >.lfsconfig &&
        printf '[remote "origin"]\n lfsurl = https://r.example\n[include]\n path = /etc/passwd\n' >>.lfsconfig &&
        printf '[core]\n fsmonitor = touch evil\n' >>.lfsconfig)");
    for (int again = 0; again < 20; ++again) {
        const LfsTree found = find_lfs_files(tree).value();
        CHECK(found.url == "https://h.example/l");
        CHECK(found.remote_url == "https://r.example");
        CHECK(paths(found) == std::vector<std::string>{"1.bin"});
        CHECK(found.excluded == 1);
    }
    std::ofstream(tree / ".lfsconfig") << "[lfs]\n url = https://not-committed.example\n";
    CHECK(find_lfs_files(tree)->url == "https://h.example/l");
}

TEST_CASE("a .lfsconfig that is none is passed over") {
    const Scratch scratch;
    const fs::path tree = fetched_tree(scratch, std::string(pointer) + R"(
        echo '*.bin filter=lfs' >.gitattributes && pointer 1 >1.bin && printf '[lfs\nurl = "' >.lfsconfig)");
    const LfsTree found = find_lfs_files(tree).value();
    CHECK(found.url.empty());
    CHECK(paths(found) == std::vector<std::string>{"1.bin"});
}

TEST_CASE("the index takes on what a file has become, and git believes it") {
    const Scratch scratch;
    const fs::path tree = fetched_tree(scratch, std::string(pointer) + R"(
        echo '*.bin filter=lfs' >.gitattributes && pointer 1 >1.bin && pointer 2 >2.bin)");
    struct stat before{};
    REQUIRE(::lstat((tree / "1.bin").c_str(), &before) == 0);
    std::ofstream(tree / "1.bin") << std::string(5000, 'x');
    const timespec older{.tv_sec = before.st_mtim.tv_sec - 1, .tv_nsec = before.st_mtim.tv_nsec};
    const timespec both[2] = {older, older};
    REQUIRE(::utimensat(AT_FDCWD, (tree / "1.bin").c_str(), both, 0) == 0);
    CHECK(shell(tree, "git status --porcelain").contains("1.bin"));
    REQUIRE(refresh_index(tree, {"1.bin", "not/there.bin"}));
    CHECK(shell(tree, "git status --porcelain").empty());
    CHECK(shell(tree, "git rev-parse :1.bin HEAD:1.bin | uniq | wc -l").starts_with("1"));
}
