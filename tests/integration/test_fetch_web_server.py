"""Git over HTTP behind lighttpd: its own way with connections, chunks, logins and TLS, not that of our gateway."""

import pytest
import servers

USERS = {"ada": "pa-ss-wo-rd"}


needs_tls = pytest.mark.skipif(not servers.lighttpd.HAS_TLS, reason="lighttpd-mod-openssl is not installed")


@pytest.fixture
def history(make_repository):
    repository = make_repository()
    repository.ids = [repository.head(), repository.commit({"data": "2\n"}), repository.commit({"data": "x\n" * 200_000})]
    repository.git("tag", "-m", "annotated", "annotated", repository.ids[1])
    repository.publish()
    repository.git("update-ref", "refs/pull/7/head", repository.ids[1], at=repository.bare)
    return repository


def secret(tmp_path, password=USERS["ada"]):
    directory = tmp_path / "secret"
    directory.mkdir(exist_ok=True)
    (directory / "username").write_text("ada")
    (directory / "password").write_text(password)
    return f"--basic-auth-dir={directory}"


@pytest.mark.parametrize("depth", [1, 2, 0])
@pytest.mark.parametrize(("revision", "commit"), [("main", 2), ("annotated", 1), ("refs/pull/7/head", 1), ("", 2)])
def test_a_revision(slipway, history, git_root, revision, commit, depth):
    with servers.Lighttpd(git_root) as server:
        done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={revision}", f"--depth={depth}")
    assert done.succeeded().results["commit"] == history.ids[commit]


def test_a_commit_by_its_id_at_and_below_the_depth(slipway, history, git_root):
    with servers.Lighttpd(git_root) as server:
        for commit in history.ids:
            done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={commit}").succeeded()
            assert done.results["commit"] == commit
        short = slipway("fetch", f"--url={server.url}/project.git", f"--revision={history.ids[0][:9]}").succeeded()
    assert short.results["commit"] == history.ids[0]


@pytest.mark.parametrize("tls", [False, pytest.param(True, marks=needs_tls)])
def test_a_login(slipway, history, git_root, authority, tmp_path, tls):
    more = [f"--ca-file={authority.certificate}"] if tls else []
    with servers.Lighttpd(git_root, users=USERS, tls=authority.issue("web") if tls else None) as server:
        done = slipway("fetch", f"--url={server.url}/project.git", secret(tmp_path), *more).succeeded()
        assert done.results["commit"] == history.ids[2]
        assert USERS["ada"].encode() not in done.out
        slipway("fetch", f"--url={server.url}/project.git", *more).failed("auth", "gitauth")
        slipway("fetch", f"--url={server.url}/project.git", secret(tmp_path, "another"), *more).failed("auth", "gitauth")


@needs_tls
def test_its_certificate_is_checked(slipway, history, git_root, authority):
    with servers.Lighttpd(git_root, tls=authority.issue("web")) as server:
        slipway("fetch", f"--url={server.url}/project.git", f"--ca-file={authority.certificate}").succeeded()
        slipway("fetch", f"--url={server.url}/project.git").failed("network", "gitfailure")


def test_a_repository_that_is_not_there(slipway, history, git_root):
    with servers.Lighttpd(git_root) as server:
        slipway("fetch", f"--url={server.url}/another.git").failed("build", "gitfailure")
