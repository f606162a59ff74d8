"""What a fetch leaves behind, by git's own judgement: a sound repository and a clean work tree."""

import os
import subprocess

import pytest

PLAIN = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_CONFIG_COUNT": "1",
         "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def git(tree, *arguments):
    done = subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True,
                          env={**os.environ, **PLAIN})
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).strip()


def history(repository):
    """Forty commits over files that change a little each time: deltas of trees and of files."""
    for number in range(40):
        repository.commit({f"src/{n % 5}/file{n}": f"line {number}\n" * (n + 1) + "tail\n" * 400
                           for n in range(number % 7, 60, 7)}, f"change {number}")
    repository.git("repack", "-adq", at=repository.bare)


@pytest.mark.parametrize("depth", [1, 3, 0])
@pytest.mark.parametrize("server", ["git_server", "git_daemon"])
def test_git_finds_the_repository_sound_and_the_tree_clean(slipway, make_repository, request, server, depth):
    repository = make_repository()
    history(repository)
    (repository.tree / "link").symlink_to("src/0")
    (repository.tree / "run").write_text("#!/bin/sh\n")
    (repository.tree / "run").chmod(0o755)
    commit = repository.commit({})
    url = request.getfixturevalue(server).url
    slipway("fetch", f"--url={url}/project.git", f"--depth={depth}").succeeded()
    tree = slipway.state / "source"
    assert git(tree, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert git(tree, "status", "--porcelain", "--ignored") == ""
    assert git(tree, "rev-parse", "HEAD") == commit
    assert git(tree, "ls-files", "-s") == repository.git("ls-files", "-s")
    assert git(tree, "rev-list", "--count", "HEAD") == str(depth or 42)
    packs = sorted(path.suffix for path in (tree / ".git/objects/pack").iterdir())
    assert packs == [".idx", ".pack"], packs
    assert git(tree, "verify-pack", *map(str, (tree / ".git/objects/pack").glob("*.idx"))) == ""


def test_a_file_larger_than_what_is_kept_in_memory(slipway, make_repository, git_server):
    content = os.urandom(1 << 20) * 40
    make_repository(files={"large": content})
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert (slipway.state / "source/large").read_bytes() == content
    assert git(slipway.state / "source", "status", "--porcelain") == ""


def test_many_files_in_one_directory(slipway, make_repository, git_server):
    make_repository(files={f"all/{n:05}": f"{n}\n" for n in range(5000)})
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    tree = slipway.state / "source"
    assert len(list((tree / "all").iterdir())) == 5000
    assert git(tree, "status", "--porcelain") == ""
