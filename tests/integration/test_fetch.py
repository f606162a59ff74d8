"""fetch against real git servers."""

import socket

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
    refused = slipway("fetch", url, f"--ssh-dir={sshd.ssh_dir}").failed("auth", "gitauth")
    assert "host key" in refused.error["message"]
    sshd.known_hosts.unlink()
    slipway("fetch", url, f"--ssh-dir={sshd.ssh_dir}").failed("auth", "gitauth")
    taken = slipway("fetch", url, f"--ssh-dir={sshd.ssh_dir}", "--accept-new-host-key").succeeded()
    assert "newhostkey" in [warning["code"] for warning in taken.of("warning")]


def test_tls_needs_the_right_authority(slipway, make_repository, git_root, authority):
    make_repository()
    with servers.GitHttp(git_root, tls=authority.issue("git")) as server:
        url = f"--url={server.url}/project.git"
        slipway("fetch", url, f"--ca-file={authority.certificate}").succeeded()
        refused = slipway("fetch", url, "--retries=0").failed("network")
        assert "certificate" in refused.error["message"]
        slipway("fetch", url, "--tls-verify=false").succeeded()


@pytest.mark.parametrize("scheme", ["http", "https", "git", "ssh"])
def test_an_unknown_host_is_the_network(slipway, scheme):
    done = slipway("fetch", f"--url={scheme}://no-such-host.invalid/project.git", "--retries=0")
    done.failed("network", "gitfailure")
    assert "no-such-host.invalid" in done.error["message"] and done.error["hint"]


@pytest.mark.parametrize("scheme", ["http", "https", "git", "ssh"])
def test_a_refused_connection_is_the_network(slipway, scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{closed.getsockname()[1]}/project.git"
        done = slipway("fetch", f"--url={url}", "--retries=0").failed("network", "gitfailure")
    assert "refused" in done.error["message"] and done.error["hint"]


def test_a_transient_failure_is_tried_again(slipway, make_repository, git_root):
    make_repository()
    with servers.GitHttp(git_root, faults=[503, "reset"]) as server:
        slipway("fetch", f"--url={server.url}/project.git", "--retries=3").succeeded()


def test_a_missing_repository_is_not_tried_again(slipway, git_server):
    done = slipway("fetch", f"--url={git_server.url}/nothing.git", "--retries=5").failed("build", "gitfailure")
    assert "nothing.git" in done.error["message"]
    assert len(git_server.requests) <= 2, "a final answer was retried"


def test_a_missing_branch_says_so(slipway, make_repository, git_server):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=no-such-branch")
    assert "no-such-branch" in done.failed("build", "gitcheckout").error["message"]


def test_a_missing_commit_says_so(slipway, make_repository, git_server):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--revision={'0' * 40}")
    assert "0" * 40 in done.failed("build", "gitcheckout").error["message"]


def test_a_failed_fetch_leaves_no_tree(slipway, make_repository, git_server):
    make_repository()
    slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    slipway("fetch", f"--url={git_server.url}/project.git", "--revision=nothing").failed("build")
    assert not list((slipway.state / "source").glob("*"))


def test_no_url_is_a_usage_error(slipway):
    slipway("fetch").failed("usage", "missingorinvalidargument")
