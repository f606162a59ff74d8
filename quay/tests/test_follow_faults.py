"""What goes wrong on the way from a step to Quay: whatever it is, the log is told whole, once and in order.

The expected story is always that of the same stream told without any fault.
"""

from __future__ import annotations

import dataclasses
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from follow_world import FAST, Build, World, eventually, recorded

from slipway_quay.cluster import TASKRUN, ClusterError, ErrorKind

GOLDEN = json.loads((Path(__file__).parent / "golden" / "success.json").read_text())
STEPS = ("fetch", "resolve", "build", "push")


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def is_whole(build: Build, phase: str = "complete") -> None:
    assert build.phase == phase
    assert build.story == GOLDEN["log"]
    assert build.manager.refused == []


def play(build: Build, between: Callable[[str, int], None], size: int = 10) -> None:
    """The successful stream piece by piece; `between` is called after each."""
    build.pod_runs()
    for step, lines in recorded("success").items():
        for begin in range(0, len(lines), size):
            build.says(step, lines[begin : begin + size])
            between(step, begin)
        build.step_ends(step)
    build.ends()


def test_a_stream_that_is_cut_again_and_again(world: World) -> None:
    world.follow()
    build = world.build()

    def cut(step: str, at: int) -> None:
        time.sleep(0.05)
        world.cluster.cut()

    play(build, cut)
    build.wait()
    is_whole(build)
    assert build.log("build").opened > 1, "nothing was cut"


def test_lines_that_come_twice_and_out_of_order(world: World) -> None:
    world.follow()
    build = world.build().pod_runs()
    chance = random.Random(7)
    for step, lines in recorded("success").items():
        shaken = list(lines)
        for _ in range(10):
            at = chance.randrange(1, len(shaken) - 1)
            shaken[at], shaken[at - 1] = shaken[at - 1], shaken[at]
            shaken.insert(chance.randrange(at, len(shaken)), shaken[at])
        build.says(step, shaken).step_ends(step)
    build.ends().wait()
    is_whole(build)


def test_a_log_rotated_after_it_was_read_loses_nothing(world: World) -> None:
    world.follow()
    build = world.build()

    def rotate(step: str, at: int) -> None:
        if step == "build" and at == 30:
            eventually(lambda: "line 20 of 40" in build.story)
            build.log("build").begins = 12
            world.cluster.cut()

    play(build, rotate)
    build.wait()
    is_whole(build)


def test_a_log_rotated_before_it_was_read_says_how_much_is_lost(world: World) -> None:
    world.follow()
    build = world.build().pod_runs()
    stream = recorded("success")
    build.says("fetch", stream["fetch"]).step_ends("fetch").says("resolve", stream["resolve"]).step_ends("resolve")
    build.says("build", stream["build"][:15])
    eventually(lambda: "line 0 of 40" in build.story)
    build.log("build").silent = True
    time.sleep(0.1)
    build.says("build", stream["build"][15:40])
    build.log("build").begins = 30
    build.log("build").silent = False
    world.cluster.cut()
    build.says("build", stream["build"][40:]).step_ends("build").says("push", stream["push"]).step_ends("push")
    build.ends().wait()
    assert build.phase == "complete"
    lost = [line for line in build.story if isinstance(line, str) and "were lost on the way" in line]
    assert lost == ["[15 messages of step build were lost on the way here]"]
    assert build.story[-1] == {"phase": "complete"}


def test_an_api_server_that_restarts(world: World) -> None:
    world.follow()
    build = world.build()

    def restart(step: str, at: int) -> None:
        if step != "build" or at != 20:
            return
        eventually(lambda: "line 5 of 40" in build.story)
        world.cluster.failing = ClusterError(ErrorKind.NETWORK, "connection refused")
        world.cluster.cut()
        world.cluster.forgotten = world.cluster.version  # and its watch cache begins anew
        beats = len([call for call in world.manager.calls if call[0] == "heartbeat"])
        time.sleep(2 * FAST.lease_time)
        assert len([call for call in world.manager.calls if call[0] == "heartbeat"]) > beats, "the build would have run out"
        world.cluster.failing = None

    play(build, restart)
    build.wait()
    is_whole(build)


def test_an_open_stream_that_says_nothing_more_is_opened_again(world: World) -> None:
    world.follow()
    build = world.build().pod_runs()
    stream = recorded("success")
    build.says("fetch", stream["fetch"]).step_ends("fetch").says("resolve", stream["resolve"]).step_ends("resolve")
    build.says("build", stream["build"][:30])
    eventually(lambda: "line 5 of 40" in build.story)
    build.log("build").silent = True
    build.says("build", stream["build"][30:]).step_ends("build")
    eventually(lambda: build.log("build").opened > 1)
    build.log("build").silent = False
    build.says("push", stream["push"]).step_ends("push").ends().wait()
    is_whole(build)


def fast_clock(factor: float) -> Callable[[], float]:
    """Ages things without waiting for them."""
    return lambda: time.monotonic() * factor


def test_a_step_that_reports_no_more_consumes_a_retry(world: World) -> None:
    world.clock = fast_clock(60)
    world.follow(dataclasses.replace(FAST, lease_time=600.0, lapse=600.0, scheduling_timeout=3600.0))
    build = world.build().pod_runs()
    build.says("fetch", recorded("success")["fetch"][:5])
    build.wait()
    assert (build.phase, build.manager.queue[build.id]) == ("internalerror", "again, retry consumed")
    said = [line for line in build.story if isinstance(line, str)]
    assert "has not reported" in said[-2]
    assert said[-1] == "The build is going to be tried again."


def test_a_pod_that_is_gone_while_its_taskrun_runs_on_consumes_a_retry_and_says_so(world: World) -> None:
    world.clock = fast_clock(60)
    world.follow(dataclasses.replace(FAST, lease_time=600.0, lapse=600.0, scheduling_timeout=3600.0))
    build = world.build().pod_runs()
    build.says("fetch", recorded("success")["fetch"][:5])
    eventually(lambda: {"phase": "unpacking"} in build.story)
    with world.cluster.changed:
        build.log("fetch").cuts += 1
        world.cluster.containers.clear()
    build.wait()
    assert build.manager.queue[build.id] == "again, retry consumed"
    assert "Error: the build's pod is gone: it was deleted, or its node was lost" in build.story


def test_a_pod_that_is_never_scheduled_consumes_a_retry_and_says_why(world: World) -> None:
    world.clock = fast_clock(60)
    world.follow(dataclasses.replace(FAST, lease_time=600.0, lapse=600.0, scheduling_timeout=60.0))
    build = world.build()
    why = {"type": "Succeeded", "status": "Unknown", "reason": "ExceededNodeResources", "message": "0/3 nodes are available"}
    world.cluster.status(build.name, lambda status: status.update(conditions=[why]))
    build.wait()
    assert build.manager.queue[build.id] == "again, retry consumed"
    assert any(isinstance(line, str) and "0/3 nodes are available" in line for line in build.story)
    beats = [call for call in build.manager.calls if call[0] == "heartbeat"]
    assert len(beats) > 1, "a pending build is kept alive"


def test_a_deleted_taskrun_consumes_a_retry(world: World) -> None:
    world.follow()
    build = world.build().pod_runs().says("fetch", recorded("success")["fetch"])
    eventually(lambda: {"phase": "unpacking"} in build.story)
    world.cluster.delete(TASKRUN, build.name)
    build.wait()
    assert build.manager.queue[build.id] == "again, retry consumed"
    assert "Error: the TaskRun of this build was deleted" in build.story


def test_a_job_quay_has_ended_is_told_no_more_and_its_taskrun_is_cancelled(world: World) -> None:
    world.follow()
    build = world.build().pod_runs().says("fetch", recorded("success")["fetch"])
    eventually(lambda: {"phase": "unpacking"} in build.story)
    with world.manager.lock:
        world.manager.jobs.clear()
    build.wait_until_left()
    assert world.cluster.get(TASKRUN, build.name)["spec"] == {"status": "TaskRunCancelled"}


def test_a_success_without_the_word_of_the_push_step_is_no_success(world: World) -> None:
    world.follow()
    build = world.build().pod_runs()
    for step in STEPS[:3]:
        build.says(step, recorded("success")[step]).step_ends(step)
    build.says("push", recorded("success")["push"][:-1]).step_ends("push").ends().wait()
    assert (build.phase, build.manager.queue[build.id]) == ("internalerror", "again, retry consumed")


def test_a_push_that_succeeded_in_a_taskrun_that_failed_is_no_success(world: World) -> None:
    world.follow()
    build = world.build().plays("success", "False", "StepFailed", '"step-sbom" exited with code 1').wait()
    assert build.manager.queue[build.id] == "again, retry consumed"


# --- managers that come and go


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("after", [0, 10, 20, 30, 50, 70])
def test_a_restarted_manager_goes_on_where_the_last_one_was(world: World, how: str, after: int) -> None:
    world.follow(identity="same host")
    build = world.build()

    def restart(step: str, at: int) -> None:
        if step == "build" and at == after:
            getattr(world, how)()
            world.follow(identity="same host")

    play(build, restart)
    build.wait()
    is_whole(build)


def test_a_manager_killed_after_every_few_lines(world: World) -> None:
    world.follow(identity="same host")
    build = world.build()

    def restart(step: str, at: int) -> None:
        time.sleep(0.02)
        world.kill()
        world.follow(identity="same host")

    play(build, restart, size=15)
    build.wait()
    is_whole(build)


def test_a_restart_with_a_rotated_log_goes_on_from_the_checkpoint(world: World) -> None:
    world.follow(dataclasses.replace(FAST, checkpoint_interval=0.0), identity="same host")
    build = world.build().pod_runs()
    stream = recorded("success")
    build.says("fetch", stream["fetch"]).step_ends("fetch").says("resolve", stream["resolve"]).step_ends("resolve")
    build.says("build", stream["build"][:40])

    def noted() -> bool:
        note = world.cluster.get(TASKRUN, build.name)["metadata"]["annotations"].get("follow.slipway.dev/told")
        return note is not None and json.loads(note)["step"] == "build" and json.loads(note)["seq"] == 40

    eventually(noted)
    world.kill()
    build.log("build").begins = 25
    world.follow(identity="same host")
    build.says("build", stream["build"][40:]).step_ends("build").says("push", stream["push"]).step_ends("push")
    build.ends().wait()
    is_whole(build)


def test_of_two_managers_one_follows_and_the_other_takes_over(world: World) -> None:
    first = world.follow(identity="one")
    build = world.build()
    eventually(lambda: first.following)
    second = world.follow(identity="two")

    def swap(step: str, at: int) -> None:
        assert first.following == 0 or second.following == 0, "both follow"
        if step == "build" and at == 30:
            _, stop, thread = world.running.pop(0)
            stop.set()
            thread.join(20)
            eventually(lambda: second.following)

    play(build, swap)
    build.wait()
    is_whole(build)


def test_a_manager_that_vanished_is_replaced_once_its_lease_has_run_out(world: World) -> None:
    world.follow(identity="one")
    build = world.build()

    def vanish(step: str, at: int) -> None:
        if step == "build" and at == 30:
            world.kill()
            world.follow(identity="two")

    play(build, vanish)
    build.wait()
    is_whole(build)


def test_an_archived_build_does_not_grow_again(world: World) -> None:
    world.follow(identity="one")
    build = world.build().plays("success").wait()
    world.stop()
    world.manager.logs[build.id].clear()  # as Quay's archiver does
    world.follow(identity="two")
    build.wait_until_left()
    assert world.manager.logs[build.id] == []


@pytest.mark.parametrize("before", ["waiting", "internalerror"])
def test_nothing_is_said_before_quay_has_scheduled_the_job(world: World, before: str) -> None:
    build = world.build()
    with world.manager.lock:
        world.manager.phases[build.id] = before
        world.manager.logs[build.id].clear()
    follower = world.follow()
    follower.adopt(build.job)
    build.plays("success")
    eventually(lambda: follower.following)
    time.sleep(10 * FAST.tick)
    assert world.manager.calls == []
    world.manager.update_phase(build.job.job_id, "build-scheduled", {})
    build.wait()
    is_whole(build)


def test_a_session_that_failed_is_begun_anew(world: World) -> None:
    entries, failures = world.manager.log_entries, iter([1, 2])

    def fail(build_id: str, start: int) -> tuple[int, list[Any]]:
        if next(failures, None):
            raise ZeroDivisionError("a fault of ours")
        return entries(build_id, start)

    world.manager.log_entries = fail  # type: ignore[method-assign]
    follower = world.follow()
    build = world.build().plays("success")

    def again() -> bool:
        follower.adopt(build.job)  # as the executor does that finds it unfinished
        return build.is_over()

    eventually(again)
    is_whole(build)


# --- the build manager's side


def test_a_grpc_server_that_restarts(world: World) -> None:
    world.follow()
    build = world.build()
    port = int(world.manager.address.rpartition(":")[2])

    def restart(step: str, at: int) -> None:
        if step == "build" and at in (10, 40):
            world.manager.stop()
            time.sleep(0.1)
            world.manager.serve(port)

    play(build, restart)
    build.wait()
    is_whole(build)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_an_answer_that_never_came_is_no_reason_to_say_it_twice(world: World, every: int) -> None:
    """The message was stored, then the stream broke."""
    count = 0
    lock = threading.Lock()

    def fail(method: str) -> None:
        nonlocal count
        with lock:
            count += method == "log"
            if method == "log" and count % every == 0:
                raise grpc.RpcError("the handler died")

    world.manager.before_answer = fail
    world.follow()
    build = world.build()
    play(build, lambda step, at: time.sleep(0.03), size=4)
    build.wait()
    assert count > every, "nothing failed"
    is_whole(build)


def test_a_token_quay_does_not_take_ends_one_build_and_no_other(world: World) -> None:
    other, refused = world.build("good"), world.build("bad")
    world.manager.job_token = lambda build, job, seconds: f"{'job-token' if build == 'good' else 'no'} {job}"  # type: ignore[method-assign]
    world.follow()
    other.plays("success").wait()
    assert other.phase == "complete"
    [(follower, _, _)] = world.running

    def given_up() -> bool:
        follower.adopt(refused.job)  # as the executor does again and again, for it may have been a token that had run out
        return refused.job.uid in follower._finished

    eventually(given_up)
    assert refused.phase == "build-scheduled"


def test_many_builds_at_once_lose_nothing_and_mix_nothing(world: World) -> None:
    world.follow()
    builds = [world.build(f"build-{number}") for number in range(200)]
    for build in builds:
        build.plays("success")
    for build in builds:
        build.wait(120)
        is_whole(build)
    assert world.manager.most_streams <= 2
