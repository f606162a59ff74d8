"""What the integration tests stand on: the shipped static binary, real servers, a scripted buildah.

Runs inside the test image (hack/test does that). The binary is /usr/bin/slipway, or what SLIPWAY names.
Every run of the binary through `slipway` is held to the frame contract, whatever the test is about.
"""

import base64
import dataclasses
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import servers  # noqa: E402
import servers.image  # noqa: E402
import stream  # noqa: E402

BINARY = os.environ.get("SLIPWAY", "/usr/bin/slipway")
FAKES = Path(__file__).resolve().parents[1] / "fakes"
COMMIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "Test", "GIT_AUTHOR_EMAIL": "test@example.com", "GIT_AUTHOR_DATE": "1767225600 +0000",
    "GIT_COMMITTER_NAME": "Test", "GIT_COMMITTER_EMAIL": "test@example.com",
    "GIT_COMMITTER_DATE": "1767225600 +0000", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

# Classes and their exit codes: docs/frames.md.
EXIT = {"usage": 2, "build": 10, "auth": 11, "network": 12, "registry": 13, "pod": 14, "resource": 15,
        "internal": 16}


@dataclasses.dataclass
class Outcome:
    """How one run of the binary ended."""

    exit: int
    out: bytes
    err: bytes
    state: Path
    frames: list = dataclasses.field(default_factory=list)
    ended: float = dataclasses.field(default_factory=time.monotonic)

    def took(self, since):
        """Seconds from `since` (monotonic) to the end of the process."""
        return self.ended - since

    def of(self, kind):
        """Payloads of one kind, in order."""
        return [frame[kind] for frame in self.frames if frame["kind"] == kind]

    @property
    def error(self):
        errors = self.of("error")
        assert len(errors) == 1, f"{len(errors)} error frames; stderr: {self.err.decode(errors='replace')}"
        return errors[0]

    @property
    def end(self):
        return self.of("end")[-1]

    @property
    def results(self):
        return {result["name"]: result["value"] for result in self.of("result")}

    @property
    def log(self):
        """What was printed under the step, lines joined again."""
        return "".join(log["text"] + ("" if log.get("more") else "\n") for log in self.of("log"))

    def handoff(self, name):
        return json.loads((self.state / f"{name}.json").read_text())

    def succeeded(self):
        assert self.exit == 0, self.story()
        assert self.end["status"] == "succeeded", self.story()
        return self

    def failed(self, klass, code=None):
        """Asserts class, exit code and code together, since consumers read any of the three."""
        assert self.exit == EXIT[klass], self.story()
        assert self.error["class"] == klass, self.story()
        assert self.end == {**self.end, "status": "failed", "exit": self.exit}, self.story()
        if code:
            assert self.error["code"] == code, self.story()
        assert self.error["message"].strip() and "\n" not in self.error["message"]
        return self

    def cancelled(self):
        """SIGTERM was understood: its class, its exit status, its results."""
        assert self.exit == 128 + signal.SIGTERM, self.story()
        assert (self.error["class"], self.error["code"]) == ("cancelled", "cancelled"), self.story()
        assert (self.end["status"], self.end["exit"]) == ("cancelled", self.exit), self.story()
        return self

    def commands(self, state):
        """Numbers of the commands that were reported in that state, in order."""
        return [command["n"] for command in self.of("command") if command["state"] == state]

    def story(self):
        """For the message of a failed assertion."""
        return (f"exit {self.exit}\n" + "\n".join(json.dumps(frame) for frame in self.frames[-15:])
                + "\nstderr: " + self.err.decode(errors="replace")[-2000:])


class Running:
    """A binary that still runs: wait for a frame, send a signal, then finish()."""

    def __init__(self, argv, environment, state, directory):
        self.state = state
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment, cwd=directory, start_new_session=True)
        self.out = b""

    def wait_for(self, matches, seconds=20):
        """Reads until a frame for which matches(frame) holds; returns it."""
        deadline, seen = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            frames, _ = stream.read(self.out[:self.out.rfind(b"\n") + 1])
            for frame in frames[seen:]:
                if matches(frame):
                    return frame
            seen = len(frames)
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    break
                self.out += piece
        raise AssertionError(f"no such frame within {seconds} s; stream so far: {self.out[-2000:]!r}")

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return time.monotonic()

    def finish(self, seconds=30, ended=True):
        try:
            out, err = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
            raise
        self.out += out
        frames = stream.check(self.out, ended)
        if ended and frames:
            # The program's own opinion of its stream must be the same as ours.
            checked = subprocess.run([BINARY, "frames", "check", "-"], input=self.out, capture_output=True, timeout=30)
            assert checked.returncode == 0, checked.stdout + checked.stderr + self.out[-2000:]
        return Outcome(self.process.returncode, self.out, err, self.state, frames)


class Slipway:
    """Runs the binary with a hand-off directory of its own per test."""

    def __init__(self, tmp_path):
        self.state, self.work = tmp_path / "state", tmp_path / "work"
        self.state.mkdir()
        self.work.mkdir()
        self.home = tmp_path / "home"
        self.home.mkdir()

    def environment(self, more=None):
        # Nothing of the surroundings leaks in: no proxies, no SLIPWAY_ options, no credentials.
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home), **(more or {})}

    def argv(self, verb, *options):
        argv = [BINARY, verb, f"--state={self.state}", "--output=frames"]
        if verb in ("build", "run"):
            argv.append(f"--work={self.work}")
        return argv + [str(option) for option in options]

    def start(self, verb, *options, environment=None, directory=None):
        return Running(self.argv(verb, *options), self.environment(environment), self.state, directory)

    def __call__(self, verb, *options, environment=None, seconds=60, directory=None):
        """One step, to its end."""
        return self.start(verb, *options, environment=environment, directory=directory).finish(seconds)

    def plain(self, *arguments, environment=None, stdin=b"", seconds=30):
        """A verb that is no step (version, frames, doctor, --help): as it is."""
        done = subprocess.run([BINARY, *map(str, arguments)], input=stdin, capture_output=True,
                              env=self.environment(environment), timeout=seconds)
        return Outcome(done.returncode, done.stdout, done.stderr, self.state)


class Repository:
    """A git repository with a working tree to commit from and a bare one to serve."""

    def __init__(self, root: Path, name):
        self.name, self.bare = name, root / f"{name}.git"
        self.tree = root.parent / "trees" / name
        self.tree.parent.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main", self.tree, at=root)
        self.git("init", "-q", "--bare", "-b", "main", self.bare, at=root)
        # Fetching any commit by its id is what forges allow.
        self.git("config", "uploadpack.allowAnySHA1InWant", "true", at=self.bare)

    def git(self, *arguments, at=None, stdin=""):
        done = subprocess.run(["git", *map(str, arguments)], cwd=at or self.tree, capture_output=True, text=True, input=stdin,
                              env={**os.environ, **COMMIT_ENVIRONMENT})
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, files, message="change"):
        """files: {path: text or bytes, or None to delete}. Returns the commit's id."""
        for path, content in files.items():
            target = self.tree / path
            if content is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.publish()
        return self.head()

    def head(self):
        return self.git("rev-parse", "HEAD")

    def publish(self):
        self.git("push", "-q", "--force", "--all", self.bare)
        self.git("push", "-q", "--force", "--tags", self.bare)


def auth_file(path, address, name, password):
    """An auth file in config.json form; returns its path."""
    entry = base64.b64encode(f"{name}:{password}".encode()).decode()
    path.write_text(json.dumps({"auths": {address: {"auth": entry}}}))
    return path


@pytest.fixture
def small():
    """An empty file system of a few MiB, mounted by hack/test: SLIPWAY_SMALL says where. One test at a time has it."""
    directory = Path(os.environ.get("SLIPWAY_SMALL", "/nowhere"))
    if not directory.is_mount():
        pytest.skip("SLIPWAY_SMALL names no small file system")

    def empty():
        for path in directory.iterdir():
            subprocess.run(["rm", "-rf", str(path)], check=True)

    with open(Path(tempfile.gettempdir()) / "slipway-small.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        empty()
        yield directory
        empty()


@pytest.fixture
def slipway(tmp_path):
    return Slipway(tmp_path)


@pytest.fixture
def git_root(tmp_path):
    root = tmp_path / "git"
    root.mkdir()
    return root


@pytest.fixture
def make_repository(git_root):
    """make_repository(name, {path: content}) → Repository with one commit."""

    def make(name="project", files=None):
        repository = Repository(git_root, name)
        repository.commit(files or {"Dockerfile": "FROM scratch\nCOPY data /data\n", "data": "data\n"}, "first")
        return repository

    return make


@pytest.fixture
def git_server(git_root):
    with servers.GitHttp(git_root) as server:
        yield server


@pytest.fixture
def git_daemon(git_root, tmp_path):
    with servers.GitDaemon(git_root, tmp_path) as server:
        yield server


@pytest.fixture
def sshd(tmp_path):
    with servers.Sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return servers.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """One for all tests: push to names of your own."""
    with servers.Registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory):
    with servers.Registry(tmp_path_factory.mktemp("private-registry"), users={"ada": "pa-ss-wo-rd"}) as server:
        yield server


@pytest.fixture(scope="session")
def read_only_registry(tmp_path_factory):
    with servers.Registry(tmp_path_factory.mktemp("read-only-registry"), read_only=True) as server:
        yield server


@pytest.fixture(scope="session")
def base(registry):
    """Reference of a small base image with a shell, on `registry`."""
    registry.put_image("base/small", "1", *servers.image.layer(), servers.image.CONFIG)
    return f"{registry.address}/base/small:1"


@pytest.fixture(scope="session")
def networked_base(registry):
    """The same with programs that reach a network: bash (/dev/tcp) and ssh."""
    registry.put_image("base/networked", "1", *servers.image.layer(("bash", "ssh")), servers.image.CONFIG)
    return f"{registry.address}/base/networked:1"


@pytest.fixture
def relay(registry):
    """`registry` by another address, which can be told to misbehave: see servers.Relay."""
    with servers.Relay(registry.address) as server:
        yield server


@pytest.fixture
def sources(tmp_path):
    """sources({path: content}) → a source tree."""

    def make(files):
        source = tmp_path / "source"
        source.mkdir(exist_ok=True)
        for path, content in files.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(content)
        return source

    return make


@pytest.fixture
def planned(slipway, sources, base):
    """planned(dockerfile, files) → resolve has understood it; the Dockerfile may say ${BASE}."""

    def make(dockerfile, files=None, *options):
        source = sources({"Dockerfile": dockerfile, **(files or {})})
        return slipway("resolve", f"--source={source}", f"--build-arg=BASE={base}", "--tls-verify=false",
                       *options).succeeded()

    return make


@pytest.fixture
def built(slipway, planned):
    """built(dockerfile, files, *options of build) → how the real buildah ended."""

    def make(dockerfile, files=None, *options, resolve=(), **more):
        planned(dockerfile, files, *resolve)
        return slipway("build", "--tls-verify=false", *options, **more)

    return make


@pytest.fixture
def fake_buildah(tmp_path):
    """fake_buildah(do="exit", status=7, …) → path for --buildah; .record is what it was called with."""
    scenario, record = tmp_path / "scenario.json", tmp_path / "buildah-calls"
    wrapper = tmp_path / "fake" / "buildah"

    def make(do="ok", **details):
        scenario.write_text(json.dumps({"do": do, "record": str(record), **details}))
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\nexec "{FAKES / "buildah"}" --fake-scenario "{scenario}" "$@"\n')
        wrapper.chmod(0o755)
        return wrapper

    make.calls = lambda: [json.loads(line) for line in record.read_text().splitlines()]
    return make


@pytest.fixture
def resolved(slipway, tmp_path):
    """resolved({path: content}) → a hand-off directory in which `build` can start, without a network."""

    def make(files):
        source = tmp_path / "source"
        for path, content in files.items():
            target = source / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
        slipway("resolve", f"--source={source}").succeeded()
        return source

    return make
