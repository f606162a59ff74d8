"""Starts, stops, counts and tidies up builds as TaskRuns: all of the executor that needs nothing of Quay's code.

Quay's rules it keeps (the build manager's own code is their source):
- `start` returns within `start_timeout` (< 30 s, the life of an unscheduled job) or fails having left nothing behind; it
  sends no phase, for Quay marks the job as scheduled afterwards.
- `stop` never raises: it runs in threads that an exception would end for good.
- `stop` knows nothing but the id, may come from another process, twice, or for what is gone.
- Quay does not tell executors of cancelled builds, nor of jobs it failed to schedule: `tend` finds them by the build's phase.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from slipway_quay import inside, job, taskrun
from slipway_quay.cluster import SECRET, TASKRUN, AlreadyExists, Cluster, ClusterError, Json, NotFound
from slipway_quay.config import Config
from slipway_quay.job import BuildJob
from slipway_quay.taskrun import BuildPack, PackError

logger = logging.getLogger(__name__)
T = TypeVar("T")

UNSCHEDULED_AGE = 90.0  # seconds to look at a build whose phase says that it isn't running, before it counts as forgotten
ORPHAN_AGE = 120.0  # seconds to look at a Secret without TaskRun, before its start counts as cut short
OVERDUE = 300.0  # seconds past its time limit, Tekton itself should have ended it
UNREAD_AGE = 900.0  # seconds a finished TaskRun is kept for a follower that has not told Quay yet
_PAUSES = (0.25, 0.5, 1.0, 2.0)


class StartError(Exception):
    """The build could not be started; one line for the manager's log."""


class Registrar(Protocol):
    def register(self, token: str, timeout: float) -> BuildPack:
        """Registers the job with the build manager. Raises StartError."""
        ...


class Followers(Protocol):
    def adopt(self, job: BuildJob) -> None:
        """Follows the build from now on. Returns at once, may be called again for the same build."""
        ...


@dataclass
class Clock:
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Builds:
    """Every method may be called from any thread."""

    def __init__(
        self,
        config: Config,
        cluster: Cluster,
        registrar: Registrar,
        followers: Followers,
        quay: inside.Quay,
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._cluster = cluster
        self._registrar = registrar
        self._followers = followers
        self._quay = quay
        self._clock = clock or Clock()
        self._seen: dict[str, float] = {}  # by tend(): when it first saw what it may have to end

    # What Quay calls.

    def start(self, token: str, build_id: str) -> str:
        """The TaskRun's name. Raises StartError."""
        deadline = self._clock.monotonic() + self._config.start_timeout
        try:
            started = BuildJob(
                build_id=build_id,
                taskrun=taskrun.name_of(build_id, token),
                uid="",
                job_id=job_of_token(token),
                created=self._clock.now(),
            )
            pack = self._registrar.register(token, min(10.0, self._config.start_timeout / 2))
            started = replace(started, repository=pack.repository, token=pack.job_token)
            made = taskrun.manifests(pack, started, self._config)
        except PackError as error:
            self._tell_author(build_id, str(error))
            raise StartError(f"build {build_id}: {error}") from None
        try:
            self._create(SECRET, made.secret, deadline)
            created = self._create(TASKRUN, made.taskrun, deadline)
        except ClusterError as error:
            self._undo(started.taskrun)
            raise StartError(f"build {build_id}: {error}") from None
        try:
            self._cluster.patch(SECRET, started.taskrun, taskrun.owner_patch(created))
        except ClusterError as error:
            logger.warning("build %s: its Secret has no owner yet: %s", build_id, error)  # tend() gives it one
        logger.info("build %s runs as TaskRun %s", build_id, started.taskrun)
        self._adopt(started.with_uid(str(created["metadata"]["uid"])))
        return started.taskrun

    def stop(self, name: str) -> None:
        if not isinstance(name, str) or taskrun.NAME.fullmatch(name) is None:
            logger.warning("asked to stop %r, which is no TaskRun of this executor", name)
            return
        try:
            self._stop(name, "stopped by Quay")
            self._retrying(lambda: self._cluster.delete(SECRET, name), self._clock.monotonic() + 5)
        except Exception as error:  # the caller's thread does not survive one
            logger.warning("TaskRun %s could not be stopped and will be found again: %s", name, error)

    def running(self) -> int:
        """Raises ClusterError."""
        items, _ = self._retrying(self._list, self._clock.monotonic() + 8)
        return sum(1 for item in items if not finished(item) and not cancelled(item))

    # What the supervisor calls again and again.

    def tend(self) -> None:
        """Ends what nobody waits for, deletes what is over, adopts what is not followed. Raises ClusterError, QuayError."""
        items, _ = self._list()
        secrets, _ = self._cluster.list(SECRET, job.selector(self._config.label))
        names = {str(item["metadata"]["name"]) for item in (*items, *secrets)}
        now = self._clock.monotonic()
        self._seen = {name: self._seen.get(name, now) for name in names}
        newest: dict[str, float] = {}
        jobs = {}
        for item in items:
            found = BuildJob.of_taskrun(item)
            if found is not None:
                jobs[found.taskrun] = found
                newest[found.build_id] = max(newest.get(found.build_id, 0), found.created)
        for item in items:
            name = str(item["metadata"]["name"])
            try:
                self._tend(item, jobs.get(name), newest)
            except ClusterError as error:
                logger.warning("TaskRun %s: %s", name, error)
        taskruns = {str(item["metadata"]["name"]): item for item in items}
        for secret in secrets:
            try:
                self._tend_secret(secret, taskruns)
            except ClusterError as error:
                logger.warning("Secret %s: %s", secret["metadata"]["name"], error)

    def _tend(self, item: Json, found: BuildJob | None, newest: dict[str, float]) -> None:
        name = str(item["metadata"]["name"])
        if found is None:  # ours by its labels, but its annotations are gone: nobody can follow it
            self._stop(name, "its annotations were removed")
            return
        phase = self._quay.phase(found.build_id)
        age = self._clock.now() - found.created
        superseded = found.created < newest[found.build_id]
        if finished(item):
            ended = superseded or phase is None or phase in inside.ENDED
            over = self._clock.now() - finished_at(item)
            if over > max(self._config.retention, 0 if ended else UNREAD_AGE):
                self._cluster.delete(TASKRUN, name)
            elif not ended:
                self._adopt(found)
            return
        if cancelled(item):
            if age > self._config.max_job_time + OVERDUE:
                self._cluster.delete(TASKRUN, name)
            return
        why = self._unwanted(phase, age, self._seen_for(name), superseded)
        if why is not None:
            logger.info("build %s: TaskRun %s is ended: %s", found.build_id, name, why)
            self._stop(name, why)
        else:
            self._adopt(found)

    def _unwanted(self, phase: str | None, age: float, seen: float, superseded: bool) -> str | None:
        if phase == inside.CANCELLED:
            return "the build was cancelled"
        if superseded:
            return "a later attempt at the build has begun"
        if age > self._config.max_job_time + OVERDUE:
            return "the build is past its time limit"
        if phase in (inside.COMPLETE, inside.ERROR):
            return f"Quay has ended the build ({phase})"
        if seen > UNSCHEDULED_AGE and phase in (None, inside.WAITING, inside.INTERNAL_ERROR):
            return f"Quay does not wait for it ({phase or 'no such build'})"
        return None

    def _tend_secret(self, secret: Json, taskruns: dict[str, Json]) -> None:
        name = str(secret["metadata"]["name"])
        if secret["metadata"].get("ownerReferences") or self._seen_for(name) < ORPHAN_AGE:
            return
        if name in taskruns:
            self._cluster.patch(SECRET, name, taskrun.owner_patch(taskruns[name]))
        else:
            logger.info("Secret %s belongs to no TaskRun and is deleted", name)
            self._cluster.delete(SECRET, name)

    def _seen_for(self, name: str) -> float:
        """Seconds by this process's own clock: the cluster's and other managers' may differ by more than a start takes."""
        return self._clock.monotonic() - self._seen[name]

    # Parts.

    def _list(self) -> tuple[list[Json], str]:
        return self._cluster.list(TASKRUN, job.selector(self._config.label))

    def _create(self, kind: Any, manifest: Json, deadline: float) -> Json:
        try:
            return self._retrying(lambda: self._cluster.create(kind, manifest), deadline)
        except AlreadyExists:
            # An earlier request of ours arrived though its answer didn't: the name is this registration's own.
            return self._retrying(lambda: self._cluster.get(kind, manifest["metadata"]["name"]), deadline)

    def _undo(self, name: str) -> None:
        for kind in (TASKRUN, SECRET):
            try:
                self._cluster.delete(kind, name)
            except ClusterError as error:
                logger.warning("%s %s was left behind and will be found again: %s", kind.name, name, error)

    def _stop(self, name: str, why: str) -> None:
        deadline = self._clock.monotonic() + 5
        try:
            item = self._retrying(lambda: self._cluster.get(TASKRUN, name), deadline)
            if self._config.retention == 0:
                self._retrying(lambda: self._cluster.delete(TASKRUN, name), deadline)
            elif not finished(item) and not cancelled(item):
                patch = {"spec": {"status": "TaskRunCancelled", "statusMessage": why}}
                self._retrying(lambda: self._cluster.patch(TASKRUN, name, patch), deadline)
        except NotFound:
            return

    def _adopt(self, found: BuildJob) -> None:
        try:
            self._followers.adopt(found)
        except Exception:
            logger.exception("build %s is not followed yet", found.build_id)  # tend() tries again

    def _tell_author(self, build_id: str, message: str) -> None:
        data = {"base_error": message, "error_code": "io.quay.builder.missingorinvalidargument"}
        try:
            self._quay.append_log(build_id, message, "error", data)
        except inside.QuayError as error:
            logger.warning("build %s: its log does not say why: %s", build_id, error)

    def _retrying(self, request: Callable[[], T], deadline: float) -> T:
        """Tries again what may pass by itself, until the deadline."""
        for pause in (*_PAUSES, None):
            try:
                return request()
            except ClusterError as error:
                wait = max(pause or 0, error.retry_after or 0)
                if not error.transient or pause is None or self._clock.monotonic() + wait >= deadline:
                    raise
                self._clock.sleep(wait)
        raise AssertionError("unreachable")


class Supervisor:
    """One daemon thread that tends to the builds every `interval` seconds, whatever goes wrong."""

    def __init__(self, builds: Builds, interval: float) -> None:
        self._builds, self._interval = builds, interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slipway-supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5) -> None:
        self._stopping.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        complained = ""
        while True:
            try:
                self._builds.tend()
                complained = ""
            except (ClusterError, inside.QuayError) as error:
                if str(error) != complained:  # once, not every ten seconds of an outage
                    logger.warning("builds can't be tended to: %s", error)
                    complained = str(error)
            except Exception:
                logger.exception("builds can't be tended to")
            if self._stopping.wait(self._interval):
                return


def job_of_token(token: str) -> str:
    """The job's key in Quay's orchestrator, which the token names. Its signature is the manager's to check, not ours."""
    try:
        payload = token.split(".")[1]
        context = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["context"]
        job_id = context["job_id"]
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, RecursionError):
        raise StartError("the registration token is none of the build manager's") from None
    if not isinstance(job_id, str) or not 0 < len(job_id) <= 1000:
        raise StartError("the registration token names no job")
    return job_id


def _condition(item: Json) -> Json:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one.get("type") == "Succeeded"), {})


def finished(item: Json) -> bool:
    return _condition(item).get("status") in ("True", "False")


def cancelled(item: Json) -> bool:
    return str((item.get("spec") or {}).get("status") or "").startswith("TaskRunCancelled")


def finished_at(item: Json) -> float:
    status = item.get("status") or {}
    told = status.get("completionTime") or _condition(item).get("lastTransitionTime")
    return _time(told or item["metadata"].get("creationTimestamp"))


def _time(text: object) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 for what is none."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
