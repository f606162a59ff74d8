// The work tree's writer: what git itself says of its index, and trees that must not become files.
#include "scratch.hpp"
#include "source/checkout.hpp"
#include "source/checkout_names.hpp"
#include "source/tree.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>
#include <format>
#include <fstream>
#include <set>
#include <sys/stat.h>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;
using std::string_literals::operator""s;

namespace {

/// A repository with an empty work tree beside it, to check commits out into.
class Place {
  public:
    explicit Place(const Scratch& scratch) : tree_(scratch.path() / "tree") {
        REQUIRE(ensure_library());
        shell(scratch.path(), "rm -rf tree && git clone -q --no-checkout served/repo.git tree");
    }

    std::expected<CheckoutFacts, LibraryError>
    checkout(const std::string& revision, const CheckoutRules& rules = {}, const StopToken& stop = {}) {
        shell(tree_, "git update-ref --no-deref HEAD '" + revision + "^{commit}'");
        git_repository* repository = nullptr;
        REQUIRE(git_repository_open(&repository, tree_.c_str()) == 0);
        const Repository owned(repository);
        git_object* commit = nullptr;
        REQUIRE(git_revparse_single(&commit, repository, "HEAD^{commit}") == 0);
        const Object owned_commit(commit);
        const std::function<void(std::uint64_t, std::uint64_t)> tell = [this](std::uint64_t done,
                                                                              std::uint64_t total) {
            last_done = done;
            last_total = total;
        };
        return checkout_tree(repository, reinterpret_cast<git_commit*>(commit), tree_, rules,
                             {.stop = stop, .on_checkout = tell});
    }

    [[nodiscard]] const fs::path& path() const { return tree_; }
    std::uint64_t last_done = 0;
    std::uint64_t last_total = 0;

  private:
    fs::path tree_;
};

std::string entry(const std::string& mode, const std::string& name) {
    return mode + " " + name + "\0"s + std::string(20, 'i');
}

} // namespace

TEST_CASE("git finds nothing to say about a tree and an index we wrote") {
    const Scratch scratch;
    shell(scratch.work(), R"sh(
        mkdir -p a/b a-b 'd e' && touch a.c a/b/c a-b/x a0 'd e/f g' &&
        printf 'caf\351' >"$(printf 'latin\351')" && touch README readme &&
        long=$(printf 'x%.0s' $(seq 200)) && mkdir -p $long/$long && touch $long/$long/$long &&
        for n in $(seq 500); do mkdir -p many/$((n % 7)) && echo $n >many/$((n % 7))/$n; done &&
        ln -s nowhere dangling && chmod +x a0 && git add -A &&
        git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub/module &&
        git commit -qm everything && git push -q ../served/repo.git main)sh");
    Place place(scratch);
    const auto facts = place.checkout("origin/main");
    INFO((facts ? "" : facts.error().text));
    REQUIRE(facts);
    CHECK(facts->has_submodules);
    CHECK(fs::is_directory(place.path() / "sub" / "module"));
    CHECK(fs::is_symlink(place.path() / "dangling"));
    CHECK(place.last_done == place.last_total);
    CHECK(place.last_total == facts->files + 1);
    CHECK(shell(place.path(), "git status --porcelain --untracked-files=all").empty());
    CHECK(shell(place.path(), "git ls-files -s") == shell(place.path(), R"sh(
        rm -f ../by-git && GIT_INDEX_FILE=../by-git git read-tree HEAD && GIT_INDEX_FILE=../by-git git ls-files -s)sh"));
    // True stat data: nothing needs to be read again. A cache of trees: what would be committed is known.
    CHECK(shell(place.path(), "git diff-files --quiet && git write-tree") ==
          shell(place.path(), "git rev-parse HEAD^{tree}"));
    CHECK(shell(place.path(), "git fsck --no-dangling").empty());
    CHECK(shell(place.path(), "git ls-files -s | wc -l") == std::format("{}", facts->files + 1));
    struct stat info{};
    REQUIRE(::stat((place.path() / "a0").c_str(), &info) == 0);
    CHECK((info.st_mode & 0111U) != 0);
}

TEST_CASE("what is left out stands in the index alone, and a conversion is what is written") {
    const Scratch scratch;
    Place place(scratch);
    CheckoutRules rules;
    std::vector<std::string> asked;
    rules.is_written = [&asked](std::string_view path) {
        asked.emplace_back(path);
        return !path.starts_with("dir/");
    };
    rules.convert = [](std::string_view path,
                       std::string_view stored) -> std::expected<std::optional<std::string>, LibraryError> {
        return path == "file" ? std::optional("converted: " + std::string(stored)) : std::nullopt;
    };
    const auto facts = place.checkout("origin/main", rules);
    INFO((facts ? "" : facts.error().text));
    REQUIRE(facts);
    CHECK(asked == std::vector<std::string>{"big", "dir/deeper/x", "file", "link", "run"});
    CHECK(facts->files == 4);
    CHECK_FALSE(fs::exists(place.path() / "dir"));
    CHECK(read_file(place.path() / "file").value() == "converted: three\n");
    CHECK(shell(place.path(), "git ls-files -t | sort") == "H big\nH file\nH link\nH run\nS dir/deeper/x");
    CHECK(shell(place.path(), "git status --porcelain") == " M file");
}

TEST_CASE("a conversion that fails ends the checkout with its words") {
    const Scratch scratch;
    Place place(scratch);
    CheckoutRules rules;
    rules.convert = [](std::string_view,
                       std::string_view) -> std::expected<std::optional<std::string>, LibraryError> {
        return std::unexpected(library_error(GIT_ERROR_FILTER, "no such filter"));
    };
    const auto facts = place.checkout("origin/main", rules);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().text == "no such filter");
}

TEST_CASE("a checkout stops when asked to") {
    const Scratch scratch;
    Place place(scratch);
    StopSource source;
    source.request({.kind = StopReason::Kind::deadline, .signal = 0});
    const auto facts = place.checkout("origin/main", {}, source.token());
    REQUIRE_FALSE(facts);
    CHECK(facts.error().rc == GIT_EUSER);
}

TEST_CASE("what is in the way is not written through or over") {
    const Scratch scratch;
    for (const std::string& way :
         {"ln -s ../outside dir"s, "ln -s ../outside file"s, "mkdir file"s, "touch dir"s, "touch link"s}) {
        Place place(scratch);
        shell(scratch.path(), "rm -rf outside && mkdir outside && cd tree && " + way);
        const auto facts = place.checkout("origin/main");
        INFO(way);
        REQUIRE_FALSE(facts);
        CHECK(facts.error().text.contains("File exists"));
        CHECK(fs::is_empty(scratch.path() / "outside"));
    }
}

TEST_CASE("as deep as a path may be is written, deeper is refused before anything is") {
    const Scratch scratch;
    // Each tree holds the one before as "d". git itself does not push such depths: the objects are shared.
    const auto nested = [&](const std::string& depth) {
        return shell(scratch.work(), "for n in $(seq " + depth + R"sh(); do echo d; done >names
            python3 - names <<'END'
import hashlib, os, sys, zlib
def write(kind, content):
    whole = b"%s %d\0%s" % (kind, len(content), content)
    name = hashlib.sha1(whole).hexdigest()
    os.makedirs(f".git/objects/{name[:2]}", exist_ok=True)
    open(f".git/objects/{name[:2]}/{name[2:]}", "wb").write(zlib.compress(whole))
    return name
tree = write(b"tree", b"100644 x\0" + bytes.fromhex(write(b"blob", b"deep")))
for name in open(sys.argv[1]):
    tree = write(b"tree", b"40000 d\0" + bytes.fromhex(tree))
print(write(b"commit", f"tree {tree}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\ndeep\n".encode()))
END)sh");
    };
    const std::string share = "echo ../../../work/.git/objects >.git/objects/info/alternates";
    for (const auto& [depth, fits] : {std::pair("400", true), std::pair("10000", false)}) {
        Place place(scratch);
        shell(place.path(), share);
        const auto facts = place.checkout(nested(depth));
        REQUIRE(facts.has_value() == fits);
        CHECK(fs::exists(place.path() / "d") == fits);
        if (!fits) {
            CHECK(facts.error().klass == GIT_ERROR_CHECKOUT);
            CHECK(facts.error().text.contains("longer than 4095 bytes"));
        }
    }
}

TEST_CASE("a tree of trees that says itself too often is refused") {
    const Scratch scratch;
    // 10^8 files in nine objects.
    shell(scratch.work(), R"sh(
        blob=$(echo x | git hash-object -w --stdin)
        tree=$(for n in $(seq 0 9); do printf "100644 blob %s\t$n\n" $blob; done | git mktree)
        for level in 1 2 3 4 5 6 7; do
            tree=$(for n in $(seq 0 9); do printf "040000 tree %s\t$n\n" $tree; done | git mktree)
        done
        git update-ref refs/heads/bomb $(git commit-tree -m bomb $tree) && git push -q ../served/repo.git bomb)sh");
    Place place(scratch);
    CheckoutRules nothing;
    nothing.is_written = [](std::string_view) { return false; };
    const auto facts = place.checkout("origin/bomb", nothing);
    REQUIRE_FALSE(facts);
    CHECK_THAT(facts.error().text, Catch::Matchers::ContainsSubstring("entries"));
}

TEST_CASE("LFS pointers count where attributes name the filter, written or not") {
    const Scratch scratch;
    shell(scratch.work(), R"sh(
        printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 3\n' 0 >pointer.bin &&
        git add . && git commit -qm 'A pointer' && git push -q ../served/repo.git main:pointer &&
        echo '*.bin filter=lfs' >.gitattributes && git add . && git commit -qm 'And its filter' &&
        git push -q ../served/repo.git main:filter)sh");
    Place plain(scratch);
    CHECK(plain.checkout("origin/pointer")->lfs_pointers == 0);
    Place filtered(scratch);
    CHECK(filtered.checkout("origin/filter")->lfs_pointers == 1);
    Place sparse(scratch);
    CheckoutRules rules;
    rules.is_written = [](std::string_view path) { return path == "pointer.bin"; };
    CHECK(sparse.checkout("origin/filter", rules)->lfs_pointers == 1);
}

TEST_CASE("names no work tree may hold") {
    for (const std::string& name : {""s,
                                    "."s,
                                    ".."s,
                                    "a/b"s,
                                    "/"s,
                                    "a\0b"s,
                                    ".git"s,
                                    ".GIT"s,
                                    ".gIt"s,
                                    "git~1"s,
                                    "GIT~1"s,
                                    ".git "s,
                                    ".git..."s,
                                    ".git . ."s,
                                    ".git::$INDEX_ALLOCATION"s,
                                    ".git\\config"s,
                                    "git~1:x"s,
                                    ".g\xe2\x80\x8cit"s,
                                    "\xef\xbb\xbf.git"s,
                                    ".git\xe2\x80\xae"s,
                                    ".Gi\xe2\x81\xaft"s}) {
        INFO(name);
        CHECK_FALSE(is_work_tree_name(name));
    }
    for (const std::string& name :
         {".gitignore"s, ".gitmodules"s, "git"s, ".gi"s, ".git2"s, "a.git"s, "git~2"s, "..."s, "a b"s,
          "\xff"s, "\xe2\x80\x8c"s, ".g\xe2\x80\x93it"s, "a\\b"s, "\n"s}) {
        INFO(name);
        CHECK(is_work_tree_name(name));
    }
    CHECK_FALSE(is_link_name(".gitmodules"));
    CHECK_FALSE(is_link_name(".GitModules"));
    CHECK(is_link_name(".gitignore"));
}

TEST_CASE("a tree is what git would have written, or an error") {
    CHECK(parse_tree("")->empty());
    const std::string good = entry("100644", "a") + entry("40000", "a-b") + entry("120000", "a.c") +
                             entry("40000", "b") + entry("100755", "c") + entry("160000", "d");
    REQUIRE(parse_tree(good));
    CHECK(parse_tree(good)->size() == 6);
    CHECK(parse_tree(entry("100664", "a"))->front().mode == GIT_FILEMODE_BLOB); // git 0.99 wrote these
    for (std::size_t size = 1; size < entry("100644", "a").size(); ++size) {
        CHECK_FALSE(parse_tree(entry("100644", "a").substr(0, size)));
    }
    for (const std::string& bad :
         {entry("100644", "a") + entry("100644", "a"), entry("100644", "b") + entry("100644", "a"),
          entry("100644", "a") + entry("100644", "a-b") + entry("40000", "a"),
          entry("40000", "a") + entry("100644", "a"), entry("100644", ".git"), entry("40000", ".."),
          entry("120000", ".gitmodules"), entry("", "a"), entry("0", "a"), entry("777777777777", "a"),
          entry("10064x", "a"), entry("20000", "a"), entry("100644", "a") + "x"}) {
        CHECK_FALSE(parse_tree(bad));
    }
}
