"""What the follower's tests stand on: a build manager with Quay's rules behind a real gRPC server, and a cluster that plays logs.

`Manager` is the servicer's and the lifecycle manager's behaviour as docs/quay-follower.md has it, with time that can be moved;
`World` puts it together with a `FakeCluster` and followers that can be started, stopped and killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

from slipway_quay import rpc
from slipway_quay.cluster import (
    TASKRUN,
    AlreadyExists,
    ClusterError,
    ErrorKind,
    Event,
    EventType,
    Gone,
    Kind,
    NotFound,
)
from slipway_quay.config import FollowSettings
from slipway_quay.follower import Follower
from slipway_quay.job import APP, LABEL_APP, LABEL_BUILD, LABEL_EXECUTOR, BuildJob
from slipway_quay.publisher import Connections

STREAMS = Path(__file__).parent / "streams"
EXECUTOR = "tekton"
FAST = FollowSettings(
    phase_delay=0.0,
    lease_time=1.0,
    heartbeat_interval=0.2,
    lapse=10.0,
    flush_interval=0.02,
    status_interval=0.05,
    checkpoint_interval=0.2,
    outage_timeout=20.0,
    settle_timeout=5.0,
    scheduling_timeout=20.0,
    tick=0.05,
)


def eventually(true: Callable[[], Any], what: str = "", seconds: float = 20.0) -> Any:
    """Waits for something that is going to be true; the limit only keeps a failing test from hanging."""
    until = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < until, f"did not come true within {seconds} s: {what or true}"
        time.sleep(0.01)
    return value


# --- Quay


class Job:
    def __init__(self, build_id: str, retries: int) -> None:
        self.build_id, self.retries = build_id, retries
        self.expires = time.monotonic() + 500.0
        self.last_heartbeat: float | None = None


class Manager:
    """Quay's servicer, lifecycle manager, redis and database, as far as a build's life touches them; also the Quay port."""

    FINAL = ("complete", "error", "cancelled")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        self.phases: dict[str, str] = {}
        self.logs: dict[str, list[dict[str, Any]]] = {}
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.notifications: list[dict[str, Any]] = []
        self.queue: dict[str, str] = {}  # build -> what became of its queue item
        self.calls: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.most_streams = self._streams = 0
        self.stopped: list[str] = []
        self.on_stop: Callable[[str], None] = lambda build: None
        self.before_answer: Callable[[str], None] = lambda method: None  # may raise, to break a stream
        self._server: grpc.Server | None = None
        self.address = ""

    # the server

    def serve(self, port: int = 0) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
        self._server.add_generic_rpc_handlers((rpc.handlers(self),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    @contextlib.contextmanager
    def _stream(self) -> Iterator[None]:
        with self.lock:
            self._streams += 1
            self.most_streams = max(self.most_streams, self._streams)
        try:
            yield
        finally:
            with self.lock:
                self._streams -= 1

    def _job_of(self, token: str, context: grpc.ServicerContext) -> str:
        if not token.startswith("job-token "):
            context.set_code(grpc.StatusCode.UNAUTHENTICATED)
            return ""
        return token.removeprefix("job-token ")

    def Ping(self, request: Any, context: Any) -> Any:
        return rpc.new("PingReply", reply="pong")

    def RegisterBuildJob(self, request: Any, context: Any) -> Any:
        return rpc.new("BuildPack")

    def DetermineCachedTag(self, request: Any, context: Any) -> Any:
        return rpc.new("CachedTag")

    def Heartbeat(self, requests: Any, context: Any) -> Iterator[Any]:
        with self._stream():
            for request in requests:
                job_id = self._job_of(request.job_jwt, context)
                if not job_id:
                    return
                self.calls.append(("heartbeat", job_id))
                self.before_answer("heartbeat")
                yield rpc.new("HeartbeatResponse", reply=self._beat(job_id))

    def LogMessage(self, requests: Any, context: Any) -> Iterator[Any]:
        with self._stream():
            last = None
            for request in requests:
                job_id = self._job_of(request.job_jwt, context)
                if not job_id:
                    return
                self.calls.append(("log", job_id))
                self._beat(job_id)
                number = request.sequence_number
                if last is not None and number <= last:
                    self.refused.append(f"sequence number {number} after {last}")
                    yield rpc.new("LogMessageResponse", success=False)
                    continue
                logged = self._append(job_id, request.log_message)
                last = number
                self.before_answer("log")
                yield rpc.new("LogMessageResponse", success=logged, sequence_number=number)

    def SetPhase(self, request: Any, context: Any) -> Any:
        job_id = self._job_of(request.job_jwt, context)
        if not job_id:
            return rpc.new("SetPhaseResponse")
        phase = rpc.PHASES[request.phase].lower()
        self.calls.append((phase, job_id))
        fields = ("registry_url", "base_image", "base_image_tag", "pull_username")
        pull = {name: value for name in fields if (value := getattr(request.pull_metadata, name))}
        return rpc.new("SetPhaseResponse", success=self.update_phase(job_id, phase, pull))

    # the lifecycle manager

    def schedule(self, build_id: str, retries: int = 2) -> str:
        job_id = f"building/{build_id}"
        with self.lock:
            self.jobs[job_id] = Job(build_id, retries)
            self.phases[build_id] = "waiting"
            self.queue[build_id] = "processing"
            self.logs.setdefault(build_id, [])
            self.update_phase(job_id, "build-scheduled", {})
        return job_id

    def _entry(self, build_id: str, message: str, kind: str | None, data: dict[str, Any]) -> None:
        entry: dict[str, Any] = {"message": message}
        if kind:
            entry["type"] = kind
        entry["data"] = data
        self.logs.setdefault(build_id, []).append(entry)

    def _append(self, job_id: str, message: str) -> bool:
        try:
            data = json.loads(message)
        except ValueError:
            self.refused.append(f"no JSON: {message[:100]}")
            return False
        text = str(next((data[key] for key in ("error", "status", "stream") if key in data), ""))
        step = re.search(r"Step ([0-9]+)/([0-9]+) :", text) or re.search(r"Step ([0-9]+) :", text)
        with self.lock:
            self._entry(job_id.removeprefix("building/"), text, "command" if step else None, {})
        return True

    def update_phase(self, job_id: str, phase: str, pull: dict[str, str]) -> bool:
        with self.lock:
            job = self.jobs.get(job_id)
            if job is None or self.phases[job.build_id] in self.FINAL:
                return False
            if self.phases[job.build_id] == phase:
                return True
            self.phases[job.build_id] = phase
            self._entry(job.build_id, phase, "phase", dict(pull))
            if phase in ("complete", "error"):
                if phase == "complete":
                    self._notify(job.build_id, "build_success")
                elif job.retries == 0:
                    self._notify(job.build_id, "build_failure")
                self._complete(job_id, "deleted")
        return True

    def _notify(self, build_id: str, event: str) -> None:
        carried = {name: value for name, value in self.outcomes.pop(build_id, {}).items() if value}
        self.notifications.append({"event": event, **carried})

    def _complete(self, job_id: str, queue: str) -> None:
        job = self.jobs.pop(job_id)
        self.queue[job.build_id] = queue
        self.stopped.append(job.build_id)
        self.on_stop(job.build_id)

    def _beat(self, job_id: str) -> bool:
        with self.lock:
            self.tick()
            job = self.jobs.get(job_id)
            if job is None:
                return False
            now = time.monotonic()
            if job.last_heartbeat is not None and now - job.last_heartbeat > 60.0:
                self.phases[job.build_id] = "internalerror"
                self._entry(job.build_id, "internalerror", "phase", {})
                self._complete(job_id, "again, retry restored")
                return False
            job.last_heartbeat = now
            job.expires = now + 60.0
            return True

    def tick(self) -> None:
        """What redis does by itself: keys run out."""
        with self.lock:
            for job_id, job in list(self.jobs.items()):
                if time.monotonic() > job.expires:
                    self.phases[job.build_id] = "internalerror"
                    self._complete(job_id, "again, retry consumed")

    def cancel(self, build_id: str) -> None:
        with self.lock:
            self.phases[build_id] = "cancelled"
            self.queue[build_id] = "deleted"

    # the port

    def phase(self, build_id: str) -> str | None:
        return self.phases.get(build_id)

    def retries_remaining(self, job_id: str) -> int | None:
        job = self.jobs.get(job_id)
        return None if job is None else job.retries

    def job_token(self, build_id: str, job_id: str, seconds: int) -> str:
        return f"job-token {job_id}"

    def append_log(self, build_id: str, message: str, kind: str | None, data: dict[str, Any]) -> None:
        with self.lock:
            assert isinstance(data.pop("datetime"), str)
            self._entry(build_id, message, kind, data)

    def log_entries(self, build_id: str, start: int) -> tuple[int, list[dict[str, Any]]]:
        with self.lock:
            entries = self.logs.get(build_id, [])
            return len(entries), list(entries[start:])

    def set_status(self, build_id: str, status: dict[str, Any]) -> None:
        with self.lock:
            self.statuses.setdefault(build_id, []).append(status)

    def expire(self, job_id: str) -> bool:
        with self.lock:
            job = self.jobs.get(job_id)
            if job is None:
                return False
            job.expires = 0.0
            self.tick()
            return True

    def notify(self, build_id: str, event: str, **carried: Any) -> None:
        self.notifications.append({"event": event, **{name: value for name, value in carried.items() if value}})

    def remember(self, build_id: str, error_message: str | None, image_id: str | None, manifest_digests: list[str]) -> None:
        self.outcomes[build_id] = {"error_message": error_message, "image_id": image_id, "manifest_digests": manifest_digests}

    # for comparisons

    def story(self, build_id: str) -> list[Any]:
        """The log as a reader sees it: how lines were put into messages does not count."""
        told: list[Any] = []
        for entry in self.logs.get(build_id, []):
            kind, message, data = entry.get("type"), entry["message"], entry["data"]
            if kind is not None:
                told.append({kind: message, **data})
            else:
                told.extend(message.split("\n"))
        return told


# --- the cluster


class Container:
    """One container's log: lines with the second they were written in."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.begins = 0  # lines before it were rotated away
        self.ended = False
        self.cuts = 0
        self.opened = 0
        self.silent = False  # open streams neither end nor say anything


class FakeCluster:
    """The Cluster port over a few dictionaries. `failing` makes every call raise; `cut` breaks open streams."""

    namespace = "builder"

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: list[tuple[int, Kind, Event]] = []
        self.containers: dict[tuple[str, str], Container] = {}
        self.version = 1
        self.failing: ClusterError | None = None
        self.patches: list[tuple[str, str, Any]] = []
        self.forgotten = 0  # events up to this version are gone

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing

    def _store(self, kind: Kind, value: dict[str, Any], how: EventType) -> dict[str, Any]:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        self.events.append((self.version, kind, Event(how, copy.deepcopy(value))))
        self.changed.notify_all()
        return copy.deepcopy(value)

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        with self.changed:
            self._check()
            if (kind.plural, name) not in self.objects:
                raise NotFound(f"{kind.plural} {name} not found")
            return copy.deepcopy(self.objects[kind.plural, name])

    def create(self, kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            self._check()
            name = manifest["metadata"]["name"]
            if (kind.plural, name) in self.objects:
                raise AlreadyExists(f"{kind.plural} {name} exists")
            value = copy.deepcopy(manifest)
            value["metadata"].setdefault("uid", f"uid-{name}-{self.version}")
            self.objects[kind.plural, name] = value
            return self._store(kind, value, EventType.ADDED)

    def delete(self, kind: Kind, name: str) -> None:
        with self.changed:
            self._check()
            value = self.objects.pop((kind.plural, name), None)
            if value is not None:
                self._store(kind, value, EventType.DELETED)

    def patch(self, kind: Kind, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            self._check()
            if (kind.plural, name) not in self.objects:
                raise NotFound(f"{kind.plural} {name} not found")
            value = self.objects[kind.plural, name]
            version = patch.get("metadata", {}).get("resourceVersion")
            if version is not None and version != value["metadata"]["resourceVersion"]:
                raise ClusterError(ErrorKind.CONFLICT, "changed meanwhile")
            self.patches.append((kind.plural, name, patch))
            _merge(value, patch)
            return self._store(kind, value, EventType.MODIFIED)

    def list(self, kind: Kind, selector: str) -> tuple[list[dict[str, Any]], str]:
        wanted = dict(part.split("=") for part in selector.split(","))
        with self.changed:
            self._check()
            found = [
                copy.deepcopy(value)
                for (plural, _), value in self.objects.items()
                if plural == kind.plural and wanted.items() <= value["metadata"].get("labels", {}).items()
            ]
            return found, str(self.version)

    def watch(self, kind: Kind, selector: str, version: str, timeout: float) -> Iterator[Event]:
        at, until = int(version), time.monotonic() + min(timeout, 1.0)
        while time.monotonic() < until:
            with self.changed:
                self._check()
                if at < self.forgotten:
                    raise Gone("too old")
                new = [event for number, its, event in self.events if number > at and its == kind]
                at = self.version
                if not new:
                    self.changed.wait(0.05)
            yield from new

    def pod_log(self, pod: str, container: str, *, since: str | None = None, timeout: float) -> Iterator[bytes]:
        with self.changed:
            self._check()
            if (pod, container) not in self.containers:
                raise NotFound("no such container")
            log = self.containers[pod, container]
            log.opened += 1
            cuts, at = log.cuts, log.begins
        while True:
            with self.changed:
                if log.cuts != cuts:
                    return
                new = [] if log.silent else log.lines[max(at, log.begins) :]
                at = at if log.silent else len(log.lines)
                if not new:
                    if log.ended and not log.silent:
                        return
                    self.changed.wait(0.05)
            for line in new:
                if since is None or _second(line) >= since[:19]:
                    yield line

    # for tests

    def cut(self) -> None:
        with self.changed:
            for log in self.containers.values():
                log.cuts += 1
            self.changed.notify_all()

    def status(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        with self.changed:
            value = self.objects["taskruns", name]
            change(value.setdefault("status", {}))
            self._store(TASKRUN, value, EventType.MODIFIED)


def _second(line: bytes) -> str:
    found = re.search(rb'"t":"([^"]{19})', line)
    return found[1].decode() if found else "9999"


def _merge(value: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, new in patch.items():
        if isinstance(new, dict):
            _merge(value.setdefault(key, {}), new)
        else:
            value[key] = new


# --- a build, and the world it runs in


def recorded(name: str) -> dict[str, list[bytes]]:
    """step -> lines, of a stream in streams/."""
    return {
        step: path.read_bytes().splitlines()
        for step in ("fetch", "resolve", "build", "push")
        if (path := STREAMS / name / f"{step}.frames").exists()
    }


class Build:
    """A TaskRun in the fake cluster, moved on by hand."""

    def __init__(self, world: World, build_id: str, taskrun: str) -> None:
        self.world, self.id, self.name, self.pod = world, build_id, taskrun, f"{taskrun}-pod"
        self.cluster, self.manager = world.cluster, world.manager
        self.job: BuildJob

    def pod_runs(self, steps: tuple[str, ...] = ("fetch", "resolve", "build", "push")) -> Build:
        with self.cluster.changed:
            for step in steps:
                self.cluster.containers[self.pod, f"step-{step}"] = Container()
        running = [{"name": step, "container": f"step-{step}", "running": {}} for step in steps]
        self.cluster.status(self.name, lambda status: status.update(podName=self.pod, steps=running))
        return self

    def log(self, step: str) -> Container:
        return self.cluster.containers[self.pod, f"step-{step}"]

    def says(self, step: str, lines: list[bytes]) -> Build:
        """`lines` of a recording, as the Task's steps would have said them: it gives them the TaskRun's uid for --build-id."""
        ours = b'"build_id":"%s"' % self.job.uid.encode()
        lines = [line.replace(b'"build_id":"3f1c"', ours) for line in lines]
        with self.cluster.changed:
            self.log(step).lines.extend(lines)
            self.cluster.changed.notify_all()
        return self

    def step_ends(self, step: str, exit_code: int = 0, reason: str = "Completed") -> Build:
        with self.cluster.changed:
            self.log(step).ended = True

        def change(status: dict[str, Any]) -> None:
            for one in status["steps"]:
                if one["name"] == step:
                    one.pop("running", None)
                    one["terminated"] = {"exitCode": exit_code, "reason": reason}

        self.cluster.status(self.name, change)
        return self

    def ends(self, status: str = "True", reason: str = "Succeeded", message: str = "") -> Build:
        condition = {"type": "Succeeded", "status": status, "reason": reason, "message": message}
        with self.cluster.changed:
            for (pod, _), container in self.cluster.containers.items():
                if pod == self.pod:
                    container.ended = True
        self.cluster.status(self.name, lambda value: value.update(conditions=[condition]))
        return self

    def plays(self, name: str, status: str = "True", reason: str = "Succeeded", message: str = "") -> Build:
        """A recorded stream from beginning to end."""
        self.pod_runs()
        for step, lines in recorded(name).items():
            self.says(step, lines)
            self.step_ends(step)
        return self.ends(status, reason, message)

    @property
    def phase(self) -> str:
        return self.manager.phases[self.id]

    @property
    def story(self) -> list[Any]:
        return self.manager.story(self.id)

    def is_over(self) -> bool:
        """For Quay, and for the follower."""
        return self.job.job_id not in self.manager.jobs

    def wait_until_left(self) -> Build:
        """For the follower alone: Quay keeps the job of a cancelled build until it runs out."""
        eventually(
            lambda: all(self.job.uid in follower._finished for follower, _, _ in self.world.running), f"the end of {self.id}"
        )
        return self

    def wait(self, seconds: float = 20.0) -> Build:
        eventually(self.is_over, f"the end of {self.id}; so far: {self.phase} {self.story[-5:]}", seconds)
        eventually(lambda: all(self.job.uid not in follower._sessions for follower, _, _ in self.world.running))
        return self


class World:
    def __init__(self) -> None:
        self.cluster, self.manager = FakeCluster(), Manager()
        self.manager.serve()
        self.running: list[tuple[Follower, threading.Event, threading.Thread]] = []
        self.clock: Callable[[], float] = time.monotonic

    def follow(self, settings: FollowSettings = FAST, identity: str | None = None) -> Follower:
        connect = Connections(self.manager.address, lambda job: self.manager.job_token(job.build_id, job.job_id, 60))
        follower = Follower(self.cluster, connect, settings, self.clock, quay=self.manager, executor=EXECUTOR, identity=identity)
        stop = threading.Event()

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):  # what `kill` does
                follower.run(stop)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.running.append((follower, stop, thread))
        return follower

    def stop(self) -> None:
        """All followers, in good order."""
        for _, stop, _ in self.running:
            stop.set()
        for _, _, thread in self.running:
            thread.join(20)
            assert not thread.is_alive(), "a follower did not stop"
        self.running.clear()

    def kill(self) -> None:
        """All followers at once, in whatever they were doing: no cleaning up, as a kill leaves it."""
        for follower, stop, thread in self.running:
            stop.set()
            follower._lease.release = lambda: None  # type: ignore[method-assign]
            loop = follower._loop
            if loop is not None:

                def die(loop: asyncio.AbstractEventLoop = loop) -> None:
                    for task in asyncio.all_tasks(loop):
                        task.cancel()

                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(die)
            thread.join(20)
        self.running.clear()

    def build(self, build_id: str = "3f1c", retries: int = 2, taskrun: str | None = None) -> Build:
        build = Build(self, build_id, taskrun or f"build-{build_id}")
        job_id = self.manager.schedule(build_id, retries)
        job = BuildJob(build_id, build.name, "", job_id, time.time(), "acme/app")
        labels = {LABEL_APP: APP, LABEL_BUILD: build_id, LABEL_EXECUTOR: EXECUTOR}
        assert labels == job.labels(EXECUTOR)
        made = self.cluster.create(
            TASKRUN, {"metadata": {"name": build.name, "labels": labels, "annotations": job.annotations()}, "spec": {}}
        )
        build.job = job.with_uid(made["metadata"]["uid"])
        return build

    def close(self) -> None:
        self.stop()
        self.manager.stop()
