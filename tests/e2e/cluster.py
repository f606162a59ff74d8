"""What the end-to-end tests call a cluster: containers under a pod's security settings, servers beside them.

Everything started here carries a name with this process's id and is removed by that name.
"""

import contextlib
import dataclasses
import json
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
RUNTIME = os.environ.get("SLIPWAY_IMAGE", "localhost/slipway:dev")
TEST = os.environ.get("SLIPWAY_TEST_IMAGE", "localhost/slipway-test:dev")
STEP_SECONDS = 240

# A restricted pod: a user nobody heard of, no capability, nothing to gain, nothing to write but the volumes.
RESTRICTED = ["--user", "12345:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only",
              "--read-only-tmpfs=false"]
# Recipe A: root, no SYS_ADMIN.
RECIPE_A = ["--user", "0:0", "--cap-drop", "ALL",
            "--cap-add", "SETUID,SETGID,SETFCAP,CHOWN,DAC_OVERRIDE,FOWNER,SYS_CHROOT"]


def without_ambient(program):
    """podman gives users other than root what is added as ambient capabilities, too; Kubernetes gives them none."""
    return ["--entrypoint", json.dumps(["setpriv", "--ambient-caps=-all", "--inh-caps=-all", program])]


# Recipe B: an ordinary user; newuidmap needs the first two in the bounding set, and podman's seccomp profile lets
# chroot(2) pass only where the third is granted.
RECIPE_B = ["--user", "1000", "--cap-drop", "ALL", "--cap-add", "SETUID,SETGID,SYS_CHROOT",
            *without_ambient("/usr/bin/slipway")]

# Recipe C: what restricted Pod Security admits, with a user that has no name.
RECIPE_C = ["--user", "1000650000:0", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


def podman(*arguments, check=True, stdin=None, seconds=STEP_SECONDS):
    done = subprocess.run(["podman", *map(str, arguments)], input=stdin, capture_output=True, timeout=seconds)
    if check and done.returncode != 0:
        raise AssertionError(f"podman {shlex.join(map(str, arguments))}\n{done.stderr.decode(errors='replace')}")
    return done


def _host():
    """What hack/lib.sh found out about this machine: options for podman run, and the base image."""
    script = f'. {shlex.quote(str(TOP / "hack" / "lib.sh"))}; set -eu; ready >&2; ' \
             'printf "%s\\n" "$BASE_IMAGE" "${PODMAN_RUN[@]}"'
    lines = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.splitlines()
    return lines[0], [line for line in lines[1:] if line]


BASE, RUN_OPTIONS = _host()


def run(image, *command, options=(), check=True, stdin=None, seconds=STEP_SECONDS):
    return podman("run", "--rm", "--security-opt", "label=disable", *RUN_OPTIONS, *options, image, *command,
                  check=check, stdin=stdin, seconds=seconds)


@dataclasses.dataclass
class Outcome:
    exit: int
    out: bytes
    err: bytes

    @property
    def frames(self):
        return [json.loads(line) for line in self.out.splitlines() if line.startswith(b'{"slipway":')]

    def of(self, kind):
        return [frame[kind] for frame in self.frames if frame["kind"] == kind]

    @property
    def results(self):
        return {result["name"]: result["value"] for result in self.of("result")}

    @property
    def log(self):
        return "".join(log["text"] + ("" if log.get("more") else "\n") for log in self.of("log"))

    def story(self):
        return b"\n".join(self.out.splitlines()[-12:]).decode(errors="replace") + "\n" + \
            self.err.decode(errors="replace")[-2000:]


class Cluster:
    """Servers plus volumes; a context manager."""

    _count = 0

    def __init__(self, *serve, repository=None, tag_base=True):
        Cluster._count += 1
        self.name = f"slipway-e2e-{os.getpid()}-{Cluster._count}"
        self.serve, self.repository, self.tag_base = list(serve), repository or {}, tag_base

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            self.files = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="slipway-e2e-")))
            self.files.chmod(0o755)
            tree = self.files / "tree"
            for path, content in {"README": "a test\n", **self.repository}.items():
                target = tree / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content)
            self.state, self.work, self.servers = f"{self.name}-state", f"{self.name}-work", f"{self.name}-servers"
            for volume in (self.state, self.work):
                podman("volume", "create", volume)
                undo.callback(podman, "volume", "rm", "--force", volume, check=False)
            prepare = ("set -e; export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.com GIT_COMMITTER_NAME=t "
                       "GIT_COMMITTER_EMAIL=t@example.com; mkdir -p /srv/git; cp -r /input/tree /srv/tree; "
                       "cd /srv/tree; git init -q -b main .; git add -A; git commit -q -m first; "
                       "git clone -q --bare . /srv/git/project.git; cd /src/tests; exec python3 -B -m servers serve "
                       "--work /srv/work --git-root /srv/git --registry --lifetime 900 ")
            podman("run", "--detach", "--rm", "--security-opt", "label=disable", *RUN_OPTIONS, "--name", self.servers,
                   "--network", "host", "--volume", f"{TOP}:/src:ro", "--volume", f"{self.files}:/input:ro", TEST,
                   "sh", "-c", prepare + shlex.join(self.serve))
            undo.callback(podman, "rm", "--force", "--time", "3", self.servers, check=False)
            self.facts = self._facts()
            self.registry = self.facts["registry"]
            self.url = f"{self.facts['git']}/project.git"
            if self.tag_base:
                self.base = f"{self.registry}/base/debian:trixie"
                credentials = [f"--creds={self.user()}"] if self.user() else []
                podman("push", "--quiet", "--tls-verify=false", *credentials, BASE, f"docker://{self.base}")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    def user(self):
        return next((self.serve[at + 1] for at, word in enumerate(self.serve) if word == "--registry-user"), None)

    def _facts(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            said = podman("logs", self.servers, check=False)
            for line in said.stdout.splitlines():
                if line.startswith(b"{"):
                    return json.loads(line)
            time.sleep(0.1)
        raise AssertionError(f"the servers did not come up: {said.stdout!r} {said.stderr!r}")

    def fetch_file(self, path, name):
        """A file of the servers' container, as a file of ours that any user may read."""
        content = podman("exec", self.servers, "cat", path).stdout
        target = self.files / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def auth_file(self, name="auth.json", password=None):
        import base64

        user, _, right = self.user().partition(":")
        entry = base64.b64encode(f"{user}:{password or right}".encode()).decode()
        path = self.files / name
        path.write_text(json.dumps({"auths": {self.registry: {"auth": entry}}}))
        path.chmod(0o644)
        return path

    def step(self, verb, *options, security=RESTRICTED, mounts=(), environment=None):
        """One step in a container of its own."""
        container = [*security, "--network", "host", "--volume", f"{self.state}:/slipway/state"]
        if verb in ("build", "run"):
            container += ["--volume", f"{self.work}:/slipway/work"]
        for source, target in mounts:
            container += ["--volume", f"{source}:{target}:ro"]
        for name, value in (environment or {}).items():
            container += ["--env", f"{name}={value}"]
        done = run(RUNTIME, verb, "--output=frames", *options, options=container, check=False)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def state_files(self):
        """Every byte below the hand-off directory, to look for what must not be there."""
        script = ("cd /slipway/state && find . -type f -not -path './source/*' -not -path './image/blobs/*' "
                  "-exec cat {} +")
        return run(RUNTIME, "-c", script, options=["--user", "0", "--entrypoint", "sh", "--network", "none",
                                              "--volume", f"{self.state}:/slipway/state"]).stdout

    def pull_and_run(self, reference, *command):
        """The pushed image, on this machine, as anybody would use it."""
        credentials = [f"--creds={self.user()}"] if self.user() else []
        podman("pull", "--quiet", "--tls-verify=false", *credentials, f"docker://{reference}")
        try:
            inspected = json.loads(podman("image", "inspect", reference).stdout)[0]
            return run(reference, *command, options=["--network", "none"]).stdout.decode(), inspected
        finally:
            podman("rmi", "--force", reference, check=False)


def check_frames(outcome):
    """The recorded stream, checked by the program that ships."""
    return run(RUNTIME, "frames", "check", "-", options=["--interactive", "--network", "none"], check=False,
               stdin=outcome.out).returncode
