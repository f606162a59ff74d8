"""Git LFS from a server of others' making: real git-lfs uploads to giftless, slipway fetches from it."""

import pytest
import servers

pytestmark = pytest.mark.skipif(not servers.giftless.AVAILABLE, reason="giftless is not installed")


def payload(name, size):
    return (name.encode() * (size // len(name) + 1))[:size]


FILES = {"big.bin": payload("big", 3_000_000), "a/one.bin": payload("one", 100_000), "b/two.bin": payload("one", 100_000)}


@pytest.fixture
def server(tmp_path):
    with servers.Giftless(tmp_path / "giftless") as running:
        yield running


@pytest.fixture(autouse=True)
def uploaded(make_repository, server):
    """A repository whose *.bin git-lfs has stored on the server."""
    repository = make_repository("project", {"Dockerfile": "FROM scratch\n"})
    repository.git("lfs", "install", "--local", "--skip-repo")
    repository.git("config", "core.hooksPath", "/dev/null")
    url = f"{server.url}/team/project.git/info/lfs"
    repository.commit({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
                       ".lfsconfig": f"[lfs]\n\turl = {url}\n", **FILES}, "large files")
    login = f"://_jwt:{server.token('obj:team/project/*:read,write')}@"
    repository.git("-c", f"lfs.url={url.replace('://', login)}", "-c", "lfs.locksverify=false", "lfs", "push", "--all",
                   repository.bare)


def fetch(slipway, git_server, server, tmp_path, scope="obj:team/project/*:read"):
    token = server.token(scope)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / ".git-credentials").write_text(f"http://_jwt:{token}@127.0.0.1:{server.port}\n")
    (secret / ".gitconfig").write_text("[credential]\n\thelper = store\n")
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--basic-auth-dir={secret}")
    assert token.encode() not in done.out
    return done


def test_what_git_lfs_uploaded_comes_back(slipway, git_server, server, tmp_path):
    fetch(slipway, git_server, server, tmp_path).succeeded()
    for path, content in FILES.items():
        assert (slipway.state / "source" / path).read_bytes() == content


def test_without_a_login_it_is_refused(slipway, git_server):
    slipway("fetch", f"--url={git_server.url}/project.git").failed("auth", "gitauth")


def test_a_login_for_something_else_is_refused(slipway, git_server, server, tmp_path):
    fetch(slipway, git_server, server, tmp_path, scope="obj:team/another/*:read").failed("auth", "gitauth")


def test_an_object_it_has_not_got(slipway, git_server, server, tmp_path):
    for each in (tmp_path / "giftless" / "objects").rglob("*"):
        if each.is_file() and each.stat().st_size == len(FILES["big.bin"]):
            each.unlink()
    failed = fetch(slipway, git_server, server, tmp_path).failed("build", "gitcheckout")
    assert "big.bin" in failed.error["message"]
    source = slipway.state / "source"
    assert not source.exists() or not any(source.iterdir())
