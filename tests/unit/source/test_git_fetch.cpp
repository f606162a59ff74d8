// What comes out of a fetch that works: every way to name a revision, over every transport.
#include "scratch.hpp"

#include <format>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;

namespace {

Checkout fetched(const GitOptions& options, const GitCallbacks& callbacks = {}) {
    Result<Checkout> result = fetch_git(options, callbacks, {});
    if (!result) {
        FAIL(result.error().code << ": " << result.error().message << " (" << result.error().cause << ")");
    }
    return *std::move(result);
}

} // namespace

TEST_CASE("an empty revision is the remote's HEAD, one commit deep") {
    const Scratch scratch;
    const HttpServer server(scratch);
    FetchProgress last;
    std::uint64_t written = 0;
    std::vector<std::string> lines;
    GitCallbacks callbacks;
    callbacks.on_progress = [&](const FetchProgress& p) { last = p; };
    callbacks.on_checkout = [&](std::uint64_t done, std::uint64_t) { written = done; };
    callbacks.on_message = [&](std::string_view line) { lines.emplace_back(line); };
    const GitOptions options = scratch.options(server.url("/repo.git"));
    const Checkout checkout = fetched(options, callbacks);

    CHECK(checkout.commit == scratch.id("main"));
    CHECK(checkout.ref == "refs/heads/main");
    CHECK(checkout.branch == "main");
    CHECK(checkout.url == options.url);
    CHECK(checkout.committer_time == 1700000000);
    CHECK(checkout.committer_date == "2023-11-14T22:13:20Z");
    CHECK(checkout.author_name == "An Author");
    CHECK(checkout.author_email == "author@example.com");
    CHECK(checkout.subject == "Third commit");
    CHECK(checkout.shallow);
    CHECK(checkout.files == 5);
    CHECK(checkout.bytes > 300'000);
    CHECK_FALSE(checkout.has_submodules);
    CHECK(checkout.lfs_pointers == 0);
    CHECK(checkout.notes.empty());
    CHECK(last.total_objects == last.indexed_objects);
    CHECK(last.received_bytes > 0);
    CHECK(written > 0);
    CHECK_FALSE(lines.empty());

    CHECK(read_file(options.into / "file") == "three\n");
    CHECK(fs::read_symlink(options.into / "link") == "dir/deeper/x");
    CHECK((fs::status(options.into / "run").permissions() & fs::perms::owner_exec) != fs::perms::none);
    // The git program agrees that this is that commit, detached and clean, one commit deep.
    CHECK(shell(options.into, "git rev-list --count HEAD") == "1");
    CHECK(shell(options.into, "git status --porcelain").empty());
    CHECK(shell(options.into, "git symbolic-ref -q HEAD || echo detached") == "detached");
    CHECK(shell(options.into, "git remote get-url origin") == options.url);
    CHECK(shell(options.into, "git tag").empty());
}

TEST_CASE("branches, tags, full refs and commits are found over http") {
    const Scratch scratch;
    const HttpServer server(scratch);
    const std::string url = server.url("/repo.git");
    const auto check = [&](const std::string& revision, const std::string& expected, const std::string& ref) {
        INFO(revision);
        const Checkout checkout = fetched(scratch.options(url, revision));
        CHECK(checkout.commit == scratch.id(expected));
        CHECK(checkout.ref == ref);
        CHECK(shell(scratch.path() / "tree", "git rev-parse HEAD") == checkout.commit);
    };
    check("side", "side", "refs/heads/side");
    check("light", "light", "refs/tags/light");
    check("annotated", "annotated", "refs/tags/annotated");
    check("refs/tags/annotated", "annotated", "refs/tags/annotated");
    check("refs/pull/7/head", "refs/pull/7/head", "refs/pull/7/head");
    check(scratch.id("side"), "side", "");
    check(scratch.id("annotated"), "annotated", "");
}

TEST_CASE("all history comes with depth 0, and a commit beneath the tips comes by its id where the server "
          "gives it") {
    const Scratch scratch;
    const HttpServer server(scratch);
    GitOptions options = scratch.options(server.url("/repo.git"), "main");
    options.depth = 0;
    CHECK_FALSE(fetched(options).shallow);
    CHECK(shell(options.into, "git rev-list --count HEAD") == "3");

    const std::string first = scratch.id("main~2");
    SECTION("the server refuses: all branches are fetched and the commit is found in them") {
        const Checkout checkout = fetched(scratch.options(server.url("/repo.git"), first));
        CHECK(checkout.commit == first);
        CHECK(checkout.notes.size() == 1);
        CHECK(read_file(options.into / "file") == "one\n");
    }
    SECTION("the server gives any reachable commit: only that one is fetched") {
        shell(scratch.bare(), "git config uploadpack.allowReachableSHA1InWant true");
        const Checkout checkout = fetched(scratch.options(server.url("/repo.git"), first));
        CHECK(checkout.commit == first);
        CHECK(checkout.notes.empty());
        CHECK(checkout.shallow);
        CHECK(checkout.received_objects == 3);
    }
}

TEST_CASE("a refspec brings what no branch holds") {
    const Scratch scratch;
    const HttpServer server(scratch);
    const std::string hidden = scratch.id("refs/pull/7/head");
    GitOptions options = scratch.options(server.url("/repo.git"));
    options.refspec = "refs/pull/7/head:refs/heads/pr";
    CHECK(fetched(options).commit == hidden);
    options.revision = "pr";
    CHECK(fetched(options).commit == hidden);
    options.revision = hidden;
    CHECK(fetched(options).commit == hidden);
    options.revision = "side";
    CHECK(fetched(options).commit == scratch.id("side"));
    options.refspec = "+refs/heads/main";
    options.revision = scratch.id("main~1"); // deeper than the depth: found all the same
    CHECK(fetched(options).commit == scratch.id("main~1"));
}

TEST_CASE("a local repository is fetched whole, and says so") {
    const Scratch scratch;
    for (const std::string& url : {"file://" + scratch.bare().string(), scratch.work().string()}) {
        INFO(url);
        const Checkout checkout = fetched(scratch.options(url, "side"));
        CHECK(checkout.commit == scratch.id("side"));
        CHECK(checkout.url == url);
        CHECK(checkout.notes.size() == 1);
        CHECK_FALSE(checkout.shallow);
    }
}

TEST_CASE("git:// works, with a depth") {
    const Scratch scratch;
    const int port = free_port();
    const Child daemon({shell(scratch.path(), "git --exec-path") + "/git-daemon", "--listen=127.0.0.1",
                        std::format("--port={}", port), "--export-all",
                        "--base-path=" + (scratch.path() / "served").string(),
                        (scratch.path() / "served").string()});
    await_port(port);
    const std::string base = std::format("git://127.0.0.1:{}", port);
    const Checkout checkout = fetched(scratch.options(base + "/repo.git", "side"));
    CHECK(checkout.commit == scratch.id("side"));
    CHECK(checkout.shallow);

    const Result<Checkout> missing = fetch_git(scratch.options(base + "/none.git"), {}, {});
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == code::git_failure);
    CHECK(missing.error().klass == ErrorClass::build);
}

TEST_CASE("credentials reach their own server and appear nowhere in the result") {
    const Scratch scratch;
    const HttpServer server(scratch);
    GitOptions options = scratch.options(server.url("/auth/repo.git"), "main");
    options.credentials.basic = BasicAuth{.username = "user", .password = "pass"};
    CHECK(fetched(options).commit == scratch.id("main"));

    options.credentials = {};
    options.url = "http://user:pass@127.0.0.1:" + server.port() + "/auth/repo.git";
    const Checkout checkout = fetched(options);
    CHECK(checkout.url == "http://127.0.0.1:" + server.port() + "/auth/repo.git");
    CHECK_FALSE(shell(options.into, "cat .git/config .git/logs/HEAD").contains("pass"));
}

TEST_CASE("https trusts the given authority, for the host it vouches for, and nothing else") {
    const Scratch scratch;
    shell(scratch.path(),
          R"(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test \
        -addext subjectAltName=IP:127.0.0.1,DNS:git.example.com -keyout key.pem -out ca.pem 2>/dev/null && cat key.pem ca.pem >both.pem)");
    const HttpServer server(scratch, "https.log", scratch.path() / "both.pem");
    GitOptions options = scratch.options("https://127.0.0.1:" + server.port() + "/auth/repo.git", "main");
    options.credentials.basic = BasicAuth{.username = "user", .password = "pass"};

    Result<Checkout> untrusted = fetch_git(options, {}, {}); // before the authority is known to this process
    REQUIRE_FALSE(untrusted);
    CHECK(untrusted.error().klass == ErrorClass::network);
    CHECK_FALSE(untrusted.error().transient);
    CHECK(untrusted.error().message.contains("not signed by a known authority"));
    CHECK_FALSE(server.log().contains("Basic"));

    options.tls_verify = false;
    CHECK(fetch_git(options, {}, {}));
    options.tls_verify = true;
    options.ca_file = (scratch.path() / "none.pem").string();
    CHECK(fetch_git(options, {}, {}).error().klass == ErrorClass::usage);
    options.ca_file = (scratch.path() / "ca.pem").string();
    CHECK(fetched(options).commit == scratch.id("main"));
    options.url = "https://localhost:" + server.port() + "/auth/repo.git";
    untrusted = fetch_git(options, {}, {});
    REQUIRE_FALSE(untrusted);
    INFO(untrusted.error().message << " | " << untrusted.error().cause);
    CHECK(untrusted.error().message.contains("another name"));
}

TEST_CASE("what the directory held is replaced, what its links point to is not touched") {
    const Scratch scratch;
    const fs::path tree = scratch.path() / "tree";
    const fs::path outside = scratch.path() / "outside";
    fs::create_directories(tree / "old" / "deep");
    fs::create_directories(outside);
    shell(scratch.path(),
          "echo keep >outside/kept; echo old >tree/old/deep/file; ln -s ../outside tree/away; "
          "chmod 0500 tree/old/deep");
    fetched(scratch.options(scratch.bare().string(), "main"));
    CHECK_FALSE(fs::exists(tree / "old"));
    CHECK_FALSE(fs::is_symlink(fs::symlink_status(tree / "away")));
    CHECK(fs::exists(outside / "kept"));

    fs::create_directory_symlink(outside, scratch.path() / "alias");
    GitOptions options = scratch.options(scratch.bare().string(), "main");
    options.into = scratch.path() / "alias";
    const Result<Checkout> refused = fetch_git(options, {}, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().klass == ErrorClass::usage);
    CHECK(fs::exists(outside / "kept"));
}

TEST_CASE("submodules and Git LFS pointers are noticed") {
    const Scratch scratch;
    shell(scratch.work(), R"(
        git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),vendor/sub &&
        echo '*.bin filter=lfs diff=lfs merge=lfs -text' >.gitattributes &&
        printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' 0 >a.bin &&
        printf 'not a pointer' >b.bin && git add .gitattributes a.bin b.bin && git commit -qm lfs &&
        git push -q ../served/repo.git main)");
    const Checkout checkout = fetched(scratch.options(scratch.bare().string(), "main"));
    CHECK(checkout.has_submodules);
    CHECK(checkout.lfs_pointers == 1);
}

TEST_CASE("neither hooks nor configuration nor attributes of the repository make anything run") {
    const Scratch scratch;
    shell(scratch.work(), R"(
        printf '* filter=evil\n*.crlf text eol=crlf\n' >.gitattributes && printf 'a\nb\n' >x.crlf &&
        printf '[filter "evil"]\n smudge = touch smudged\n' >.gitconfig && mkdir -p hooks &&
        printf '#!/bin/sh\ntouch "$PWD/hooked"\n' >hooks/post-checkout && chmod +x hooks/post-checkout &&
        git add . && git commit -qm evil && git push -q ../served/repo.git main)");
    const GitOptions options = scratch.options(scratch.bare().string(), "main");
    fetched(options);
    CHECK_FALSE(fs::exists(options.into / "smudged"));
    CHECK_FALSE(fs::exists(options.into / "hooked"));
    CHECK(read_file(options.into / "x.crlf") == "a\r\nb\r\n");
}
