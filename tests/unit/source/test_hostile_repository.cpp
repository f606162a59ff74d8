// Repositories made to break out of their work tree. None of them may touch anything beside it.
#include "scratch.hpp"

#include <format>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;

namespace {

/// A repository whose one commit has the tree that `script` prints the id of.
std::string hostile(const Scratch& scratch, const std::string& name, const std::string& script) {
    const fs::path directory = scratch.path() / "served" / (name + ".git");
    fs::create_directories(directory);
    // raw MODE NAME ID [MODE NAME ID]…: a tree object with exactly these entries, whatever git thinks of
    // them.
    shell(directory, R"sh(git init -q --bare -b main . &&
        raw() { python3 -c 'import os, sys
a = [os.fsencode(x) for x in sys.argv[1:]]
out = b"".join(m + b" " + n + b"\0" + bytes.fromhex(i.decode()) for m, n, i in zip(a[::3], a[1::3], a[2::3]))
open("raw", "wb").write(out)' "$@" && git hash-object --literally -w -t tree raw; } &&
        payload=$(echo pwned | git hash-object -w --stdin) && export payload &&
        tree=$()sh" + script +
                         R"sh() &&
        commit=$(git commit-tree -m hostile $tree) && git update-ref refs/heads/main $commit)sh");
    return directory.string();
}

void contained(const Scratch& scratch, const std::string& url) {
    const fs::path outside = scratch.path() / "outside";
    fs::create_directories(outside);
    const GitOptions options = scratch.options(url, "main");
    const Result<Checkout> result = fetch_git(options, {}, {});
    if (!result) {
        INFO(result.error().message << " " << result.error().cause);
        CHECK(result.error().klass == ErrorClass::build);
        CHECK(fs::is_empty(options.into));
    } else {
        // What git itself would refuse as a name must not have become one.
        CHECK_FALSE(fs::exists(options.into / ".git" / "hooks" / "post-checkout"));
        CHECK_FALSE(read_file(options.into / ".git" / "config").value_or("").contains("pwned"));
    }
    CHECK(fs::is_empty(outside));
    CHECK_FALSE(fs::exists(scratch.path() / "escaped"));
    CHECK_FALSE(fs::exists(scratch.path() / "tree.git"));
}

} // namespace

TEST_CASE("tree entries named .. , . or .git in any disguise stay contained") {
    const Scratch scratch;
    int number = 0;
    for (const std::string& name :
         {std::string(".."), std::string("."), std::string("../escaped"), std::string("/escaped"),
          std::string(".git"), std::string(".GIT"), std::string("git~1"), std::string(".git "),
          std::string(".g\xe2\x80\x8cit"), std::string("..\\escaped"), std::string("")}) {
        ++number;
        INFO("as a file: " << name);
        contained(scratch, hostile(scratch, std::format("file{}", number),
                                   std::format(R"sh(raw 100644 '{}' $payload)sh", name)));
        INFO("as a directory: " << name);
        contained(
            scratch,
            hostile(scratch, std::format("dir{}", number),
                    std::format(R"sh(sub=$(printf '100755 blob %s\tpost-checkout\n' $payload | git mktree);
                                                  hooks=$(printf '040000 tree %s\thooks\n' $sub | git mktree);
                                                  raw 40000 '{}' $hooks)sh",
                                name)));
    }
}

TEST_CASE("a link and a directory of one name do not let files through the link") {
    const Scratch scratch;
    const std::string outside = (scratch.path() / "outside").string();
    for (const std::string& second : {std::string("a"), std::string("A")}) {
        for (const bool link_first : {true, false}) {
            const std::string link = "120000 a $target ";
            const std::string directory = "40000 " + second + " $sub ";
            contained(scratch, hostile(scratch, std::format("link-{}-{}", second, link_first),
                                       std::format(R"sh(target=$(printf %s '{}' | git hash-object -w --stdin);
                                             sub=$(printf '100644 blob %s\tpwned\n' $payload | git mktree);
                                             raw {}{})sh",
                                                   outside, link_first ? link : directory,
                                                   link_first ? directory : link)));
        }
    }
}

TEST_CASE("links that point out of the tree are kept as links and not followed") {
    const Scratch scratch;
    const std::string url =
        hostile(scratch, "out", R"sh(target=$(printf ../outside | git hash-object -w --stdin);
        printf '120000 blob %s\tout\n100644 blob %s\tpwned\n' $target $payload | git mktree)sh");
    contained(scratch, url);
    CHECK(fs::read_symlink(scratch.path() / "tree" / "out") == "../outside");
    contained(scratch, url); // and the second time round, when the link is there to be emptied away
}

TEST_CASE("a commit that lies about its author, date and subject is told in bounded, clean text") {
    const Scratch scratch;
    const fs::path directory = scratch.path() / "served" / "liar.git";
    fs::create_directories(directory);
    shell(directory, R"sh(git init -q --bare -b main . && tree=$(git mktree </dev/null) &&
        { printf 'tree %s\nauthor \033[2JMallory\377 <m> 99999999999999 +0000\n' $tree
          printf 'committer C <c> 99999999999999999 +0000\n\n'
          head -c 200000 /dev/zero | tr '\0' x; printf '\001\n'; } >raw &&
        git update-ref refs/heads/main $(git hash-object --literally -w -t commit raw))sh");
    const Result<Checkout> result = fetch_git(scratch.options(directory.string(), "main"), {}, {});
    REQUIRE(result);
    CHECK(result->subject.size() <= 512);
    CHECK(result->committer_date.size() == 20);
    CHECK(result->author_name.size() <= 256);
    CHECK_FALSE((result->author_name + result->subject).contains('\x1b'));
    CHECK(result->files == 0);
}
