"""Reads one build's steps, one after another, as its TaskRun says they run; knows when to stop waiting.

Steps run in order, so one log is open at a time. A log that ends, breaks or falls silent is opened again from the last
frame's time until its container has ended and nothing new comes: StepReader drops what was seen. What the logs said and
what the TaskRun says make the verdict.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from slipway_quay.cluster import POD, TASKRUN, ClusterError, ErrorKind, Json, NotFound
from slipway_quay.frames import STEPS, Foreign, Frame, Gap, NewerProtocol, StepReader
from slipway_quay.job import BuildJob
from slipway_quay.logsource import Log
from slipway_quay.mapping import Entry, Mapper, Problem, one_line
from slipway_quay.outbox import Mark
from slipway_quay.verdict import Kind, Verdict, condition, decide, killed_step, lost, steps, stuck

if TYPE_CHECKING:
    from slipway_quay.session import Surroundings

PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0)  # ticks before a log is opened again
AT_ONCE: Final = 200  # lines taken before other builds get their turn


class _State(enum.Enum):
    PENDING = "waits for a step to begin"
    RUNNING = "a step runs"
    SETTLING = "waits for the TaskRun to end"


def begins_anew(before: Json | None, after: Json) -> bool:
    """Whether the pod of these two states of a TaskRun was replaced by one of the same name, as Tekton does with a pod that is
    deleted while its TaskRun runs: steps that had begun have not, or their containers are others."""
    if before is None or condition(after).done or _pod_of(before) != _pod_of(after):
        return False
    now = {step.get("name"): step for step in steps(after)}
    return any(_is_another(step, now.get(step.get("name"), {})) for step in steps(before))


def _is_another(before: Json, after: Json) -> bool:
    if "terminated" in before:
        return "terminated" not in after or _differ(before["terminated"], after["terminated"], "containerID")
    if "running" in before:
        return not {"running", "terminated"} & after.keys() or _differ(before["running"], after.get("running"), "startedAt")
    return False


def _differ(before: object, after: object, name: str) -> bool:
    one, other = (value.get(name) if isinstance(value, dict) else None for value in (before, after))
    return one is not None and other is not None and one != other


def _pod_of(taskrun: Json | None) -> str:
    return str(((taskrun or {}).get("status") or {}).get("podName") or "")


class Reading:
    """`deliver` takes the entries of one frame; `room` returns once more may be delivered."""

    def __init__(
        self,
        job: BuildJob,
        around: Surroundings,
        mapper: Mapper,
        deliver: Callable[[list[Entry], Mark], None],
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._job = job
        self._around = around
        self._settings = around.settings
        self._mapper = mapper
        self._deliver = deliver
        self._room = room
        self.taskrun: Json | None = None
        self.gone = False  # deleted, or another one has its name
        self._replaced = 0  # how often Tekton has made a pod anew under the same name
        self._changed = asyncio.Event()
        self._state = _State.PENDING
        self._since = around.clock()  # of the state, or of the last frame while RUNNING
        self._last = ""  # time of the last frame
        self._unreachable: tuple[float, str] | None = None  # since when the log can't be had, and why
        self._no_log = False  # the cluster knows no pod, or no container, of which there was a log before
        self._given_up: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    # --- what happens outside

    def seen(self, taskrun: Json | None) -> None:
        if taskrun is not None and (taskrun.get("metadata") or {}).get("uid") not in (None, self._job.uid):
            taskrun = None
        if taskrun is None:
            self.gone = True
        else:
            self._replaced += begins_anew(self.taskrun, taskrun)
            self.taskrun = taskrun
        self._changed.set()

    def heard(self) -> None:
        """A new frame, or one that waits to be read: the step is alive."""
        self._since = self._around.clock()

    def give_up(self, verdict: Verdict) -> None:
        if not self._given_up.done():
            self._given_up.set_result(verdict)

    def silent_for_too_long(self, now: float) -> Verdict | None:
        """Heartbeats to Quay end with this: a build is not kept alive for what does not come."""
        silent = now - self._since
        if self._unreachable is not None and now - self._unreachable[0] < self._settings.outage_timeout:
            return None
        if self._state is _State.PENDING and silent > self._settings.scheduling_timeout:
            return lost(
                f"the build's pod did not get to run within {self._settings.scheduling_timeout:.0f} s",
                self._waits_for(),
            )
        if self._state is _State.RUNNING and silent > max(self._settings.freshness, 3 * self._mapper.heartbeat):
            if self._no_log:
                return lost("the build's pod is gone: it was deleted, or its node was lost", self._waits_for())
            return lost(f"a step of the build has not reported for {silent:.0f} s", self._waits_for())
        if self._state is _State.SETTLING:
            outcome = self._mapper.outcome
            speechless = outcome.problem is None and killed_step(self.taskrun) is not None
            if silent > (self._settings.killed_timeout if speechless else self._settings.settle_timeout):
                return stuck(outcome, self.taskrun, self._waits_for())
        return None

    def _waits_for(self) -> str:
        how = condition(self.taskrun)
        waiting = [one_line(str((step.get("waiting") or {}).get("reason", ""))) for step in steps(self.taskrun)]
        unreachable = self._unreachable[1] if self._unreachable is not None else ""
        return " ".join(filter(None, [how.reason, how.message, *dict.fromkeys(waiting), unreachable]))

    # --- the build

    async def first_seen(self) -> Json | None:
        if self.taskrun is None and not self.gone:
            try:
                self.seen(await self._around.blocking(self._around.cluster.get, TASKRUN, self._job.taskrun))
            except NotFound:
                self.seen(None)
            except ClusterError:
                pass  # the watch will tell
        return self.taskrun

    async def verdict(self) -> Verdict:
        reading = asyncio.ensure_future(self._read())
        try:
            await asyncio.wait({reading, self._given_up}, return_when=asyncio.FIRST_COMPLETED)
            return self._given_up.result() if self._given_up.done() else reading.result()
        finally:
            reading.cancel()

    @staticmethod
    def order(mark: Mark) -> tuple[int, int, int]:
        return (mark.attempt, STEPS.index(mark.step) if mark.step in STEPS else len(STEPS), mark.seq)

    async def _read(self) -> Verdict:
        try:
            while True:
                attempt = self._attempt()
                await self._read_attempt(attempt)
                self._enter(_State.SETTLING)
                await self._until(lambda attempt=attempt: self._is_done() or self._attempt() > attempt)  # type: ignore[misc]
                if self._attempt() == attempt:
                    break
                self._deliver(self._mapper.begin_attempt(), Mark(self._attempt(), STEPS[0], 0, self._last))
                self._enter(_State.PENDING)
        except NewerProtocol as newer:
            return Verdict(Kind.ERROR, Problem("podforbids", "pod", str(newer)))
        return decide(self._mapper.outcome, None if self.gone else self.taskrun, await self._pod())

    async def _read_attempt(self, attempt: int) -> None:
        index = 0
        while await self._until_started(index, attempt):
            pod = self._pod_name()
            container = str(steps(self.taskrun)[index].get("container", ""))
            reader = StepReader(self._job.uid)
            await self._read_container(pod, container, index, attempt, reader)
            if reader.step is not None and self._mapper.outcome.ended.get(reader.step) != "succeeded":
                return
            index += 1
            if index < len(steps(self.taskrun)):
                self._enter(_State.PENDING)

    async def _until_started(self, index: int, attempt: int) -> bool:
        """False: there is no such step, or it will not run."""

        def runs() -> bool:
            known = steps(self.taskrun)
            return bool(self._pod_name()) and index < len(known) and ("running" in known[index] or "terminated" in known[index])

        def never() -> bool:
            known = steps(self.taskrun)
            return self.gone or self._attempt() > attempt or (self._is_done() and not runs()) or 0 < len(known) <= index

        await self._until(lambda: runs() or never())
        return runs() and self._attempt() == attempt and not self.gone

    async def _read_container(self, pod: str, container: str, index: int, attempt: int, reader: StepReader) -> None:
        quiet = max(2.5 * self._mapper.heartbeat, 5.0)
        passes, over_since = 0, None
        while not self._is_replaced(pod, attempt):
            over = self._has_ended(index) or self._attempt() > attempt
            over_since = (over_since or self._around.clock()) if over else None
            reader.begin_reading()
            seen, whole = (reader.step, reader.seq), False
            log = self._around.logs.open(pod, container, reader.t or None, quiet)
            try:
                # The longer nothing came, the longer it is waited for: an API server may be slow to begin.
                whole = await self._read_pass(log, index, attempt, reader, patience=2 + 2 * passes)
                self._unreachable, self._no_log = None, False
            except ClusterError as error:
                if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.INVALID):
                    self._unreachable, self._no_log, whole = None, error.kind is ErrorKind.NOT_FOUND, True
                elif self._unreachable is None:
                    self._unreachable = (self._around.clock(), str(error))
            finally:
                log.close()
            progressed = (reader.step, reader.seq) != seen
            if reader.missing and not progressed and (whole or reader.passed):
                # Read again and still not there: it never comes.
                for item in reader.give_up():
                    self._take(item, attempt)
                progressed = True
            if reader.replaced:
                await self._until(lambda: self._is_done() or self._is_replaced(pod, attempt))
                return
            if self._is_finished(reader):
                return
            waited = over_since is not None and self._around.clock() - over_since > self._settings.settle_timeout
            if over and not progressed and (whole or (waited and self._unreachable is None)):
                return
            passes = 0 if progressed else passes + 1
            if not (over and progressed):
                await asyncio.sleep(PAUSES[min(passes, len(PAUSES) - 1)] * self._settings.tick)

    async def _read_pass(self, log: Log, index: int, attempt: int, reader: StepReader, patience: int) -> bool:
        """One opened log. True: to its end; False: until there was a reason to open it again."""
        idle = 0
        while True:
            try:
                async with asyncio.timeout(self._settings.tick):
                    lines = await log.read()
            except TimeoutError:
                idle += 1
                # The container's end is known, or a frame is missing, and the stream keeps still: it may be a dead one.
                if idle >= patience and (self._has_ended(index) or self._attempt() > attempt or reader.missing):
                    return False
                continue
            if not lines:
                return True
            idle = 0
            self._unreachable = None
            for begin in range(0, len(lines), AT_ONCE):
                # One build at a time, and Quay's answers in between: two hundred logs at once would keep them waiting.
                async with self._around.turn:
                    for line in lines[begin : begin + AT_ONCE]:
                        for item in reader.feed(line):
                            self._take(item, attempt)
                    await asyncio.sleep(0)
                await self._room()
            if reader.replaced or self._is_finished(reader):
                return True
            if reader.missing and reader.stuck:
                return False

    def _take(self, item: Frame | Foreign | Gap, attempt: int) -> None:
        entries = self._mapper.take(item)
        if isinstance(item, Frame):
            if self._state is not _State.RUNNING:
                self._enter(_State.RUNNING)
            self.heard()
            self._last = item.t
            if entries:
                self._deliver(entries, Mark(attempt, item.step, item.seq, item.t))
        elif isinstance(item, Gap) and entries:
            self._deliver(entries, Mark(attempt, item.step, item.before, self._last))

    def _is_finished(self, reader: StepReader) -> bool:
        """Nothing more is expected of this container: `slipway run` says several ends."""
        if not reader.ended or reader.step is None:
            return False
        return (
            reader.step == STEPS[-1] or self._mapper.outcome.ended.get(reader.step) != "succeeded" or len(steps(self.taskrun)) > 1
        )

    # --- the TaskRun

    def _enter(self, state: _State) -> None:
        self._state = state
        self._since = self._around.clock()

    def _attempt(self) -> int:
        retries = (self.taskrun or {}).get("status", {}).get("retriesStatus")
        return 1 + (len(retries) if isinstance(retries, list) else 0) + self._replaced

    def _is_replaced(self, pod: str, attempt: int) -> bool:
        """The log of `pod` is another pod's now; with a retry of Tekton's, which names its pod otherwise, it is not."""
        return self._attempt() > attempt and self._pod_name() == pod

    def _pod_name(self) -> str:
        return _pod_of(self.taskrun)

    def _is_done(self) -> bool:
        return self.gone or condition(self.taskrun).done

    def _has_ended(self, index: int) -> bool:
        known = steps(self.taskrun)
        return self._is_done() or (index < len(known) and "terminated" in known[index])

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._changed.clear()
            await self._changed.wait()

    async def _pod(self) -> Any:
        """For what only the pod knows. Often it is gone, and that is no news."""
        if self.gone or not self._pod_name() or condition(self.taskrun).status == "True":
            return None
        try:
            return await self._around.blocking(self._around.cluster.get, POD, self._pod_name())
        except ClusterError:
            return None
