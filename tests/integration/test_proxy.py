"""Proxies: tinyproxy, and a small one of our own where tinyproxy cannot misbehave; for git and for the registry client.

Servers listen on loopback, which is never proxied, so they are asked for by names that only the proxies know.
"""

from contextlib import ExitStack

import pytest
import servers
from servers.process import accepts, start

SECRET = "pro-xy-pass-4711"
QUICK = ("--retries=0", "--connect-timeout=20s", "--timeout=60s")


class Tinyproxy:
    """The real one. It leads everything to `upstream`, which knows the names."""

    def __init__(self, work, upstream, user=None):
        self.work, self.upstream, self.user = work, upstream, user

    def __enter__(self):
        config = self.work / "tinyproxy.conf"

        def argv(port):
            config.write_text(f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 20\nMaxClients 20\n"
                              f'LogFile "{self.work / "tinyproxy.txt"}"\nUpstream http {self.upstream}\n'
                              + (f"BasicAuth {self.user} {SECRET}\n" if self.user else ""))
            return ["tinyproxy", "-d", "-c", str(config)]

        self._program, self.port = start(argv, self.work / "tinyproxy.log", accepts)
        self.address = f"127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self._program.stop()


@pytest.fixture
def origin(make_repository, git_root, authority):
    """git.test by http and by https; `proxy` leads there."""
    make_repository()
    tls = authority.issue("git.test", ("DNS:git.test",))
    with ExitStack() as running:
        plain = running.enter_context(servers.GitHttp(git_root))
        secure = running.enter_context(servers.GitHttp(git_root, tls=tls))
        plain.names = {"git.test": ("127.0.0.1", plain.port), "198.51.100.7": ("127.0.0.1", plain.port),
                       "2001:db8::7": ("127.0.0.1", plain.port), "git.test:443": ("127.0.0.1", secure.port)}
        plain.secure = secure
        yield plain


@pytest.fixture
def proxy(origin):
    with servers.ConnectProxy(origin.names) as server:
        yield server


@pytest.fixture
def fetch(slipway, authority):
    def run(url, environment, *options):
        return slipway("fetch", f"--url={url}", f"--ca-file={authority.certificate}", *QUICK, *options,
                       environment=environment)

    return run


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("user", [None, "ada"], ids=["open", "with a password"])
def test_git_through_tinyproxy(fetch, proxy, tmp_path, scheme, user):
    with Tinyproxy(tmp_path, proxy.address, user) as tiny:
        address = f"{user}:{SECRET}@{tiny.address}" if user else tiny.address
        done = fetch(f"{scheme}://git.test/project.git", {f"{scheme}_proxy": f"http://{address}"}).succeeded()
        assert SECRET.encode() not in done.out + done.err
        assert proxy.requests
        if user:
            for wrong in (f"http://{tiny.address}", f"http://ada:wr-o-ng-pass@{tiny.address}"):
                refused = fetch(f"{scheme}://git.test/project.git", {f"{scheme}_proxy": wrong})
                # To plain http tinyproxy says 401 to a wrong password, as the server would.
                said = "proxy" if scheme == "https" or "wr-o-ng" not in wrong else "credentials"
                assert said in refused.failed("auth", "gitauth").error["message"]
                assert b"wr-o-ng" not in refused.out + refused.err


# Which variable counts. "P" is the proxy, "X" one that refuses.


@pytest.mark.parametrize(("scheme", "environment"), [
    ("http", {"http_proxy": "P"}), ("http", {"HTTP_PROXY": "P"}), ("http", {"all_proxy": "P"}),
    ("http", {"ALL_PROXY": "P"}), ("http", {"http_proxy": "P", "HTTP_PROXY": "X"}),
    ("http", {"http_proxy": "P", "all_proxy": "X", "https_proxy": "X"}), ("http", {"http_proxy": "P", "no_proxy": "a.test"}),
    ("http", {"http_proxy": "P", "no_proxy": "git.test:81, .other.test,10.0.0.0/8"}),
    ("https", {"https_proxy": "P"}), ("https", {"HTTPS_PROXY": "P", "http_proxy": "X"}), ("https", {"ALL_PROXY": "P"}),
    ("https", {"https_proxy": "P", "no_proxy": "git.test:80"})])
def test_the_variable_that_counts(fetch, proxy, scheme, environment):
    with servers.ConnectProxy(refuse=500) as other:
        values = {"P": f"http://{proxy.address}", "X": other.address}
        fetch(f"{scheme}://git.test/project.git",
              {name: values.get(value, value) for name, value in environment.items()}).succeeded()
        assert proxy.requests and not other.requests


@pytest.mark.parametrize(("host", "exceptions"), [
    ("git.test", "git.test"), ("git.test", "test"), ("git.test", ".test"), ("git.test", "GIT.test"), ("git.test", "*"),
    ("git.test", "git.test:80"), ("198.51.100.7", "198.51.100.0/24"), ("198.51.100.7", "198.51.100.7:80"),
    ("[2001:db8::7]", "2001:db8::/32"), ("[2001:db8::7]", "[2001:db8::7]:80")])
def test_what_no_proxy_excepts_is_asked_directly(fetch, proxy, host, exceptions):
    url, environment = f"http://{host}/project.git", {"http_proxy": f"http://{proxy.address}"}
    fetch(url, environment).succeeded()
    asked = len(proxy.requests)
    assert fetch(url, {**environment, "no_proxy": exceptions}, "--connect-timeout=300ms").exit != 0
    assert len(proxy.requests) == asked


def test_loopback_is_never_proxied(fetch, origin, proxy):
    fetch(f"{origin.url}/project.git", {"http_proxy": f"http://{proxy.address}", "ALL_PROXY": proxy.address}).succeeded()
    assert not proxy.requests


def test_ssh_takes_no_proxy(slipway, make_repository, sshd, proxy):
    repository = make_repository("by-ssh")
    slipway("fetch", f"--url={sshd.url}{repository.bare}", f"--ssh-dir={sshd.ssh_dir}",
            environment={name: f"http://{proxy.address}" for name in ("http_proxy", "https_proxy", "all_proxy")}).succeeded()
    assert not proxy.requests


# Proxies that are ill.


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("refuse", "klass", "code"), [
    (407, "auth", "gitauth"), (403, None, None), (502, "network", "gitfailure"), (503, "network", "gitfailure"),
    ("hang", "network", "gitfailure"), ("reset", "network", "gitfailure")])
def test_a_proxy_that_refuses(fetch, origin, scheme, refuse, klass, code):
    with servers.ConnectProxy(origin.names, refuse=refuse) as ill:
        done = fetch(f"{scheme}://git.test/project.git", {f"{scheme}_proxy": f"http://ada:{SECRET}@{ill.address}"},
                     f"--stall-timeout={'1s' if refuse == 'hang' else '30s'}")
    # To plain http a proxy's 403 is the server's: nothing tells them apart.
    done.failed(klass or {"http": "auth", "https": "network"}[scheme], code)
    assert ill.requests
    assert SECRET.encode() not in done.out + done.err


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(fetch, origin, scheme):
    with servers.ConnectProxy() as gone:
        pass
    done = fetch(f"{scheme}://git.test/project.git", {f"{scheme}_proxy": f"http://ada:{SECRET}@{gone.address}"})
    assert "proxy" in done.failed("network", "gitfailure").error["message"]
    assert SECRET.encode() not in done.out + done.err


def test_a_proxy_of_a_kind_not_spoken_is_a_usage_error(fetch):
    done = fetch("http://git.test/project.git", {"http_proxy": "socks5://127.0.0.1:1"})
    assert "http_proxy" in done.failed("usage", "missingorinvalidargument").error["message"]


# The registry client.


@pytest.fixture
def far_registry(tmp_path, authority):
    """registry.test, by https behind a proxy."""
    tls = authority.issue("registry.test", ("DNS:registry.test", "IP:127.0.0.1"))
    with servers.Registry(tmp_path / "registry", tls=tls, authority=authority) as server:
        server.put_image("base/small", "1", *servers.image.layer(), servers.image.CONFIG)
        yield server


@pytest.mark.parametrize("user", [None, "ada"], ids=["open", "with a password"])
def test_a_base_image_and_a_push_through_tinyproxy(slipway, resolved, sources, far_registry, fake_buildah, authority,
                                                   tmp_path, user):
    port = far_registry.address.rpartition(":")[2]
    with servers.ConnectProxy({"registry.test": ("127.0.0.1", int(port))}) as leads, \
            Tinyproxy(tmp_path, leads.address, user) as tiny:
        environment = {"HTTPS_PROXY": f"http://{user + ':' + SECRET + '@' if user else ''}{tiny.address}"}
        trust = f"--ca-file={authority.certificate}"
        source = sources({"Dockerfile": "FROM registry.test/base/small:1\n"})
        done = slipway("resolve", f"--source={source}", trust, environment=environment).succeeded()
        assert SECRET.encode() not in done.out + done.err
        resolved({"Dockerfile": "FROM scratch\nCOPY data /data\n", "data": "data\n"})
        slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=A", "--storage=vfs").succeeded()
        done = slipway("push", "--image=registry.test/some/image:1", trust, environment=environment).succeeded()
        assert far_registry.digest("some/image", "1") == done.results["IMAGE_DIGEST"]
        if user:
            wrong = {"HTTPS_PROXY": f"http://ada:wr-o-ng-pass@{tiny.address}"}
            done = slipway("push", "--image=registry.test/some/image:1", trust, "--retries=0", environment=wrong)
            assert "proxy" in done.failed("network", "network").error["message"]
            assert b"wr-o-ng" not in done.out + done.err
