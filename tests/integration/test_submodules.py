"""Submodules: what git would have put there, in git's own layout, and nothing a hostile .gitmodules asks for."""

import os
import subprocess

import pytest
import servers

SAFE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "PATH": "/usr/bin:/bin"}


def git(tree, *arguments):
    done = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, env=SAFE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def notes(done):
    return [warning["message"] for warning in done.of("warning") if warning["code"] == "fetchnote"]


@pytest.fixture
def tree(slipway):
    return slipway.state / "source"


@pytest.fixture
def link(make_repository):
    """link(parent, {path: (commit, url)}, names) → the parent has these gitlinks and a .gitmodules that says so."""

    def make(parent, links, names=None, more=""):
        lines = []
        for path, (commit, url) in links.items():
            name = (names or {}).get(path, path)
            parent.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
            if url is not None:
                lines.append(f'[submodule "{name}"]\n\tpath = {path}\n\turl = {url}\n')
        (parent.tree / ".gitmodules").write_text("".join(lines) + more)
        parent.git("add", ".gitmodules")
        parent.git("commit", "-q", "-m", "submodules")
        parent.publish()
        return parent.head()

    return make


def clean(tree):
    """What real git thinks of the whole tree: nothing to say, every submodule at its commit."""
    assert git(tree, "status", "--porcelain") == ""
    status = git(tree, "submodule", "status", "--recursive").splitlines()
    assert all(line.startswith(" ") for line in status), status
    return [line.split()[1] for line in status]


@pytest.mark.parametrize("depth", [1, 0])
def test_submodules_come_with_theirs_as_git_lays_them_out(slipway, make_repository, git_server, link, tree, depth):
    inner = make_repository("inner", {"inner.txt": "inner\n"})
    middle = make_repository("middle", {"middle.txt": "middle\n"})
    link(middle, {"deep/inner": (inner.head(), "../inner.git")})
    middle.commit({"later": "x\n"})
    outer = make_repository("project")
    link(outer, {"libs/middle": (middle.git("rev-parse", "HEAD~1"), f"{git_server.url}/middle.git"),
                 "again": (inner.head(), "../inner.git")}, {"again": "another name"})
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--depth={depth}").succeeded()
    assert (tree / "libs/middle/deep/inner/inner.txt").read_text() == "inner\n"
    assert not (tree / "libs/middle/later").exists(), "the linked commit counts, not the branch"
    assert sorted(clean(tree)) == ["again", "libs/middle", "libs/middle/deep/inner"]
    assert (tree / ".git/modules/another name/HEAD").is_file() and (tree / "again/.git").is_file()
    assert git(tree / "libs/middle/deep/inner", "rev-parse", "HEAD").strip() == inner.head()
    assert (git(tree / "libs/middle", "rev-parse", "--is-shallow-repository") == "true\n") == (depth == 1)
    git(tree, "submodule", "update", "--init", "--recursive", "--no-fetch")
    assert not [warning for warning in done.of("warning")]
    slipway("fetch", f"--url={git_server.url}/project.git", f"--depth={depth}").succeeded()


def test_without_submodules_their_directories_are_empty(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), "../inner.git")})
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--submodules=false").succeeded()
    assert list((tree / "inner").iterdir()) == []
    assert "submodules" in [warning["code"] for warning in done.of("warning")]


def test_only_the_submodules_asked_for(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {path: (inner.head(), "../inner.git") for path in ("a/one", "a/two", "ab", "c")})
    slipway("fetch", f"--url={git_server.url}/project.git", "--submodule-path=a/", "--submodule-path=./c").succeeded()
    assert [path for path in ("a/one", "a/two", "ab", "c") if (tree / path / "Dockerfile").exists()] \
        == ["a/one", "a/two", "c"]
    assert git(tree, "status", "--porcelain") == ""


def test_a_commit_that_no_branch_holds(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    hidden = inner.git("commit-tree", "HEAD^{tree}", "-m", "hidden")
    inner.git("push", "-q", inner.bare, f"{hidden}:refs/changes/1")
    inner.git("config", "uploadpack.hideRefs", "refs/changes", at=inner.bare)
    link(outer, {"inner": (hidden, "../inner.git")})
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert git(tree / "inner", "rev-parse", "HEAD").strip() == hidden


def test_a_commit_beneath_the_tips_of_a_server_that_gives_tips_only(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    first = inner.head()
    inner.commit({"data": "later\n"})
    inner.git("config", "uploadpack.allowAnySHA1InWant", "false", at=inner.bare)
    link(outer, {"inner": (first, "../inner.git")})
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert clean(tree) == ["inner"]
    assert notes(done)[0].startswith("inner: fetched the whole history")


def test_over_git_and_from_a_local_repository(slipway, make_repository, git_daemon, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), "../inner.git")})
    slipway("fetch", f"--url={git_daemon.url}/project.git").succeeded()
    assert clean(tree) == ["inner"]
    slipway("fetch", f"--url={outer.bare}").succeeded()
    assert clean(tree) == ["inner"]


def test_a_link_nobody_configured_stays_empty_with_a_warning(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"known": (inner.head(), "../inner.git"), "unknown": (inner.head(), None)},
         more='[submodule "x"]\n\tpath = urlless\n[submodule "known"]\n\tupdate = checkout\n')
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert (tree / "known/data").exists() and list((tree / "unknown").iterdir()) == []
    assert "unknown" in notes(done)[0]


# Failures


def test_which_submodule_failed_stands_in_the_error(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"good": (inner.head(), "../inner.git"), "libs/bad": ("1" * 40, "../inner.git")})
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitcheckout")
    assert "submodule libs/bad" in done.error["message"] and "1" * 40 in done.error["message"]
    assert list(tree.iterdir()) == [], "half a tree is none"
    link(outer, {"libs/bad": (inner.head(), "../nothing.git")})
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitfailure")
    assert "submodule libs/bad" in done.error["message"] and "nothing.git" in done.error["message"]
    assert list(tree.iterdir()) == []


def test_a_transient_failure_of_a_submodule_costs_only_its_own_try(slipway, make_repository, git_root, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    with servers.GitHttp(git_root) as first, servers.GitHttp(git_root, faults=[503, "reset"]) as second:
        link(outer, {"inner": (inner.head(), f"{second.url}/inner.git")})
        slipway("fetch", f"--url={first.url}/project.git").succeeded()
        assert len([path for _, path in first.requests if "info/refs" in path]) == 1
    assert clean(tree) == ["inner"]


# Credentials: each host its own


def test_credentials_reach_a_submodule_of_the_same_host_only(slipway, make_repository, git_root, link, tmp_path):
    inner, outer = make_repository("inner"), make_repository("project")
    with servers.GitHttp(git_root, tokens={"to-ken-1"}) as mine, servers.GitHttp(git_root, tokens={"to-ken-2"}) as other:
        (slipway.home / ".git-credentials").write_text(
            f"http://x:to-ken-1@{mine.address}\nhttp://y:to-ken-2@{other.address}\n")
        link(outer, {"same": (inner.head(), "../inner.git"), "other": (inner.head(), f"{other.url}/inner.git")})
        done = slipway("fetch", f"--url={mine.url}/project.git").succeeded()
        assert b"to-ken" not in done.out
        (slipway.home / ".git-credentials").write_text(f"http://x:to-ken-1@{mine.address}\n")
        other.credentials.clear()
        done = slipway("fetch", f"--url={mine.url}/project.git").failed("auth", "gitauth")
        assert "submodule other" in done.error["message"]
        assert not any(other.credentials), "shown to another host"


def test_a_basic_auth_directory_is_for_the_host_of_the_url(slipway, make_repository, git_root, link, tmp_path):
    inner, outer = make_repository("inner"), make_repository("project")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "username").write_text("ada")
    (secret / "password").write_text("pa-ss-wo-rd")
    with servers.GitHttp(git_root, users={"ada": "pa-ss-wo-rd"}) as mine, \
            servers.GitHttp(git_root, users={"ada": "pa-ss-wo-rd"}) as other:
        link(outer, {"same": (inner.head(), "../inner.git")})
        slipway("fetch", f"--url={mine.url}/project.git", f"--basic-auth-dir={secret}").succeeded()
        link(outer, {"same": (inner.head(), f"{other.url}/inner.git")})
        slipway("fetch", f"--url={mine.url}/project.git", f"--basic-auth-dir={secret}").failed("auth", "gitauth")
        assert not any(other.credentials), "shown to a host that only .gitmodules names"


def test_the_urls_own_credentials_hold_for_relative_submodules(slipway, make_repository, git_root, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), "../inner.git")})
    with servers.GitHttp(git_root, users={"ada": "pa-ss-wo-rd"}) as server:
        url = server.url.replace("http://", "http://ada:pa-ss-wo-rd@")
        done = slipway("fetch", f"--url={url}/project.git").succeeded()
    assert b"pa-ss-wo-rd" not in done.out + done.err
    assert not [path for path in tree.rglob("config") if b"pa-ss-wo-rd" in path.read_bytes()]


def test_a_password_in_gitmodules_is_masked(slipway, make_repository, git_root, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    with servers.GitHttp(git_root) as first, servers.GitHttp(git_root, users={"ada": "pa-ss-wo-rd"}) as second:
        url = second.url.replace("http://", "http://ada:pa-ss-wo-rd@")
        link(outer, {"inner": (inner.head(), f"{url}/inner.git")})
        done = slipway("fetch", f"--url={first.url}/project.git").succeeded()
        assert b"pa-ss-wo-rd" not in done.out + done.err
        assert "pa-ss-wo-rd" not in (tree / ".git/config").read_text()
        link(outer, {"inner": (inner.head(), f"{url}/nothing.git")})
        done = slipway("fetch", f"--url={first.url}/project.git").failed("build")
        assert b"pa-ss-wo-rd" not in done.out + done.err


# What a hostile .gitmodules says

HOSTILE_NAMES = ["..", "../../escaped", "a/../../../escaped", "/escaped", "a//b", "a/./b", "..\\\\..\\\\escaped", "x" * 300]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_would_leave_its_place_is_refused(slipway, make_repository, git_server, link, tree, name):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), "../inner.git")}, {"inner": name})
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitfailure")
    assert "named" in done.error["message"] and done.error["where"]["file"] == ".gitmodules"
    assert not list(slipway.state.parent.rglob("escaped"))
    assert list(tree.iterdir()) == []


@pytest.mark.parametrize("names", [("a", "a/hooks"), ("a/modules/b", "a"), ("same", "same")])
def test_names_within_each_other_are_refused(slipway, make_repository, git_server, link, names):
    inner, outer = make_repository("inner"), make_repository("project")
    first, second = names
    link(outer, {"one": (inner.head(), "../inner.git"), "two": (inner.head(), "../inner.git")},
         {"one": first, "two": second})
    done = slipway("fetch", f"--url={git_server.url}/project.git")
    if first == second:  # one entry with two paths: the first counts, as in git; the other has no entry
        assert "two" in notes(done.succeeded())[0]
    else:
        assert "within" in done.failed("build", "gitfailure").error["message"]


@pytest.mark.parametrize("path", ["../escaped", "/escaped", ".git/hooks", "a/../../escaped", ".GIT", "-x"])
def test_a_path_that_is_no_link_of_the_tree_means_nothing(slipway, make_repository, git_server, link, tree, path):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), "../inner.git")},
         more=f'[submodule "odd"]\n\tpath = {path}\n\turl = ../inner.git\n')
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert clean(tree) == ["inner"]
    assert not list(slipway.state.parent.rglob("escaped"))


@pytest.mark.parametrize("url", [
    "--upload-pack=touch /tmp/pwned", "-x", "ext::sh -c touch% /tmp/pwned", "ssh://-oProxyCommand=touch%20x/a",
    "fd::17", "http://a b/c", "../../../../../x.git", "../../../../..", "javascript://x/y", "relative/path"])
def test_a_url_that_is_no_url_is_the_authors_fault(slipway, make_repository, git_server, link, tree, url):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), f'"{url}"')})
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitfailure")
    assert "submodule inner" in done.error["message"]
    assert not os.path.exists("/tmp/pwned") and list(tree.iterdir()) == []


@pytest.mark.parametrize("form", ["file://{}", "{}", "file://localhost{}"])
def test_a_local_repository_is_refused_to_a_remote_one(slipway, make_repository, git_server, link, tree, form):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), form.format(inner.bare))})
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitfailure")
    assert "local" in done.error["message"] and list(tree.iterdir()) == []


def test_an_update_command_is_never_run(slipway, make_repository, git_server, link, tree, tmp_path):
    inner, outer = make_repository("inner"), make_repository("project")
    pwned = tmp_path / "pwned"
    link(outer, {"inner": (inner.head(), "../inner.git")},
         more=f'[submodule "inner"]\n\tupdate = !touch {pwned}\n\tbranch = --x\n\tfetchRecurseSubmodules = no\n'
              f'[include]\n\tpath = /etc/passwd\n[core]\n\tfsmonitor = touch {pwned}\n')
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert not pwned.exists() and (tree / "inner/data").exists()
    assert "touch" not in (tree / ".git/config").read_text()


def test_update_none_leaves_a_submodule_alone(slipway, make_repository, git_server, link, tree):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), "../inner.git")}, more='[submodule "inner"]\n\tupdate = none\n')
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert list((tree / "inner").iterdir()) == [] and "inner" in notes(done)[0]


@pytest.mark.parametrize("content", ["[submodule", "[submodule \"x\"]\n\turl", "\0\1\2", "=", "[" * 5000])
def test_a_gitmodules_that_cannot_be_read(slipway, make_repository, git_server, link, content):
    inner, outer = make_repository("inner"), make_repository("project")
    link(outer, {"inner": (inner.head(), None)}, more=content)
    done = slipway("fetch", f"--url={git_server.url}/project.git")
    if done.exit:
        assert done.failed("build", "gitfailure").error["where"]["file"] == ".gitmodules"
    else:  # a key without a value is no fault in git's eyes
        assert notes(done)


def test_a_gitmodules_that_is_a_link_is_refused(slipway, make_repository, git_server, tmp_path):
    outer, inner = make_repository("project"), make_repository("inner")
    secret = tmp_path / "modules"
    secret.write_text(f'[submodule "x"]\n\tpath = inner\n\turl = {inner.bare}\n')
    target = outer.git("hash-object", "-w", "--stdin", stdin=str(secret))
    tree = outer.git("mktree", stdin=f"120000 blob {target}\t.gitmodules\n160000 commit {inner.head()}\tinner\n")
    outer.git("update-ref", "refs/heads/main", outer.git("commit-tree", "-m", "link", tree))
    outer.publish()
    slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitfailure")


def test_a_chain_of_submodules_ends_somewhere(slipway, make_repository, git_server, link, tree):
    """A cycle of URLs: every commit links the one before it in the same repository."""
    repository = make_repository("project")
    commit = repository.head()
    for _ in range(20):
        commit = link(repository, {"again": (commit, "../project.git")})
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitfailure")
    assert "16 levels" in done.error["message"] and list(tree.iterdir()) == []
