"""Follows every TaskRun of one executor and tells Quay about it: one event loop for all builds, see docs/quay-follower.md.

Threads: the one that calls `run` (everything but waiting happens there), one that watches TaskRuns, one for each open log,
and a small pool for short blocking calls. Of several managers the one that holds the lease follows; the rest wait. All that is
needed to go on after a restart is in the cluster and in Quay: TaskRuns with their labels and annotations, and the build's log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from slipway_quay.cluster import TASKRUN, Cluster, ClusterError, Event, EventType, Gone, Json
from slipway_quay.config import FollowSettings
from slipway_quay.inside import Quay
from slipway_quay.job import BuildJob, selector
from slipway_quay.lease import Lease, name_for
from slipway_quay.logsource import LogSource, ThreadedLogs
from slipway_quay.publisher import Publisher
from slipway_quay.session import Session, Surroundings

log = logging.getLogger(__name__)

POOL_THREADS: Final = 8
SESSIONS: Final = 3  # of one build that may fail before it is given up
WATCH_TIME: Final = 30.0  # seconds of one watch request
RELIST_TIME: Final = 300.0  # a watch that has missed something is put right after that
WATCH_PAUSES: Final = (0.2, 1.0, 2.0, 5.0)


class Connector(Protocol):
    """Ways to Quay for one build each; `publisher.Connections` is the one that is used."""

    def __call__(self, job: BuildJob) -> Publisher:
        """May block: Quay may have to issue a token."""
        ...

    async def close(self) -> None: ...


class Follower:
    """`executor`: its label, as `job.selector` takes it. `quay`: what only Quay's process can do."""

    def __init__(
        self,
        cluster: Cluster,
        connect: Connector,
        settings: FollowSettings,
        clock: Callable[[], float] = time.monotonic,
        *,
        quay: Quay,
        executor: str,
        logs: LogSource | None = None,
        identity: str | None = None,
    ) -> None:
        self._cluster = cluster
        self._connect = connect
        self._settings = settings
        self._clock = clock
        self._quay = quay
        self._selector = selector(executor)
        self._logs = logs or ThreadedLogs(cluster)
        identity = identity or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._lease = Lease(cluster, name_for(executor), identity, settings.lease_time, clock)
        self._lock = threading.Lock()
        self._adopted: dict[str, BuildJob] = {}  # by uid; what `adopt` was given and no session has yet
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leads = False
        self._complained = False
        self._sessions: dict[str, tuple[Session, asyncio.Task[None], float]] = {}
        self._finished: set[str] = set()
        self._failed: dict[str, int] = {}  # sessions that ended, by build
        self._around: Surroundings | None = None

    @property
    def following(self) -> int:
        """Builds followed by this process at the moment."""
        return len(self._sessions)

    def adopt(self, job: BuildJob) -> None:
        """Follows a TaskRun that was just made. Returns at once; any thread; a second time is as good as once. If another manager
        leads it is that one which finds the TaskRun and follows."""
        with self._lock:
            self._adopted[job.uid] = job
            while len(self._adopted) > 1000:  # of a manager that never leads
                self._adopted.pop(next(iter(self._adopted)))
            loop = self._loop
        if loop is not None:
            _post(loop, self._take_adopted)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set. Builds that are still running are left as they are, for whoever follows next."""
        asyncio.run(self._main(stop))

    async def _main(self, stop: threading.Event) -> None:
        with self._lock:
            self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(POOL_THREADS, "follow") as pool:
            self._around = Surroundings(
                self._cluster,
                self._logs,
                self._connect,
                self._quay,
                self._settings,
                self._clock,
                pool,
                asyncio.Lock(),
                lambda: self._lease.held,
            )
            try:
                while not stop.is_set():
                    if await self._claim():
                        await self._lead(stop)
                    else:
                        await _unless(stop, self._settings.lease_time / 6)
            finally:
                with self._lock:
                    self._loop = None
                await self._connect.close()
                await self._around.blocking(self._lease.release)

    async def _claim(self) -> bool | None:
        """None: the cluster could not be asked. Then nobody can take the lease either, or it will soon be found taken."""
        assert self._around is not None
        try:
            claimed = await self._around.blocking(self._lease.claim)
            self._complained = False
            return claimed
        except ClusterError as error:
            log.log(logging.DEBUG if self._complained else logging.WARNING, "the follower's lease can't be had: %s", error)
            self._complained = True  # once, not every few seconds of an outage
            return None

    async def _lead(self, stop: threading.Event) -> None:
        log.info("following the builds of %s", self._selector)
        ended = threading.Event()
        self._leads = True
        threading.Thread(target=self._watch, args=(ended, asyncio.get_running_loop()), name="follow watch", daemon=True).start()
        self._take_adopted()
        try:
            while not stop.is_set():
                await _unless(stop, self._settings.lease_time / 6)
                if not stop.is_set() and await self._claim() is False:
                    log.warning("another follower has the lease: following stops here")
                    return
        finally:
            self._leads = False
            ended.set()
            tasks = [task for _, task, _ in self._sessions.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._sessions.clear()
            self._finished.clear()
            self._failed.clear()

    # --- which builds there are

    def _take_adopted(self) -> None:
        if not self._leads:
            return
        with self._lock:
            jobs, self._adopted = list(self._adopted.values()), {}
        for job in jobs:
            self._follow(job)

    def _follow(self, job: BuildJob) -> Session | None:
        assert self._around is not None
        if job.uid in self._finished:
            return None
        if job.uid not in self._sessions:
            session = Session(job, self._around)
            task = asyncio.get_running_loop().create_task(self._run(session), name=f"build {job.build_id}")
            self._sessions[job.uid] = (session, task, self._clock())
        return self._sessions[job.uid][0]

    async def _run(self, session: Session) -> None:
        uid = session.job.uid
        over = False
        try:
            over = await session.run()
        except Exception:  # a fault of ours must not end the other builds
            log.exception("build %s is not followed for the moment", session.job.build_id)
        self._sessions.pop(uid, None)
        self._failed[uid] = self._failed.get(uid, 0) + 1
        if over or self._failed[uid] >= SESSIONS:
            # If it isn't over, Quay ends it when its heartbeats stay away.
            self._finished.add(uid)

    def _changed(self, event: Event) -> None:
        if event.type is EventType.BOOKMARK or not self._leads:
            return
        uid = str((event.object.get("metadata") or {}).get("uid", ""))
        if event.type is EventType.DELETED:
            self._finished.discard(uid)
            if uid in self._sessions:
                self._sessions[uid][0].seen(None)
            return
        self._there_is(event.object)

    def _there_is(self, taskrun: Json) -> str | None:
        job = BuildJob.of_taskrun(taskrun)
        if job is None or not job.uid:
            return None
        with self._lock:
            job = self._adopted.pop(job.uid, job)  # that one has the token Quay gave at registration
        session = self._follow(job)
        if session is not None:
            session.seen(taskrun)
        return job.uid

    def _listed(self, taskruns: list[Json], asked: float) -> None:
        if not self._leads:
            return
        there = {self._there_is(taskrun) for taskrun in taskruns}
        self._finished &= {uid for uid in there if uid is not None}
        self._failed = {uid: count for uid, count in self._failed.items() if uid in there}
        for uid, (session, _, since) in list(self._sessions.items()):
            if uid not in there and since < asked:
                session.seen(None)

    def _watch(self, ended: threading.Event, loop: asyncio.AbstractEventLoop) -> None:
        """Thread: what happens to TaskRuns, for the loop. Resumes where it was; lists again when that is too long ago."""
        version, listed, failures = "", 0.0, 0
        while not ended.is_set():
            try:
                if not version or self._clock() - listed > RELIST_TIME:
                    asked = self._clock()
                    taskruns, version = self._cluster.list(TASKRUN, self._selector)
                    listed = asked
                    _post(loop, self._listed, taskruns, asked)
                for event in self._cluster.watch(TASKRUN, self._selector, version, WATCH_TIME):
                    version = event.version or version
                    _post(loop, self._changed, event)
                    if ended.is_set():
                        return
                failures = 0
            except Gone:
                version = ""
            except ClusterError as error:
                log.log(
                    logging.WARNING if failures == 3 else logging.DEBUG,
                    "TaskRuns cannot be watched: %s",
                    error,
                )
                failures += 1
                version = version if failures < 3 else ""
                ended.wait(error.retry_after or WATCH_PAUSES[min(failures, len(WATCH_PAUSES)) - 1])
            except Exception:
                log.exception("TaskRuns cannot be watched")
                version = ""
                ended.wait(WATCH_PAUSES[-1])


def _post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # it has been closed: nobody is interested any more
        loop.call_soon_threadsafe(call, *arguments)


async def _unless(stop: threading.Event, seconds: float) -> None:
    """Waits, but not much longer than until `stop` is set."""
    until = time.monotonic() + seconds
    while not stop.is_set() and (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.2))
