"""The follower's smaller parts by themselves: the lease, verdicts, logs for an event loop, the shared streams."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from follow_cluster import FakeCluster
from follow_manager import Manager

from slipway_quay.cluster import ClusterError, ErrorKind
from slipway_quay.lease import LEASE, Lease, name_for
from slipway_quay.logsource import MAX_BEHIND, ThreadedLogs
from slipway_quay.mapping import Outcome, Problem
from slipway_quay.publisher import Link, Refused, Unavailable
from slipway_quay.verdict import Kind, decide

# --- the lease


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def leases(duration: float = 15.0) -> tuple[FakeCluster, Time, Lease, Lease]:
    cluster, time = FakeCluster(), Time()
    return cluster, time, Lease(cluster, "x", "one", duration, time), Lease(cluster, "x", "two", duration, time)


@pytest.mark.parametrize("executor", ["openshift", "TektonExecutor", "team_a.b", "-", "Ä", "x" * 63, "a" + "-" * 62])
def test_a_lease_has_a_name_that_kubernetes_takes(executor: str) -> None:
    name = name_for(executor)
    assert re.fullmatch("[a-z0-9]([a-z0-9-]{,61}[a-z0-9])?", name)
    assert len({name, name_for(executor + "x"), name_for(executor.swapcase() + "y")}) == 3


def test_only_one_of_two_gets_the_lease() -> None:
    _, _, one, two = leases()
    assert (one.claim(), two.claim()) == (True, False)
    assert (one.held, two.held) == (True, False)


def test_a_lease_that_is_renewed_is_not_taken_however_long() -> None:
    _, time, one, two = leases()
    one.claim()
    for _ in range(20):
        assert not two.claim()
        time.now += 5
        assert one.claim()


def test_a_lease_that_nobody_renews_is_taken_after_its_time_and_not_before() -> None:
    _, time, one, two = leases()
    one.claim()
    two.claim()
    time.now += 14.9
    assert not two.claim()
    assert not one.held, "its holder falls silent before another may speak"
    time.now += 0.2
    assert two.claim()
    assert not one.claim()


def test_a_clock_that_is_wrong_elsewhere_does_not_matter() -> None:
    cluster, _, one, two = leases()
    one.claim()
    cluster.patch(LEASE, "x", {"spec": {"renewTime": "1999-01-01T00:00:00.000000Z"}})
    assert not two.claim()


def test_a_lease_given_back_is_free_at_once() -> None:
    _, _, one, two = leases()
    one.claim()
    one.release()
    assert two.claim()


def test_two_that_see_it_free_at_the_same_time_do_not_both_get_it() -> None:
    cluster, _, one, two = leases()
    one.claim()
    one.release()
    read = cluster.get

    def late(kind: Any, name: str) -> Any:
        found = read(kind, name)
        cluster.get = read  # type: ignore[method-assign]
        assert one.claim()
        return found

    cluster.get = late  # type: ignore[method-assign]
    assert not two.claim()
    assert (one.held, two.held) == (True, False)


def test_an_api_that_fails_changes_nothing() -> None:
    cluster, time, one, _ = leases()
    one.claim()
    cluster.failing = ClusterError(ErrorKind.NETWORK, "down")
    with pytest.raises(ClusterError):
        one.claim()
    assert one.held
    time.now += 11
    assert not one.held
    one.release()


# --- verdicts


def taskrun(status: str, reason: str, **more: Any) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "Succeeded", "status": status, "reason": reason, "message": "words"}], **more}}


@pytest.mark.parametrize(
    ("klass", "kind"),
    [
        ("usage", Kind.ERROR),
        ("build", Kind.ERROR),
        ("auth", Kind.ERROR),
        ("pod", Kind.ERROR),
        ("resource", Kind.ERROR),
        ("network", Kind.RETRY),
        ("registry", Kind.RETRY),
        ("internal", Kind.RETRY),
        ("of a later version", Kind.RETRY),
    ],
)
def test_the_class_of_an_error_says_whether_to_try_again(klass: str, kind: Kind) -> None:
    verdict = decide(Outcome(problem=Problem("x", klass, "m")), taskrun("False", "Failed"), None)
    assert (verdict.kind, verdict.problem) == (kind, Problem("x", klass, "m"))


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        ("TaskRunTimeout", Kind.ERROR, "deadline"),
        ("PodAdmissionFailed", Kind.ERROR, "podforbids"),
        ("CreateContainerConfigError", Kind.ERROR, "podforbids"),
        ("TaskRunValidationFailed", Kind.ERROR, "podforbids"),
        ("PodEvicted", Kind.RETRY, "outofdisk"),
        ("TaskRunImagePullFailed", Kind.RETRY, "internalerror"),
        ("TaskRunResolutionFailed", Kind.RETRY, "internalerror"),
        ("Failed", Kind.RETRY, "internalerror"),
        ("ANewReason", Kind.RETRY, "internalerror"),
    ],
)
def test_without_an_error_frame_the_clusters_reason_counts(reason: str, kind: Kind, code: str) -> None:
    verdict = decide(Outcome(foreign=["exec format error"]), taskrun("False", reason), None)
    assert verdict.problem is not None
    assert (verdict.kind, verdict.problem.code) == (kind, code)
    assert verdict.problem.cause.startswith("words")


def test_a_step_told_to_stop_by_nobody_in_quay_is_infrastructure() -> None:
    stopped = Outcome(problem=Problem("cancelled", "cancelled", "stopped by SIGTERM"))
    assert decide(stopped, taskrun("False", "Failed"), None).kind is Kind.RETRY
    assert decide(stopped, taskrun("False", "TaskRunCancelled"), None).kind is Kind.CANCELLED


def test_the_pod_knows_of_an_eviction_the_taskrun_does_not() -> None:
    pod = {"status": {"reason": "Evicted", "message": "The node had condition: [DiskPressure]."}}
    verdict = decide(Outcome(), taskrun("False", "Failed"), pod)
    assert verdict.problem is not None
    assert (verdict.problem.message, verdict.problem.cause) == (
        "the build's pod was evicted from its node",
        pod["status"]["message"],
    )


@pytest.mark.parametrize(
    "status", [None, {}, {"conditions": None}, {"conditions": [None, 5]}, {"conditions": [{}], "steps": "x"}]
)
def test_a_taskrun_of_any_shape_has_a_verdict(status: Any) -> None:
    assert decide(Outcome(), {"status": status}, {"status": None}).kind is Kind.RETRY


# --- logs for an event loop


class Endless:
    """A cluster whose log never ends and never waits."""

    def __init__(self) -> None:
        self.given = 0
        self.closed = threading.Event()

    def pod_log(self, *_: Any, **__: Any) -> Iterator[bytes]:
        try:
            while True:
                self.given += 1
                yield b"x" * 1000
        finally:
            self.closed.set()


def test_a_log_that_is_not_read_is_held_back_and_one_that_is_closed_ends() -> None:
    cluster = Endless()

    async def main() -> None:
        log = ThreadedLogs(cluster).open("pod", "step-build", None, 5.0)  # type: ignore[arg-type]
        assert await log.read()
        for _ in range(50):
            await asyncio.sleep(0.02)
            before = cluster.given
            await asyncio.sleep(0.02)
            if cluster.given == before:
                break
        assert cluster.given == before, "it goes on reading though nobody takes it"
        lines = await log.read()
        assert sum(len(line) for line in lines) <= MAX_BEHIND + 1000
        log.close()
        assert await asyncio.to_thread(cluster.closed.wait, 10)

    asyncio.run(main())


@pytest.mark.parametrize("failure", [ClusterError(ErrorKind.FORBIDDEN, "no"), ZeroDivisionError("a fault")])
def test_whatever_ends_a_log_is_told_after_its_lines(failure: Exception) -> None:
    class Failing:
        def pod_log(self, *_: Any, **__: Any) -> Iterator[bytes]:
            yield b"a line"
            raise failure

    async def main() -> list[bytes]:
        log = ThreadedLogs(Failing()).open("pod", "step-build", None, 5.0)  # type: ignore[arg-type]
        lines = await log.read()
        with pytest.raises(ClusterError) as raised:
            await log.read()
        assert (raised.value is failure) == isinstance(failure, ClusterError)
        return lines

    assert asyncio.run(main()) == [b"a line"]


# --- the shared streams


def test_a_refused_token_breaks_the_stream_for_its_own_build_only() -> None:
    manager = Manager()
    manager.serve()
    jobs = [manager.schedule(f"b{number}") for number in range(20)]

    async def main() -> list[Any]:
        link = Link(manager.address)
        tokens = [f"job-token {job}" for job in jobs]
        tokens.insert(7, "no token")
        answers = await asyncio.gather(*(link.publisher(token).log_message("x") for token in tokens), return_exceptions=True)
        await link.close()
        return answers

    try:
        answers = asyncio.run(main())
    finally:
        manager.stop()
    assert isinstance(answers.pop(7), Refused)
    assert answers == [True] * 20
    assert all(manager.story(f"b{number}")[-1] == "x" for number in range(20))


def test_no_manager_at_all_is_unavailable() -> None:
    async def main() -> None:
        link = Link("127.0.0.1:1")
        publisher = link.publisher("job-token x")
        for call in (publisher.heartbeat(), publisher.log_message("x"), publisher.set_phase("building", {})):
            with pytest.raises(Unavailable):
                await call
        await link.close()

    asyncio.run(main())
