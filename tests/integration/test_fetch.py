"""fetch against real git servers."""

import signal
import socket
import time

import pytest
import servers


def test_the_tree_and_its_commit(slipway, make_repository, git_server):
    repository = make_repository(files={"Dockerfile": "FROM scratch\n", "a/b.txt": "hello\n"})
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    assert done.results["commit"] == repository.head()
    assert (slipway.state / "source" / "a" / "b.txt").read_text() == "hello\n"
    assert done.handoff("source")


@pytest.mark.parametrize("server", ["git_server", "git_daemon"])
def test_branch_tag_and_commit(slipway, make_repository, server, request):
    server = request.getfixturevalue(server)
    repository = make_repository()
    first = repository.head()
    repository.git("tag", "v1")
    repository.git("switch", "-q", "-c", "topic")
    second = repository.commit({"data": "topic\n"})
    for revision, commit in (("topic", second), ("v1", first), (first, first), ("main", first)):
        done = slipway("fetch", f"--url={server.url}/project.git", f"--revision={revision}").succeeded()
        assert done.results["commit"] == commit, revision


def test_a_private_repository_by_token(slipway, make_repository, git_root, tmp_path):
    make_repository()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "username").write_text("x-access-token")
    (credentials / "password").write_text("to-ken-4711")
    with servers.GitHttp(git_root, tokens={"to-ken-4711"}) as server:
        url = f"--url={server.url}/project.git"
        done = slipway("fetch", url, f"--basic-auth-dir={credentials}").succeeded()
        assert b"to-ken-4711" not in done.out + done.err
        slipway("fetch", url).failed("auth", "gitauth")
        (credentials / "password").write_text("to-ken-0815")
        slipway("fetch", url, f"--basic-auth-dir={credentials}").failed("auth", "gitauth")


def test_a_private_repository_over_ssh(slipway, make_repository, sshd):
    repository = make_repository()
    url = f"--url={sshd.url}{repository.bare}"
    done = slipway("fetch", url, f"--ssh-dir={sshd.ssh_dir}").succeeded()
    assert done.results["commit"] == repository.head()
    sshd.known_hosts.write_text("")
    refused = slipway("fetch", url, f"--ssh-dir={sshd.ssh_dir}")
    assert refused.exit != 0, "an unknown host key was trusted"


def test_tls_needs_the_right_authority(slipway, make_repository, git_root, authority):
    make_repository()
    with servers.GitHttp(git_root, tls=authority.issue("git")) as server:
        url = f"--url={server.url}/project.git"
        slipway("fetch", url, f"--ca-file={authority.certificate}").succeeded()
        assert slipway("fetch", url).exit != 0


def test_an_unknown_host_is_the_network(slipway):
    slipway("fetch", "--url=http://no-such-host.invalid/project.git", "--retries=0").failed("network")


def test_a_refused_connection_is_the_network(slipway):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/project.git"
        slipway("fetch", f"--url={url}", "--retries=0").failed("network")


def test_a_transient_failure_is_tried_again(slipway, make_repository, git_root):
    make_repository()
    with servers.GitHttp(git_root, faults=[503, "reset"]) as server:
        slipway("fetch", f"--url={server.url}/project.git", "--retries=3").succeeded()


def test_a_missing_repository_is_not_tried_again(slipway, git_server):
    done = slipway("fetch", f"--url={git_server.url}/nothing.git", "--retries=5")
    assert done.exit in (10, 11), done.story()
    assert len(git_server.requests) <= 2, "a final answer was retried"


def test_a_missing_branch_says_so(slipway, make_repository, git_server):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=no-such-branch").failed("build")
    assert "no-such-branch" in done.error["message"]


def test_no_url_is_a_usage_error(slipway):
    slipway("fetch").failed("usage", "missingorinvalidargument")


def test_sigterm_ends_a_fetch_that_hangs(slipway):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        running = slipway.start("fetch", f"--url=http://127.0.0.1:{silent.getsockname()[1]}/project.git")
        running.wait_for(lambda frame: frame["kind"] == "hello")
        time.sleep(0.3)
        sent = running.signal(signal.SIGTERM)
        done = running.finish()
        assert time.monotonic() - sent < 10
        assert done.exit == 128 + signal.SIGTERM
        assert done.end["status"] == "cancelled"
