"""SIGTERM in each phase: out within ten seconds, `cancelled`, exit status 143, results written."""

import signal
import socket
import threading

import pytest

PLAIN = "--tls-verify=false"


@pytest.fixture
def cancel(slipway, tmp_path):
    """cancel(verb, options, ready) → the outcome of a step that got SIGTERM once ready(running) came back."""

    def run(verb, options, ready, number=signal.SIGTERM):
        reason, message = tmp_path / "error-reason", tmp_path / "error-message"
        running = slipway.start(verb, *options, f"--result=error-reason={reason}", f"--result=error-message={message}")
        ready(running)
        sent = running.signal(number)
        done = running.finish(20)
        assert done.exit == 128 + number, done.story()
        assert done.took(sent) < 10, done.story()
        if number == signal.SIGTERM:
            done.cancelled()
        assert reason.read_text() == "cancelled"
        assert message.read_text() == done.error["message"]
        assert done.results["error-reason"] == "cancelled"
        return done

    return run


class Silent:
    """A server that takes connections and says `greeting`, then nothing more."""

    def __init__(self, greeting=b""):
        self.greeting, self.taken, self._open = greeting, threading.Event(), []

    def __enter__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def _serve(self):
        try:
            while True:
                connection, _ = self._socket.accept()
                self._open.append(connection)
                connection.sendall(self.greeting)
                self.taken.set()
        except OSError:
            pass

    def __exit__(self, *_):
        # shutdown() wakes the accept(); close() alone would not.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            connection.close()

    def wait(self, _):
        assert self.taken.wait(20)


@pytest.mark.parametrize("url, greeting", [
    ("http://127.0.0.1:{}/a.git", b""),
    ("http://127.0.0.1:{}/a.git", b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n"
                                  b"Content-Length: 1000\r\n\r\n001e# service=git-upload-pack\n0000"),
    ("https://127.0.0.1:{}/a.git", b""),
    ("git://127.0.0.1:{}/a.git", b""),
    ("ssh://git@127.0.0.1:{}/a.git", b""),
    ("ssh://git@127.0.0.1:{}/a.git", b"SSH-2.0-silent\r\n"),
], ids=["http", "http-body", "https", "git", "ssh", "ssh-greeting"])
def test_sigterm_in_a_fetch_from_a_silent_server(cancel, sshd, url, greeting):
    with Silent(greeting) as server:
        done = cancel("fetch", [f"--url={url.format(server.port)}", f"--ssh-dir={sshd.ssh_dir}"], server.wait)
        assert not (done.state / "source.json").exists()


def test_sigterm_while_waiting_for_another_try(cancel):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a.git"
        cancel("fetch", [f"--url={url}", "--retries=50"],
               lambda running: running.wait_for(lambda frame: frame["kind"] == "warning"))


def test_sigterm_in_a_resolve_from_a_stalled_registry(cancel, sources, relay):
    relay.rule = lambda method, path: "stall" if "manifests" in path else None
    source = sources({"Dockerfile": f"FROM {relay.address}/base/small:1\n"})
    done = cancel("resolve", [f"--source={source}", PLAIN], lambda _: relay.stalled.wait(20))
    assert not (done.state / "plan.json").exists()


def test_sigterm_in_a_pull_from_a_stalled_registry(cancel, slipway, sources, relay, base):
    source = sources({"Dockerfile": f"FROM {relay.address}/base/small:1\nRUN true\n"})
    slipway("resolve", f"--source={source}", PLAIN).succeeded()
    relay.rule = lambda method, path: "stall" if "blobs" in path else None
    done = cancel("build", [PLAIN], lambda _: relay.stalled.wait(30))
    assert [phase["name"] for phase in done.of("phase")] == ["pulling", "error"]
    assert not done.of("command")
    assert not [path for path in slipway.work.rglob("*") if not path.is_dir()], "the storage was not cleaned up"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT"])
def test_sigterm_in_a_push_to_a_stalled_registry(cancel, slipway, resolved, fake_buildah, relay, method):
    resolved({"Dockerfile": "FROM scratch\nCOPY data /data\n", "data": f"data {method}\n"})
    slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=A", "--storage=vfs").succeeded()
    relay.rule = lambda verb, path: "stall" if verb == method or (method == "PUT" and verb == "PATCH") else None
    done = cancel("push", [f"--image={relay.address}/stalled/{method.lower()}:1", PLAIN],
                  lambda _: relay.stalled.wait(20))
    assert not (done.state / "pushed.json").exists()
    assert "IMAGE_DIGEST" not in done.results


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_that_mean_stop(cancel, number):
    with Silent() as server:
        done = cancel("fetch", [f"--url=http://127.0.0.1:{server.port}/a.git"], server.wait, number)
        assert done.end["status"] == "cancelled"


def test_sigterm_ends_a_run_in_the_step_it_is_in(cancel, make_repository, git_server, relay):
    relay.rule = lambda method, path: "stall"
    make_repository(files={"Dockerfile": f"FROM {relay.address}/base/small:1\n"})
    done = cancel("run", [f"--url={git_server.url}/project.git", f"--image={relay.address}/x/y:1", PLAIN],
                  lambda _: relay.stalled.wait(20))
    assert [frame["step"] for frame in done.frames if frame["kind"] == "end"] == ["fetch", "resolve"]
