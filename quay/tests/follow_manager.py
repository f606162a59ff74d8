"""A build manager with Quay's rules behind a real gRPC server: the servicer's and the lifecycle manager's behaviour as
docs/quay-follower.md has it, with time that can be moved."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from slipway_quay import rpc


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
