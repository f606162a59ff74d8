"""Which commit a revision means, and how much of the history comes with it: against real git servers."""

import subprocess

import pytest
import servers


def refs(tree):
    """Names of all refs in a fetched tree."""
    done = subprocess.run(["git", "-C", str(tree), "for-each-ref", "--format=%(refname)"], capture_output=True,
                          text=True, check=True, env={"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                                                      "GIT_CONFIG_VALUE_0": "*", "PATH": "/usr/bin:/bin"})
    return done.stdout.split()


def notes(done):
    return [warning["message"] for warning in done.of("warning") if warning["code"] == "fetchnote"]


@pytest.fixture
def history(make_repository):
    """main: first, second, third; branch side from second; a light, an annotated and a nested tag."""
    repository = make_repository()
    repository.ids = [repository.head(), repository.commit({"data": "2\n"}), repository.commit({"data": "3\n"})]
    repository.git("switch", "-q", "-c", "side", repository.ids[1])
    repository.side = repository.commit({"side": "x\n"})
    repository.git("switch", "-q", "main")
    repository.git("tag", "light", repository.ids[0])
    repository.git("tag", "-m", "annotated", "annotated", repository.ids[1])
    repository.git("tag", "-m", "nested", "nested", "annotated")
    repository.git("tag", "both", repository.ids[0])
    repository.git("branch", "both", repository.ids[1])
    repository.publish()
    for name, commit in (("refs/pull/7/head", repository.side), ("refs/merge-requests/8/head", repository.ids[1])):
        repository.git("update-ref", name, commit, at=repository.bare)
    return repository


REVISIONS = {"main": 2, "refs/heads/main": 2, "HEAD": 2, "": 2, "light": 0, "annotated": 1, "nested": 1,
             "refs/tags/annotated": 1, "tags/annotated": 1, "both": 1, "refs/tags/both": 0,
             "refs/merge-requests/8/head": 1, "merge-requests/8/head": 1}


@pytest.mark.parametrize("server", ["git_server", "git_daemon"])
@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_means_what_it_means_to_git(slipway, history, server, revision, request):
    server = request.getfixturevalue(server)
    done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={revision}").succeeded()
    assert done.results["commit"] == history.ids[REVISIONS[revision]]
    assert len(refs(slipway.state / "source")) == 1, "exactly one ref is fetched"


def test_a_pull_request_by_its_ref(slipway, history, git_server):
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=refs/pull/7/head").succeeded()
    assert done.results["commit"] == history.side
    assert done.handoff("source")["ref"] == "refs/pull/7/head"


@pytest.mark.parametrize("refspec", ["refs/pull/7/head", "+refs/pull/7/head:refs/heads/pr", "refs/pull/7/head:pr"])
def test_a_refspec_says_what_to_fetch(slipway, history, git_server, refspec):
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--refspec={refspec}").succeeded()
    assert done.results["commit"] == history.side


def test_the_commit_a_detached_head_is_at(slipway, history, git_server):
    history.git("update-ref", "--no-deref", "HEAD", history.ids[0], at=history.bare)
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert done.results["commit"] == history.ids[0]


def test_an_unborn_head_asks_for_a_revision(slipway, history, git_server):
    history.git("symbolic-ref", "HEAD", "refs/heads/nothing", at=history.bare)
    done = slipway("fetch", f"--url={git_server.url}/project.git").failed("build", "gitcheckout")
    assert "no default branch" in done.error["message"] and "--revision" in done.error["hint"]


@pytest.mark.parametrize("server", ["git_server", "git_daemon"])
@pytest.mark.parametrize("revision", ["", "main", "abcdef1"])
def test_an_empty_repository_says_so(slipway, git_root, server, revision, request):
    subprocess.run(["git", "init", "-q", "--bare", str(git_root / "project.git")], check=True)
    server = request.getfixturevalue(server)
    done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={revision}").failed("build", "gitcheckout")
    assert "empty" in done.error["message"] + done.error["hint"]


# Commits by their ids


@pytest.mark.parametrize("digits", [4, 7, 12, 39])
def test_an_abbreviated_id_is_looked_up_in_the_history(slipway, history, git_server, digits):
    short = history.ids[1][:digits]
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--revision={short.upper()}").succeeded()
    assert done.results["commit"] == history.ids[1]
    assert "abbreviated" in notes(done)[0]


def test_an_ambiguous_id_names_the_candidates(slipway, make_repository, git_server):
    repository = make_repository()
    by_start, number = {}, 0
    while not any(len(ids) > 1 for ids in by_start.values()):  # 16 bits: some 300 commits by the birthday paradox
        number += 1
        commit = repository.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", f"number {number}")
        by_start.setdefault(commit[:4], []).append(commit)
    start, ids = next((start, ids) for start, ids in by_start.items() if len(ids) > 1)
    for index, commit in enumerate(ids):
        repository.git("branch", f"b{index}", commit)
    repository.publish()
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--revision={start}").failed("build", "gitcheckout")
    assert "more than one" in done.error["message"]
    assert all(commit in done.error["hint"] for commit in ids)


def test_a_branch_called_like_an_id_is_a_branch(slipway, history, git_server):
    history.git("branch", "deadbeef", history.ids[0])
    history.publish()
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=deadbeef").succeeded()
    assert done.results["commit"] == history.ids[0]


def test_an_abbreviated_id_of_nothing(slipway, history, git_server):
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=0000000000").failed("build", "gitcheckout")
    assert "0000000000" in done.error["message"]


@pytest.mark.parametrize("server", ["git_server", "git_daemon"])
@pytest.mark.parametrize("by_id", [True, False])
def test_a_commit_beneath_the_tips_is_found_in_the_end(slipway, history, server, by_id, request):
    if not by_id:  # as a server that gives out nothing but its tips
        history.git("config", "uploadpack.allowAnySHA1InWant", "false", at=history.bare)
    server = request.getfixturevalue(server)
    done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={history.ids[0]}",
                   "--depth=1").succeeded()
    assert done.results["commit"] == history.ids[0]
    history.git("tag", "-d", "light")
    assert not notes(done)  # it is the tip of a tag
    for tag in ("light", "both"):
        history.git("update-ref", "-d", f"refs/tags/{tag}", at=history.bare)
    done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={history.ids[0]}").succeeded()
    assert done.results["commit"] == history.ids[0]
    assert bool(notes(done)) != by_id


def test_a_commit_deeper_than_the_depth_of_its_refspec(slipway, history, git_server):
    history.git("config", "uploadpack.allowAnySHA1InWant", "false", at=history.bare)
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--refspec=refs/heads/main",
                   f"--revision={history.ids[0]}", "--depth=2").succeeded()
    assert done.results["commit"] == history.ids[0]
    assert "whole history" in notes(done)[0]


@pytest.mark.parametrize("allowed", ["true", "false"])
def test_a_commit_pushed_away_says_what_may_have_happened(slipway, history, git_server, allowed):
    history.git("config", "uploadpack.allowAnySHA1InWant", allowed, at=history.bare)
    gone = history.side
    history.git("branch", "-f", "side", history.ids[0])
    history.publish()
    history.git("update-ref", "-d", "refs/pull/7/head", at=history.bare)
    history.git("reflog", "expire", "--expire=now", "--all", at=history.bare)
    history.git("gc", "-q", "--prune=now", at=history.bare)
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--revision={gone}").failed("build", "gitcheckout")
    assert gone in done.error["message"] and "force pushed" in done.error["message"]


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_what_is_no_commit_is_refused(slipway, history, git_server, kind):
    target = history.git("rev-parse", "main:data" if kind == "blob" else "main^{tree}")
    history.git("tag", "odd", target)
    history.publish()
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=odd").failed("build", "gitcheckout")
    assert "not a commit" in done.error["message"]


@pytest.mark.parametrize("place", ["http", "git", "file"])
def test_a_sha256_repository_is_refused_by_name(slipway, git_root, git_server, git_daemon, place):
    tree, bare = git_root / "tree", git_root / "project.git"
    for arguments in (["init", "-q", "--object-format=sha256", "-b", "main", str(tree)],
                      ["-C", str(tree), "-c", "user.name=T", "-c", "user.email=t@x", "commit", "-q", "--allow-empty", "-mx"],
                      ["clone", "-q", "--bare", str(tree), str(bare)]):
        subprocess.run(["git", *arguments], check=True)
    url = {"http": f"{git_server.url}/project.git", "git": f"{git_daemon.url}/project.git", "file": f"file://{bare}"}[place]
    done = slipway("fetch", f"--url={url}", "--retries=2").failed("build", "gitfailure")
    assert "SHA-256" in done.error["message"], done.story()


# How much comes


def test_tags_come_when_asked_for(slipway, history, git_server):
    slipway("fetch", f"--url={git_server.url}/project.git", "--tags").succeeded()
    assert {"refs/tags/light", "refs/tags/annotated", "refs/tags/nested"} <= set(refs(slipway.state / "source"))
    slipway("fetch", f"--url={git_server.url}/project.git", "--tags", "--revision=light").succeeded()
    slipway("fetch", f"--url={git_server.url}/project.git", "--tags", "--depth=0").succeeded()


@pytest.mark.parametrize("depth, commits", [(1, 1), (2, 2), (0, 3)])
def test_depth_is_how_many_commits_come(slipway, history, git_server, depth, commits):
    slipway("fetch", f"--url={git_server.url}/project.git", f"--depth={depth}").succeeded()
    counted = subprocess.run(["git", "-C", str(slipway.state / "source"), "rev-list", "--count", "HEAD"],
                             capture_output=True, text=True, check=True)
    assert int(counted.stdout) == commits


def test_a_local_repository_comes_whole_and_says_so(slipway, history):
    for url in (f"file://{history.bare}", history.bare):
        done = slipway("fetch", f"--url={url}").succeeded()
        assert "local repository" in notes(done)[0]


def test_the_commit_is_described(slipway, history, git_server):
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    commit = history.ids[2]
    assert (done.results["commit"], done.results["short-commit"]) == (commit, commit[:7])
    source = done.handoff("source")
    assert source["author"] == "Test <test@example.com>"
    assert source["author-date"] == source["committer-date"] == "2026-01-01T00:00:00Z"
    assert source["tree"] == history.git("rev-parse", "main^{tree}")


# URLs


def test_an_ipv6_literal_a_port_and_percent_encoding(slipway, git_root, make_repository):
    make_repository("with space")
    with servers.GitHttp(git_root, address="::1") as server:
        slipway("fetch", f"--url=http://[::1]:{server.port}/with%20space.git").succeeded()


def test_percent_encoding_in_a_local_url(slipway, make_repository):
    repository = make_repository("with space")
    slipway("fetch", f"--url=file://{str(repository.bare).replace(' ', '%20')}").succeeded()
