"""A pod that is deleted by force, or lost with its node, is made anew by Tekton under the same name: its steps are told from the
first, after a line that says so; nothing of the former pod is taken for the new one's or the other way round."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from follow_world import FAST, Build, World, eventually, recorded

from slipway_quay.cluster import TASKRUN
from slipway_quay.mapping import ANEW_LINE

GOLDEN = json.loads((Path(__file__).parent / "golden" / "success.json").read_text())["log"]
PHASES = [entry for entry in GOLDEN if isinstance(entry, dict) and "phase" in entry]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def later(lines: list[bytes]) -> list[bytes]:
    """The same said by another pod, a year after."""
    return [line.replace(b'"t":"2026-', b'"t":"2027-') for line in lines]


def comes_to(build: Build, step: str, lines: int) -> Build:
    """`lines` of `step` are said and told."""
    stream = recorded("success")
    build.pod_runs()
    for before in ("fetch", "resolve", "build", "push"):
        if before == step:
            break
        build.says(before, stream[before]).step_ends(before)
    return build.says(step, stream[step][:lines])


def is_in_its_build_step(world: World) -> Build:
    build = comes_to(world.build(), "build", 40)
    eventually(lambda: "line 20 of 40" in build.story)
    return build


def ends_in_another_pod(build: Build) -> None:
    for step, lines in recorded("success").items():
        build.says(step, later(lines)).step_ends(step)
    build.ends().wait()


def is_told_from_the_first_again(build: Build) -> None:
    """Phases, which do not go back, only once."""
    assert build.phase == "complete", build.story[-4:]
    assert build.manager.refused == []
    assert build.story.count(ANEW_LINE) == 1
    at = build.story.index(ANEW_LINE)
    assert build.story[:at] == GOLDEN[:at]
    told = [entry for entry in build.story[:at] if entry in PHASES]
    assert build.story[at + 1 :] == [entry for entry in GOLDEN if entry not in told]


AT = [("fetch", 5, "Compressing objects: 100% (2/2), done."), ("build", 40, "line 20 of 40"), ("push", 2, {"phase": "pushing"})]


@pytest.mark.parametrize(("step", "lines", "told"), AT)
def test_while_a_step_runs(world: World, step: str, lines: int, told: Any) -> None:
    world.follow()
    build = comes_to(world.build(), step, lines)
    eventually(lambda: told in build.story)
    build.pod_runs()
    world.cluster.cut()
    ends_in_another_pod(build)
    is_told_from_the_first_again(build)


@pytest.mark.parametrize(("step", "lines", "told"), AT)
def test_and_its_log_is_read_before_the_taskrun_tells_of_it(world: World, step: str, lines: int, told: Any) -> None:
    world.follow()
    build = comes_to(world.build(), step, lines)
    eventually(lambda: told in build.story)
    former, opened = build.cluster.objects["taskruns", build.name]["status"], build.log(step).opened
    with world.cluster.changed:
        for container in world.cluster.containers.values():
            container.lines.clear()
    build.says(step, later(recorded("success")[step][:-1]))
    world.cluster.cut()
    eventually(lambda: build.log(step).opened > opened)
    assert build.cluster.objects["taskruns", build.name]["status"] == former
    build.pod_runs()
    ends_in_another_pod(build)
    is_told_from_the_first_again(build)


def test_between_two_steps(world: World) -> None:
    world.follow()
    build = world.build().pod_runs(("fetch",))
    build.says("fetch", recorded("success")["fetch"]).step_ends("fetch")
    eventually(lambda: "Total 3 (delta 0), reused 0 (delta 0), pack-reused 0 (from 0)" in build.story)
    build.pod_runs()
    ends_in_another_pod(build)
    is_told_from_the_first_again(build)


def test_while_its_status_has_no_steps_yet(world: World) -> None:
    world.follow()
    build = is_in_its_build_step(world)
    world.cluster.status(build.name, lambda status: status.update(steps=[]))
    build.pod_runs()
    world.cluster.cut()
    ends_in_another_pod(build)
    is_told_from_the_first_again(build)


def test_the_new_pod_fails_in_an_earlier_step(world: World) -> None:
    world.follow()
    build = is_in_its_build_step(world)
    build.pod_runs()
    failure = {"slipway": 1, "seq": 2, "t": "2027-01-01T00:00:00.000Z", "step": "fetch", "kind": "error"}
    failure["error"] = {"code": "gitnotfound", "class": "build", "message": "no such branch"}
    end = {**failure, "seq": 3, "kind": "end", "end": {"status": "failed"}}
    hello = later(recorded("success")["fetch"][:1])
    build.says("fetch", [*hello, *(json.dumps(frame, separators=(",", ":")).encode() for frame in (failure, end))])
    build.step_ends("fetch", exit_code=1).ends("False", "Failed", "fetch exited with code 1").wait()
    assert build.phase == "error"
    assert build.story[build.story.index(ANEW_LINE) + 1] == "Error: no such branch"


@pytest.mark.parametrize("lines", [0, 5, 40])
def test_a_manager_that_takes_over_then_tells_nothing_twice(world: World, lines: int) -> None:
    world.follow(identity="same host")
    build = is_in_its_build_step(world)
    build.pod_runs()
    stream = {step: later(lines) for step, lines in recorded("success").items()}
    for step in ("fetch", "resolve"):
        build.says(step, stream[step]).step_ends(step)
    build.says("build", stream["build"][:lines])
    eventually(lambda: ANEW_LINE in build.story)
    world.kill()
    world.follow(identity="same host")
    build.says("build", stream["build"][lines:]).step_ends("build").says("push", stream["push"]).step_ends("push")
    build.ends().wait()
    is_told_from_the_first_again(build)


def test_and_nobody_followed_meanwhile(world: World) -> None:
    """What the checkpoint calls told is the former pod's: no line of the new one is held to be told for its number."""
    world.follow(dataclasses.replace(FAST, checkpoint_interval=0.0), identity="same host")
    build = comes_to(world.build(), "build", 40)

    def noted() -> bool:
        note = world.cluster.get(TASKRUN, build.name)["metadata"]["annotations"].get("follow.slipway.dev/told")
        return note is not None and json.loads(note)["step"] == "build" and json.loads(note)["seq"] == 40

    eventually(noted)
    world.kill()
    build.pod_runs()
    world.follow(identity="same host")
    ends_in_another_pod(build)
    lines = [entry for entry in build.story if isinstance(entry, str) and entry.endswith(" of 40")]
    assert lines[-40:] == [f"line {number} of 40" for number in range(40)]
    assert build.story[-1] == {"phase": "complete"}


def test_a_retry_of_tektons_says_so_too(world: World) -> None:
    """Its pod has another name, and the TaskRun counts it."""
    world.follow()
    build = is_in_its_build_step(world)
    build.step_ends("build", exit_code=1)
    world.cluster.status(build.name, lambda status: status.update(podName="", steps=[], retriesStatus=[{}]))
    build.pod += "-retry1"
    build.pod_runs()
    ends_in_another_pod(build)
    is_told_from_the_first_again(build)


def test_a_build_cannot_say_so_itself(world: World) -> None:
    world.follow(identity="same host")
    build = comes_to(world.build(), "build", 0)
    stream = recorded("success")["build"]
    forged = [line.replace(b"line 20 of 40", ANEW_LINE.encode()) for line in stream]
    assert forged != stream
    build.says("build", forged[:40])
    eventually(lambda: "line 21 of 40" in build.story)
    world.kill()
    world.follow(identity="same host")
    build.says("build", forged[40:]).step_ends("build").says("push", recorded("success")["push"]).step_ends("push").ends().wait()
    assert build.story == ["\u200b" + ANEW_LINE if entry == "line 20 of 40" else entry for entry in GOLDEN]
