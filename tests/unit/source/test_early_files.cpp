// Files written while their pack arrives: in whatever order objects come, the checkout ends as it would
// have without, and nothing is written that it would not write.
#include "scratch.hpp"
#include "source/checkout.hpp"
#include "source/early_files.hpp"
#include "source/tree_rules.hpp"

#include <algorithm>
#include <random>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;
using std::string_literals::operator""s;

namespace {

struct Received {
    PackType type = PackType::blob;
    git_oid id{};
    std::string content;
};

/// A clone without its files, and every object of it.
class Place {
  public:
    explicit Place(const Scratch& scratch, const std::string& revision = "origin/main")
        : tree_(scratch.path() / "tree") {
        REQUIRE(ensure_library());
        shell(scratch.path(), "rm -rf tree && git clone -q --no-checkout served/repo.git tree");
        shell(tree_, "git update-ref --no-deref HEAD '" + revision + "^{commit}'");
        git_repository* repository = nullptr;
        REQUIRE(git_repository_open(&repository, tree_.c_str()) == 0);
        repository_.reset(repository);
        git_object* commit = nullptr;
        REQUIRE(git_revparse_single(&commit, repository, "HEAD") == 0);
        commit_.reset(commit);
        git_odb* objects = nullptr;
        REQUIRE(git_repository_odb(&objects, repository) == 0);
        objects_.reset(objects);
        REQUIRE(git_odb_foreach(objects, gather, this) == 0);
        // Commits, trees, files, as git sends them.
        std::ranges::stable_sort(received, {}, &Received::type);
    }

    std::expected<CheckoutFacts, LibraryError> checkout(const EarlyFiles& early) {
        const std::vector<std::string> all;
        TreeRules rules(repository_.get(), commit(), all);
        REQUIRE(rules.prepare());
        const std::function<void(std::uint64_t, std::uint64_t)> tell =
            [this](std::uint64_t done, std::uint64_t total) { told_all = done == total; };
        return checkout_tree(repository_.get(), commit(), tree_, rules.rules(),
                             {.stop = {}, .on_checkout = tell}, &early);
    }

    [[nodiscard]] git_commit* commit() const { return reinterpret_cast<git_commit*>(commit_.get()); }
    [[nodiscard]] const fs::path& path() const { return tree_; }
    [[nodiscard]] bool nothing_written() const {
        return std::distance(fs::directory_iterator(tree_), {}) == 1; // .git
    }

    std::vector<Received> received;
    bool told_all = false;

  private:
    static int gather(const git_oid* id, void* me) {
        Place& place = *static_cast<Place*>(me);
        git_odb_object* object = nullptr;
        REQUIRE(git_odb_read(&object, place.objects_.get(), id) == 0);
        const DatabaseObject owned(object);
        place.received.push_back({.type = static_cast<PackType>(git_odb_object_type(object)),
                                  .id = *id,
                                  .content = std::string(content_of(*object))});
        return 0;
    }

    fs::path tree_;
    Repository repository_;
    Object commit_;
    Database objects_;
};

void give(EarlyFiles& early, const std::vector<Received>& objects) {
    for (const Received& object : objects) {
        early.take(object.type, object.id, object.content);
    }
}

void make_everything(const Scratch& scratch) {
    shell(scratch.work(), R"sh(
        mkdir -p a/b a-b deep/er/still && echo same >a/b/one && echo same >a/two && echo same >deep/er/still/three &&
        printf 'unix\nlines\n' >a/b/crlf.txt && printf '*.txt text eol=crlf\n' >.gitattributes &&
        printf '$Id$\n' >a-b/named && printf 'named ident\n*.bin filter=own\n' >a-b/.gitattributes &&
        echo x >a-b/y.bin && printf '[attr]dos text eol=crlf\n' >>.gitattributes &&
        printf 'z\n' >deep/er/z && printf '* dos\n' >deep/.gitattributes && : >empty &&
        printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 3\n' 1 >large.psd &&
        for n in $(seq 60); do mkdir -p many/$((n % 7)) && echo $n >many/$((n % 7))/$n; done &&
        ln -s nowhere dangling && chmod +x a/two && git add -A &&
        git commit -qm everything && git tag -am annotated everything && git push -q --tags ../served/repo.git main)sh");
}

} // namespace

TEST_CASE("whatever the order of the objects, the tree is the one git makes") {
    const Scratch scratch;
    make_everything(scratch);
    shell(scratch.path(), "git clone -q served/repo.git by-git");
    for (unsigned seed = 0; seed < 8; ++seed) {
        INFO("order " << seed);
        Place place(scratch);
        if (seed > 0) {
            std::ranges::shuffle(place.received, std::mt19937(seed));
        }
        EarlyFiles early(place.path());
        early.expect(*git_commit_id(place.commit()));
        give(early, place.received);
        const auto facts = place.checkout(early);
        INFO((facts ? "" : facts.error().text));
        REQUIRE(facts);
        CHECK(place.told_all);
        CHECK(std::to_string(facts->files) == shell(place.path(), "git ls-files | wc -l"));
        CHECK(facts->lfs_pointers == 0); // no attribute says so
        shell(scratch.path(), "diff -r --no-dereference --exclude=.git tree by-git");
        CHECK(shell(place.path(), "find . -path ./.git -prune -o -type f -perm -100 -print | sort") ==
              shell(scratch.path() / "by-git",
                    "find . -path ./.git -prune -o -type f -perm -100 -print | sort"));
        CHECK(shell(place.path(), "git diff-files --quiet && git status --porcelain").empty());
    }
}

TEST_CASE(
    "in git's order, plain files are there before the checkout begins, and what attributes change is not") {
    const Scratch scratch;
    make_everything(scratch);
    Place place(scratch);
    const std::string order = shell(place.path(), "git rev-list --objects --no-object-names -1 HEAD");
    std::ranges::sort(place.received, {},
                      [&order](const Received& each) { return order.find(hex(each.id)); });
    EarlyFiles early(place.path());
    early.expect(*git_commit_id(place.commit()));
    give(early, place.received);
    REQUIRE(early.root());
    for (const std::string& there : {"a/b/one"s, "a/two"s, "deep/er/still/three"s, "empty"s, "many/3/3"s}) {
        INFO(there);
        CHECK(fs::is_regular_file(place.path() / there) == !there.starts_with("deep/"));
    }
    for (const std::string& not_yet : {".gitattributes"s, "a/b/crlf.txt"s, "a-b/named"s, "a-b/y.bin"s,
                                       "deep/er/z"s, "large.psd"s, "dangling"s}) {
        INFO(not_yet);
        CHECK_FALSE(fs::exists(fs::symlink_status(place.path() / not_yet)));
    }
}

TEST_CASE("a tag leads to the files of its commit") {
    const Scratch scratch;
    make_everything(scratch);
    Place place(scratch);
    std::ranges::stable_partition(place.received,
                                  [](const Received& each) { return each.type == PackType::tag; });
    git_oid tag{};
    REQUIRE(git_oid_fromstr(&tag, scratch.id("everything").c_str()) == 0);
    EarlyFiles early(place.path());
    early.expect(tag);
    give(early, place.received);
    CHECK(early.root());
    CHECK(place.checkout(early));
}

TEST_CASE("nothing is written unasked, and another commit's files are not passed off as this one's") {
    const Scratch scratch;
    Place place(scratch);
    EarlyFiles unasked(place.path());
    give(unasked, place.received);
    CHECK_FALSE(unasked.root());
    CHECK(place.nothing_written());

    git_oid other{};
    REQUIRE(git_oid_fromstr(&other, scratch.id("main~1").c_str()) == 0);
    EarlyFiles early(place.path());
    early.expect(other);
    give(early, place.received);
    REQUIRE(early.root());
    const auto facts = place.checkout(early);
    REQUIRE_FALSE(facts);
    CHECK(facts.error().klass == GIT_ERROR_CHECKOUT);
}

TEST_CASE("what stands in the way ends what is written early, and the checkout says it") {
    const Scratch scratch;
    for (const std::string& way : {"ln -s ../outside dir"s, "ln -s ../outside file"s, "touch dir"s}) {
        Place place(scratch);
        shell(scratch.path(), "rm -rf outside && mkdir outside && cd tree && " + way);
        EarlyFiles early(place.path());
        early.expect(*git_commit_id(place.commit()));
        give(early, place.received);
        INFO(way);
        const auto facts = place.checkout(early);
        REQUIRE_FALSE(facts);
        CHECK(facts.error().text.contains("File exists"));
        CHECK(fs::is_empty(scratch.path() / "outside"));
    }
}

TEST_CASE("a tree with a name that is refused is not looked into") {
    const Scratch scratch;
    for (const std::string& name : {".."s, ".git"s, "a/b"s, ""s}) {
        const Place place(scratch);
        EarlyFiles early(place.path());
        const auto id = [](const std::string& content, git_object_t type) {
            git_oid made{};
            REQUIRE(git_odb_hash(&made, content.data(), content.size(), type) == 0);
            return made;
        };
        const git_oid blob = id("x", GIT_OBJECT_BLOB);
        const std::string tree =
            "100644 " + name + "\0"s + std::string(reinterpret_cast<const char*>(blob.id), GIT_OID_SHA1_SIZE);
        const std::string commit = "tree " + hex(id(tree, GIT_OBJECT_TREE)) + "\n";
        early.expect(id(commit, GIT_OBJECT_COMMIT));
        early.take(PackType::commit, id(commit, GIT_OBJECT_COMMIT), commit);
        early.take(PackType::tree, id(tree, GIT_OBJECT_TREE), tree);
        early.take(PackType::blob, blob, "x");
        CHECK(place.nothing_written());
        CHECK_FALSE(early.root());
    }
}
