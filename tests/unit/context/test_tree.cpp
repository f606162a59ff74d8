#include "base/file.hpp"
#include "context/ignore_file.hpp"
#include "context/sources.hpp"
#include "context/tree.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

using namespace slipway;
using namespace slipway::context;
namespace fs = std::filesystem;

namespace {

/// A context of files whose content is their name.
struct Tree {
    TemporaryDirectory directory = *TemporaryDirectory::create("slipway-test-");
    fs::path root = fs::canonical(directory.path());

    explicit Tree(std::initializer_list<const char*> files) {
        for (const char* file : files) {
            fs::create_directories((root / file).parent_path());
            std::ofstream(root / file) << file;
        }
    }
    [[nodiscard]] Fd open() const { return *open_directory(root); }

    [[nodiscard]] std::string listed(const char* ignore, Tally* tally = nullptr,
                                     WalkLimits limits = {}) const {
        const IgnoreRules rules(ignore);
        std::string out;
        const auto visit = [&](std::string_view path) {
            out += (out.empty() ? "" : " ") + std::string(path);
            return true;
        };
        auto result = walk(open().get(), "", rules, {}, visit, limits);
        REQUIRE(result);
        if (tally != nullptr) {
            *tally = *result;
        }
        return out;
    }
    [[nodiscard]] std::string found(const std::vector<std::string>& sources, const char* ignore = "",
                                    const std::vector<std::string>& excludes = {}) const {
        const Fd fd = open();
        const auto findings =
            Sources(fd.get(), root.string(), IgnoreRules(ignore), {}).copied(sources, excludes);
        REQUIRE(findings);
        std::string out;
        for (const Finding& finding : *findings) {
            static constexpr const char* kinds[] = {"missing",   "no match",      "excluded",
                                                    "dead link", "link excluded", "climbs"};
            out += (out.empty() ? "" : "; ") + std::string(kinds[static_cast<int>(finding.kind)]) + ' ' +
                   finding.source + " as " + finding.path +
                   (finding.line > 0 ? " by " + std::to_string(finding.line) : "");
        }
        return out;
    }
};

} // namespace

TEST_CASE("a walk lists what would be sent, parents first, and counts it") {
    const Tree tree({"b", "a/x", "a/y/z", "c/d/e"});
    Tally tally;
    CHECK(tree.listed("", &tally) == "a/ a/x a/y/ a/y/z b c/ c/d/ c/d/e");
    CHECK(tally.files == 4);
    CHECK(tally.directories == 4);
    CHECK(tally.bytes == 1 + 3 + 5 + 5);
    CHECK(tally.largest.front() == Tally::Sized(5, "a/y/z"));
    CHECK(tally.complete);
}

TEST_CASE("an excluded parent is listed once something below it is") {
    const Tree tree({"a/b/keep", "a/b/drop", "a/c/drop", "d/drop"});
    Tally tally;
    CHECK(tree.listed("*\n!a/b/keep\n", &tally) == "a/ a/b/ a/b/keep");
    CHECK(tally.files == 1);
    CHECK(tally.directories == 2);
    CHECK(tree.listed("*\n!**/keep\n").empty());
}

TEST_CASE("links are counted and not followed, sockets left out, pipes noted") {
    const Tree tree({"a"});
    fs::create_symlink("/etc", tree.root / "out");
    fs::create_symlink(".", tree.root / "loop");
    REQUIRE(::mkfifo((tree.root / "pipe").c_str(), 0600) == 0);
    Tally tally;
    CHECK(tree.listed("", &tally) == "a loop out pipe");
    CHECK(tally.symlinks == 2);
    CHECK(tally.others == 1);
}

TEST_CASE("a walk ends at its limits and when it is told to stop") {
    const Tree tree({"a/1", "a/2", "a/3", "b/1"});
    Tally tally;
    (void)tree.listed("", &tally, {.entries = 2});
    CHECK_FALSE(tally.complete);
    StopSource source;
    source.request({.kind = StopReason::Kind::signal, .signal = 15});
    const auto stopped = walk(tree.open().get(), "", IgnoreRules(), source.token());
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().klass == ErrorClass::cancelled);
}

TEST_CASE("a plain source must be there, one pattern of several must match") {
    const Tree tree({"a.txt", "b.txt", "src/x.c", "src/deep/y.c", "[odd]"});
    CHECK(tree.found({"a.txt"}).empty());
    CHECK(tree.found({"."}).empty());
    CHECK(tree.found({"/src/"}).empty());
    CHECK(tree.found({"src/../a.txt"}).empty());
    CHECK(tree.found({"nosuch", "*.txt"}) == "missing nosuch as nosuch");
    CHECK(tree.found({"*.c", "a.txt"}).empty());
    CHECK(tree.found({"*.c", "?.h"}) == "no match *.c as *.c; no match ?.h as ?.h");
    CHECK(tree.found({"**/y.c"}).empty());
    CHECK(tree.found({"*/**/y.c"}) == "no match */**/y.c as */**/y.c");
    CHECK(tree.found({"[a-"}) == "no match [a- as [a-");
    CHECK(tree.found({"[[]odd]"}).empty());
}

TEST_CASE("dots stop at the context, unless they come back to it by its name") {
    const Tree tree({"a.txt"});
    CHECK(tree.found({"../a.txt"}) == "climbs ../a.txt as a.txt");
    CHECK(tree.found({"../nosuch"}) == "missing ../nosuch as nosuch");
    CHECK(tree.found({"../" + tree.root.filename().string() + "/a.txt"}).empty());
    CHECK(tree.found({"../../../../../../.."}).starts_with("climbs"));
}

TEST_CASE("what is excluded is not found") {
    const Tree tree({"a.txt", "b.txt", "src/x.c", "src/y.h"});
    CHECK(tree.found({"a.txt"}, "# no text\n*.txt\n") == "excluded a.txt as a.txt by 2");
    CHECK(tree.found({"*.txt"}, "a.txt\n").empty());
    CHECK(tree.found({"*.txt"}, "*.txt\n") == "excluded *.txt as a.txt by 1");
    CHECK(tree.found({"src"}, "src\n") == "excluded src as src by 1");
    CHECK(tree.found({"src"}, "src\n!src/x.c\n").empty());
    CHECK(tree.found({"src"}, "src\n!src/nosuch\n") == "excluded src as src by 1");
    CHECK(tree.found({"src/x.c"}, "src\n!src/x.c\n").empty());
    CHECK(tree.found({"a.txt"}, "", {"*.txt"}) == "excluded a.txt as a.txt");
    CHECK(tree.found({"a.txt"}, "", {"/a.txt"}).empty());
}

TEST_CASE("links are followed inside the context") {
    const Tree tree({"a.txt", "src/x.c"});
    const auto link = [&](const char* to, const char* name) { fs::create_symlink(to, tree.root / name); };
    link("a.txt", "good");
    link("/a.txt", "rooted");
    link("nowhere", "dead");
    link("/etc/passwd", "out");
    link("loop", "loop");
    link("src", "dir");
    link("../../a.txt", "up");
    CHECK(tree.found({"good", "rooted", "dir", "dir/x.c", "up"}).empty());
    CHECK(tree.found({"dead"}) == "dead link dead as nowhere");
    CHECK(tree.found({"out"}) == "dead link out as etc/passwd");
    CHECK(tree.found({"loop"}).starts_with("dead link loop"));
    CHECK(tree.found({"good"}, "a.txt\n") == "link excluded good as a.txt by 1");
    CHECK(tree.found({"dir"}, "src\n").empty());
}

TEST_CASE("a bind mount does not heed the ignore file") {
    const Tree tree({"a.txt"});
    const Fd fd = tree.open();
    const Sources sources(fd.get(), tree.root.string(), IgnoreRules("*\n"), {});
    CHECK(sources.mounted("a.txt").empty());
    CHECK(sources.mounted(".").empty());
    REQUIRE(sources.mounted("nosuch").size() == 1);
    CHECK(sources.mounted("nosuch").front().kind == Finding::Kind::missing);
}

TEST_CASE("what is near a missing path, and where its name is found") {
    const Tree tree({"src/main.c", "src/util.c", "other/deep/x.c"});
    const auto near = neighbours(tree.open().get(), "src/mian.c");
    CHECK(near.directory == "src");
    CHECK(near.component == "mian.c");
    CHECK(near.names == std::vector<std::string>{"main.c", "util.c"});
    CHECK(neighbours(tree.open().get(), "scr/main.c").component == "scr");
    CHECK(same_name(tree.open().get(), "x.c", 3, {}) == std::vector<std::string>{"other/deep/x.c"});
}

TEST_CASE("one ignore file counts") {
    Tree tree({"sub/.dockerignore", "sub/x", "app.Dockerfile"});
    const auto which = [&] {
        const Fd source = tree.open();
        const Fd context = *open_directory(tree.root / "sub");
        const auto found = find_ignore_file(source.get(), context.get(), "sub", "app.Dockerfile");
        return !found ? "error: " + found.error().message : *found ? (*found)->path : "none";
    };
    const auto write = [&](const char* name, const std::string& content = "x") {
        std::ofstream(tree.root / name) << content;
    };
    CHECK(which() == "sub/.dockerignore");
    write("sub/.containerignore", "");
    CHECK(which() == "sub/.containerignore");
    write("app.Dockerfile.containerignore");
    CHECK(which() == "app.Dockerfile.containerignore");
    fs::create_symlink("/etc/passwd", tree.root / "app.Dockerfile.dockerignore");
    CHECK(which().starts_with("error: app.Dockerfile.dockerignore leaves the source"));
    fs::remove(tree.root / "app.Dockerfile.dockerignore");
    fs::create_directory(tree.root / "app.Dockerfile.dockerignore");
    CHECK(which() == "error: app.Dockerfile.dockerignore is not a regular file");
}
