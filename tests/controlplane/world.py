"""What builds need around the cluster, and builds as tests see them: servers, repositories, Quay's process, its log."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from plane import TOP, Plane, PlaneError, Program

TOKEN = "WRITE-TOKEN"
ROBOT = ("team+robot", "ROBOT-PASSWORD")
NAMESPACE = "builder"
OVER = ("complete", "error", "internalerror", "cancelled")


def eventually(true: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < until, f"it did not happen within {seconds:g} s: {what}"
        time.sleep(0.2)
    return value


class Servers:
    """git over SSH and a registry with logins and TLS, from tests/servers, in a container; their files are below `work`."""

    def __init__(self, work: Path) -> None:
        self.work = work
        (work / "git").mkdir(parents=True)
        self._name = f"slipway-controlplane-servers-{os.getpid()}"
        arguments = ["--work", "/srv/work", "--git-root", "/srv/git", "--ssh", "--registry", "--tls", "--registry-user",
                     f"$token:{TOKEN}", "--registry-user", ":".join(ROBOT), "--ready", "/srv/ready.json", "--lifetime", "7200"]
        options = os.environ.get("SLIPWAY_PODMAN_OPTIONS", "").split()
        self._program = Program("servers", work, [
            "podman", "run", "--rm", "--name", self._name, "--security-opt", "label=disable", "--network", "host", *options,
            "--volume", f"{TOP}:/src:ro", "--volume", f"{work}:/srv", "--workdir", "/src/tests", os.environ["SLIPWAY_TEST_IMAGE"],
            "python3", "-B", "-m", "servers", "serve", *arguments,
        ])
        ready = work / "ready.json"
        try:
            self._program.wait_until(ready.exists, 60)
            facts = json.loads(ready.read_text())
            self.registry, self.ssh = facts["registry"], facts["ssh"]
            self.ca = self._here(facts["ca"]).read_text()
            keys = self._here(facts["ssh_dir"])
            self.private_key = (keys / "id_ed25519").read_text()
            self.known_hosts = (keys / "known_hosts").read_text()
            self.base = f"{self.registry}/base/debian:trixie"
            login = f"--creds={ROBOT[0]}:{ROBOT[1]}"
            base = os.environ["SLIPWAY_BASE_IMAGE"]
            subprocess.run(["podman", "push", "--quiet", "--tls-verify=false", login, base, f"docker://{self.base}"], check=True)
        except BaseException:
            self.stop()
            raise

    def _here(self, path: str) -> Path:
        return self.work / Path(path).relative_to("/srv")

    def stop(self) -> None:
        subprocess.run(["podman", "rm", "--force", "--time", "2", self._name], capture_output=True, check=False)
        self._program.stop()

    def repository(self, dockerfile: str) -> tuple[str, str]:
        """URL and commit of a new repository with this Dockerfile; BASE in it is the base image."""
        name = uuid.uuid4().hex[:8]
        tree, bare = self.work / name, self.work / "git" / f"{name}.git"
        tree.mkdir()
        (tree / "Dockerfile").write_text(dockerfile.replace("BASE", self.base).replace("REGISTRY", self.registry))
        (tree / "README").write_text("A file to copy.\n")
        environment = os.environ | {
            f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@example.com"), ("DATE", "2026-01-01T00:00:00Z"))
        }
        for command in ("init -q -b main .", "add -A", "commit -q -m first", f"clone -q --bare . {bare}"):
            subprocess.run(["git", *command.split()], cwd=tree, env=environment, check=True)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tree, capture_output=True, text=True, check=True).stdout.strip()
        return f"{self.ssh}/srv/git/{name}.git", commit

    def digest(self, repository: str, tag: str) -> str:
        login = f"--creds=$token:{TOKEN}"
        reference = f"docker://{self.registry}/{repository}:{tag}"
        done = subprocess.run(
            ["skopeo", "inspect", "--no-tags", "--tls-verify=false", login, "--format", "{{.Digest}}", reference],
            capture_output=True, text=True, check=False)
        return done.stdout.strip()


class Quay:
    """Quay's build manager, a process (quayd.py) over one redis."""

    def __init__(self, work: Path, plane: Plane, servers: Servers, port: int, **entry: Any) -> None:
        self.plane, self.servers, self.redis_port = plane, servers, port
        self.redis = redis.StrictRedis(host="127.0.0.1", port=port, decode_responses=True)
        self._settings = work / f"quay-{uuid.uuid4().hex[:6]}.json"
        executor = {
            "EXECUTOR": "tekton",
            "K8S_API_SERVER": plane.server,
            "K8S_API_TLS_CA": plane.ca,
            "SERVICE_ACCOUNT_TOKEN": plane.token(NAMESPACE, "quay-build-manager"),
            "BUILDER_NAMESPACE": NAMESPACE,
            "SSH_KNOWN_HOSTS": servers.known_hosts,
            "CA_CERT": servers.ca,
            "POLL_INTERVAL": 1,
        }
        settings = {"redis": port, "registry": servers.registry, "executor": executor | entry}
        self._settings.write_text(json.dumps(settings))
        self._settings.chmod(0o600)
        self.start()

    def start(self) -> None:
        with open(self._settings.with_suffix(".log"), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", str(Path(__file__).parent / "quayd.py"), str(self._settings)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise PlaneError(f"Quay's process has ended:\n{self.log()[-3000:]}")
        return json.loads(line)

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._answer()["answer"]

    def log(self) -> str:
        return self._settings.with_suffix(".log").read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            assert self.process.stdin is not None
            self.process.stdin.close()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()

    def build(self, dockerfile: str, *, token: str = TOKEN, repository: str = "team/app", retries: int = 2) -> Build:
        url, commit = self.servers.repository(dockerfile)
        build = str(uuid.uuid4())
        told = {
            "private_key": self.servers.private_key,
            "token": token,
            "job_config": {"trigger_metadata": {"git_url": url, "commit": commit}, "docker_tags": ["latest", "v1"]},
        }
        self.redis.hset("test/builds", build, json.dumps(told))
        made = Build(self, build)
        scheduled = self._ask({"schedule": build, "retries": retries})
        assert scheduled[0], f"not scheduled:\n{self.log()[-3000:]}"
        return made

    def cancel(self, build: Build) -> None:
        assert self._ask({"cancel": build.id})


class Build:
    """One build, as Quay keeps it and as the cluster has it."""

    def __init__(self, quay: Quay, build: str) -> None:
        self.quay, self.id, self.plane = quay, build, quay.plane

    @property
    def phase(self) -> str:
        return str(self.quay.redis.hget("test/phases", self.id) or "waiting")

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(entry) for entry in self.quay.redis.lrange(f"builds/{self.id}/logs", 0, -1)]

    @property
    def story(self) -> list[Any]:
        """What users see, entry by entry, but for times; what differs from run to run is made alike."""
        told: list[Any] = []
        for entry in self.entries:
            data = {name: self._alike(value) for name, value in entry["data"].items() if name != "datetime"}
            if "type" in entry:
                told.append({entry["type"]: self._alike(entry["message"]), **data})
            else:
                told.extend(self._alike(line) for line in entry["message"].split("\n"))
        return told

    def _alike(self, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        servers = self.quay.servers
        text = text.replace(servers.registry, "registry.example.com").replace(servers.ssh, "ssh://git.example.com")
        for pattern, put in _ALIKE:
            text = re.sub(pattern, put, text)
        return text

    @property
    def taskrun(self) -> dict[str, Any] | None:
        text = self.plane.kubectl("-n", NAMESPACE, "get", "taskruns", "-l", f"slipway.dev/build={self.id}", "-o", "json")
        items = json.loads(text)["items"]
        return items[0] if items else None

    @property
    def pod(self) -> str:
        return str(((self.taskrun or {}).get("status") or {}).get("podName") or "")

    def container(self, step: str) -> str:
        """Its container in podman."""
        done = subprocess.run(
            ["podman", "ps", "--filter", f"label=io.kubernetes.pod.name={self.pod}",
             "--filter", f"label=io.kubernetes.container.name=step-{step}", "--format", "{{.Names}}"],
            capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def says(self, text: str, seconds: float = 180) -> None:
        eventually(lambda: any(text in entry["message"] for entry in self.entries), f"the log says {text!r}", seconds)

    def ends(self, seconds: float = 240) -> str:
        """Waits until Quay has no job for it any more; its phase then."""
        eventually(lambda: self.phase in OVER and not self.quay.redis.exists(f"building/{self.id}"), "the build ends", seconds)
        return self.phase

    def queue(self) -> list[Any]:
        """What was done to Quay's queue, but for extensions of leases."""
        told = [json.loads(entry) for entry in self.quay.redis.lrange("test/queue", 0, -1)]
        return [entry for entry in told if entry[0] != "extend_processing"]


_ALIKE = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[0-9a-f]{8}", "BUILD"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"/srv/git/[0-9a-f]{8}\.git", "/project.git"),
)
