"""One build followed, from its TaskRun to its verdict in Quay. Three tasks of one event loop: one reads the steps' logs, one
tells Quay, one looks at the clock.

Rules of Quay's that shape it (docs/quay-follower.md has the reasons):
- nothing is said before Quay has marked the job as scheduled, for it would be overwritten;
- a sign of life at least every 60 s while the build is alive, and never one after a longer pause;
- every line before the terminal phase, and the terminal phase last: what it sets off includes the TaskRun's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from slipway_quay.cluster import TASKRUN, Cluster, ClusterError, Json
from slipway_quay.config import FollowSettings
from slipway_quay.frames import MAX_SEQ
from slipway_quay.inside import ENDED, INTERNAL_ERROR, WAITING, Quay, QuayError
from slipway_quay.job import FOLLOW_PREFIX, BuildJob
from slipway_quay.logsource import LogSource
from slipway_quay.mapping import Command, Entry, ErrorEntry, Line, Mapper, Phase, Problem, told
from slipway_quay.outbox import Batch, Mark, Outbox, Told
from slipway_quay.publisher import Publisher, Refused, Unavailable, Uncertain
from slipway_quay.reading import Reading
from slipway_quay.verdict import Kind, Verdict, condition

log = logging.getLogger(__name__)
T = TypeVar("T")

CHECKPOINT: Final = f"{FOLLOW_PREFIX}told"
RETRY_PAUSE: Final = (0.2, 0.5, 1.0, 2.0)
UNSCHEDULED: Final = 60.0  # seconds after which a job that is not marked as scheduled never will be
LAST: Final = Mark(1 << 30, "push", MAX_SEQ, "~")  # of what is said once all frames have been
PAST_ALL: Final = 1 << 40  # index of no log entry: only their number is wanted
AGAIN_LINE: Final = "The build is going to be tried again."


class Over(Exception):
    """The job is over for Quay, or was given up: nothing more is said."""


@dataclass(frozen=True)
class Surroundings:
    """What every session of a follower shares."""

    cluster: Cluster
    logs: LogSource
    connect: Callable[[BuildJob], Publisher]
    quay: Quay
    settings: FollowSettings
    clock: Callable[[], float]  # monotonic
    pool: Executor  # for what blocks: cluster, database, redis
    turn: asyncio.Lock  # held by the build whose lines are taken
    leads: Callable[[], bool]  # nobody else follows, for certain

    async def blocking(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.pool, call, *arguments)


class Session:
    def __init__(self, job: BuildJob, around: Surroundings) -> None:
        self.job = job
        self._around = around
        self._settings = around.settings
        self._publisher: Publisher | None = None
        self._mapper = Mapper()
        self._outbox = Outbox()
        self._wake = asyncio.Event()  # something for the sender
        self._all_read = False
        self._all_told = asyncio.Event()
        self._told = Told([])
        self._resumed: Mark | None = None
        self._reading = Reading(job, around, self._mapper, self._deliver, self._room)
        self._last_contact: float | None = None  # Quay's last accepted sign of life
        self._last_sent = 0.0
        self._last_message: tuple[str, int] = ("", 0)  # and how often it was told in a row
        self._status: dict[str, Any] = {}
        self._status_at = 0.0
        self._checkpoint_at = around.clock()
        self._acknowledged: Mark | None = None
        self._noted: Mark | None = None

    def seen(self, taskrun: Json | None) -> None:
        """The TaskRun as it is now; None: it is gone."""
        self._reading.seen(taskrun)

    async def run(self) -> bool:
        """Until the build is over. Cancelled, it leaves everything so that another can go on. False: so it does, because
        something went wrong that a new session may not meet."""
        over = True
        try:
            await self._begin()
            async with asyncio.TaskGroup() as tasks:
                watching = tasks.create_task(self._watch_the_clock())
                sending = tasks.create_task(self._send())
                verdict = await self._reading.verdict()
                await self._announce(verdict)
                self._all_read = True
                self._wake.set()
                await sending
                # Not cancelled: an answer under way would break the stream of all, and a sign of life after the end undo it.
                self._all_told.set()
                await watching
            await self._conclude(verdict)
        except* Over as ended:
            log.info("build %s: %s", self.job.build_id, ended.exceptions[0])
            await self._stop_taskrun()
        except* (Refused, QuayError, ClusterError) as failed:
            log.warning("build %s is not followed for the moment: %s", self.job.build_id, failed.exceptions[0])
            over = False
        return over

    # --- beginning

    async def _begin(self) -> None:
        await self._until_scheduled()
        self._publisher = await self._around.blocking(self._around.connect, self.job)
        # Asked before anything is told: the log of a build that is over may have been archived, and is not to grow again.
        await self._persist(self._beat, alone=True)
        taskrun = await self._reading.first_seen()
        start = self._read_checkpoint(taskrun)
        _, stored = await self._retrying(self._around.quay.log_entries, self.job.build_id, start)
        self._told = Told(stored)

    async def _until_scheduled(self) -> None:
        """Quay marks the job as scheduled after start_builder has returned, and would undo what was told before. A later attempt
        begins as the former one ended, with an internal error."""
        while (age := time.time() - self.job.created) < UNSCHEDULED:
            try:
                phase = await self._around.blocking(self._around.quay.phase, self.job.build_id)
                if phase is not None and phase not in (WAITING, INTERNAL_ERROR):
                    self._mapper.resume(phase)
                    return
            except QuayError:
                if age > self._settings.phase_delay:
                    return
            await asyncio.sleep(self._settings.tick / 4)

    def _read_checkpoint(self, taskrun: Json | None) -> int:
        """Index in Quay's log from which what is stored has to be compared."""
        annotations = ((taskrun or {}).get("metadata") or {}).get("annotations") or {}
        try:
            noted = json.loads(annotations[CHECKPOINT])
            mark, index = (
                Mark(int(noted["attempt"]), str(noted["step"]), int(noted["seq"]), str(noted["t"])),
                int(noted["index"]),
            )
        except (KeyError, TypeError, ValueError):
            return 0
        self._resumed = mark
        return max(index, 0)

    # --- from the reader

    def _deliver(self, entries: list[Entry], mark: Mark) -> None:
        """Entries of one frame, in order."""
        resumed = self._resumed
        # Its time too: nobody has counted the attempts of a pod that was replaced while nobody followed.
        if resumed is not None and mark.t <= resumed.t and self._reading.order(mark) <= self._reading.order(resumed):
            return
        for entry in entries:
            if not self._told.has(entry):
                self._outbox.put(entry, mark)
        if self._outbox and not self._wake.is_set():
            self._wake.set()

    async def _room(self) -> None:
        """Waits while too much waits to be told."""
        while self._outbox.full:
            self._reading.heard()
            await asyncio.sleep(self._settings.tick / 10)

    async def _announce(self, verdict: Verdict) -> None:
        """What users get to see of a verdict, put at the end of what waits."""
        if verdict.problem is None:
            return
        entries = told(verdict.problem)
        if verdict.kind is Kind.RETRY and await self._tries_again():
            entries = [*(entry for entry in entries if not isinstance(entry, ErrorEntry)), Line(AGAIN_LINE)]
        elif verdict.kind not in (Kind.ERROR, Kind.RETRY):
            return
        self._resumed = None
        self._deliver(entries, LAST)

    async def _tries_again(self) -> bool:
        remaining = await self._retrying(self._around.quay.retries_remaining, self.job.job_id)
        if remaining is None:
            raise Over("Quay has ended the job")
        return remaining > 0

    # --- to Quay

    async def _send(self) -> None:
        while True:
            self._wake.clear()
            batch = self._outbox.next()
            if batch is None:
                if self._all_read:
                    return
                await self._wake.wait()
                continue
            due = self._last_sent + self._settings.flush_interval - self._around.clock()
            if due > 0 and not self._outbox.urgent and not self._all_read:
                await self._nap(due)
                continue
            await self._persist(lambda batch=batch: self._tell(batch))  # type: ignore[misc]
            self._outbox.done(batch)
            self._last_sent = self._around.clock()
            if (first := self._outbox.first_mark) is None or first != batch.mark:
                self._acknowledged = batch.mark
                if self._last_sent - self._checkpoint_at >= self._settings.checkpoint_interval:
                    self._checkpoint_at = self._last_sent
                    await self._checkpoint()

    async def _nap(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _tell(self, batch: Batch) -> None:
        assert self._publisher is not None
        match batch.entry:
            case Line(text) | Command(text):
                try:
                    if not await self._publisher.log_message(text):
                        log.warning("build %s: the build manager did not store a message", self.job.build_id)
                except Uncertain:
                    if not await self._is_stored(text):
                        raise
                self._last_message = (text, self._last_message[1] + 1 if self._last_message[0] == text else 1)
            case Phase(name, pull):
                if not await self._publisher.set_phase(name, dict(pull)):
                    raise Over("Quay has ended the job")
            case ErrorEntry(message, code, base_error):
                data = {"error_code": code, "base_error": base_error, "datetime": str(datetime.now())}
                await self._around.blocking(self._around.quay.append_log, self.job.build_id, message, "error", data)
                return
        self._last_contact = self._around.clock()

    async def _is_stored(self, text: str) -> bool:
        """Whether a message that went unanswered is in Quay's log, at its end, once more than it was told before."""
        total, _ = await self._around.blocking(self._around.quay.log_entries, self.job.build_id, PAST_ALL)
        before = self._last_message[1] if self._last_message[0] == text else 0
        _, last = await self._around.blocking(self._around.quay.log_entries, self.job.build_id, max(total - before - 1, 0))
        return len(last) == before + 1 and all(entry.get("message") == text for entry in last)

    async def _beat(self) -> None:
        assert self._publisher is not None
        if not await self._publisher.heartbeat():
            raise Over("Quay has ended the job")
        self._last_contact = self._around.clock()

    async def _persist(self, call: Callable[[], Any], alone: bool = False) -> None:
        """Again and again while the manager can't be asked, until Quay would no longer take it for the same life."""
        attempt, began = 0, self._around.clock()
        while True:
            since = began if self._last_contact is None else self._last_contact
            if self._around.clock() - since > self._settings.lapse:
                raise Over("the build manager could not be reached in time: left to its expiry")
            if not (alone or self._around.leads()):
                # The cluster can't be asked who follows. Signs of life do no harm twice; everything else waits.
                await asyncio.sleep(self._settings.tick)
                continue
            try:
                await call()
                return
            except (Unavailable, QuayError) as error:
                log.debug("build %s: %s", self.job.build_id, error)
            await asyncio.sleep(RETRY_PAUSE[min(attempt, len(RETRY_PAUSE) - 1)] * min(self._settings.tick, 1.0))
            attempt += 1

    async def _retrying(self, call: Callable[..., T], *arguments: Any) -> T:
        result: list[T] = []

        async def once() -> None:
            result.append(await self._around.blocking(call, *arguments))

        await self._persist(once)
        return result[0]

    # --- by the clock

    async def _watch_the_clock(self) -> None:
        settings = self._settings
        while not self._all_told.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.tick):
                    await self._all_told.wait()
            now = self._around.clock()
            if self._last_contact is not None and now - self._last_contact >= settings.heartbeat_interval:
                await self._persist(self._beat, alone=True)
            if (gone := self._reading.silent_for_too_long(now)) is not None:
                self._reading.give_up(gone)
            await self._write_status(now)

    async def _write_status(self, now: float | None) -> None:
        """Now and then; without a time, at once."""
        status = self._mapper.status()
        if status == self._status or (now is not None and now - self._status_at < self._settings.status_interval):
            return
        self._status, self._status_at = status, now or self._around.clock()
        try:
            await self._around.blocking(self._around.quay.set_status, self.job.build_id, status)
        except QuayError as error:
            log.debug("build %s: %s", self.job.build_id, error)

    async def _checkpoint(self) -> None:
        """Notes in the TaskRun how far Quay was told, for when the log cannot be read from its beginning. Between two messages,
        so that mark and number of entries belong together."""
        mark = self._acknowledged
        if mark is None or mark == self._noted or mark == LAST:
            return
        try:
            index, _ = await self._around.blocking(self._around.quay.log_entries, self.job.build_id, PAST_ALL)
            note = json.dumps({**mark._asdict(), "index": index})
            patch = {"metadata": {"annotations": {CHECKPOINT: note}}}
            await self._around.blocking(self._around.cluster.patch, TASKRUN, self.job.taskrun, patch)
            self._noted = mark
        except (ClusterError, QuayError) as error:
            log.debug("build %s: %s", self.job.build_id, error)

    # --- the end

    async def _conclude(self, verdict: Verdict) -> None:
        await self._write_status(None)
        quay, problem = (
            self._around.quay,
            verdict.problem or Problem("internalerror", "internal", "the build failed"),
        )
        if verdict.kind is Kind.CANCELLED:
            await self._conclude_cancelled()
        elif verdict.kind is Kind.COMPLETE:
            outcome = self._mapper.outcome
            await self._retrying(quay.remember, self.job.build_id, None, outcome.image_id, outcome.digests)
            await self._last_phase("complete")
        elif verdict.kind is Kind.RETRY and await self._tries_again():
            await self._retrying(quay.expire, self.job.job_id)
        else:
            remaining = None
            with contextlib.suppress(QuayError):  # nobody is told by us then; the build ends all the same
                remaining = await self._around.blocking(quay.retries_remaining, self.job.job_id)
            await self._retrying(quay.remember, self.job.build_id, problem.message, None, [])
            await self._last_phase("error")
            if remaining:
                # Quay itself tells of a failure only if no try is left.
                await self._around.blocking(
                    lambda: quay.notify(self.job.build_id, "build_failure", error_message=problem.message)
                )

    async def _conclude_cancelled(self) -> None:
        """By Quay's user, or by somebody with access to the cluster of whom Quay knows nothing."""
        if await self._retrying(self._around.quay.phase, self.job.build_id) in ENDED:
            return
        problem = Problem("cancelled", "cancelled", "the build was cancelled in the cluster, not in Quay")
        for entry in told(problem):
            await self._persist(lambda entry=entry: self._tell(Batch(entry, LAST)))  # type: ignore[misc]
        await self._last_phase("error")

    async def _last_phase(self, name: str) -> None:
        await self._persist(lambda: self._tell(Batch(Phase(name), LAST)))

    async def _stop_taskrun(self) -> None:
        """Quay is done with the job: so is the cluster. Quay's executor reaps it too; whoever comes first."""
        if self._reading.gone or condition(self._reading.taskrun).done:
            return
        try:
            await self._around.blocking(
                self._around.cluster.patch,
                TASKRUN,
                self.job.taskrun,
                {"spec": {"status": "TaskRunCancelled"}},
            )
        except ClusterError as error:
            log.info("build %s: its TaskRun could not be cancelled: %s", self.job.build_id, error)
