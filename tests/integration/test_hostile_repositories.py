"""Repositories made to do harm (tests/hostile/make_repositories.py): refused, or kept inside their tree."""

import stat
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hostile"))

import make_repositories  # noqa: E402


def listing(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.parametrize("name", make_repositories.REPOSITORIES)
def test_a_hostile_repository_stays_where_it_is_put(slipway, git_root, git_server, tmp_path, name):
    outcome = make_repositories.REPOSITORIES[name].outcome
    make_repositories.build(name, git_root / "project.git")
    outside = slipway.state / "outside"  # where links of the tree lead
    outside.mkdir()
    source = slipway.state / "source"
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--retries=0", "--submodules=false",
                   environment={"HOME": str(slipway.home)})
    if outcome == "kept":
        done.succeeded()
    elif outcome == "refused" or done.exit:
        assert done.error["class"] in ("build", "network"), done.story()  # network: the server itself could not read it
        assert listing(source) == [], "a refused tree leaves nothing"
    assert listing(outside) == [] and listing(slipway.home) == []
    assert {path.name for path in slipway.state.iterdir()} <= {"source", "outside", "source.json"}
    assert not list(tmp_path.rglob("escaped"))
    config = source / ".git/config"
    if config.exists():
        assert "evil" not in config.read_text() and not (source / ".git/hooks/post-checkout").exists()
    for path in source.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), path
        assert not mode & (stat.S_ISUID | stat.S_ISVTX), path
    assert b"\x1b[2J" not in done.out  # frames escape what is no text
