"""What Quay keeps of whole builds: streams the binary has written, told over a real gRPC server, compared with goldens.

SLIPWAY_UPDATE_GOLDEN=1 writes the goldens; read the difference before committing it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from follow_world import World

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def compare(world: World, name: str, build_id: str = "3f1c") -> None:
    manager = world.manager
    kept = {
        "phase": manager.phases[build_id],
        "queue": manager.queue[build_id],
        "notifications": manager.notifications,
        "status": (manager.statuses.get(build_id) or [{}])[-1],
        "log": manager.story(build_id),
    }
    path = GOLDEN / f"{name}.json"
    if os.environ.get("SLIPWAY_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    assert kept == json.loads(path.read_text())
    assert manager.refused == [], "the manager refused something"
    assert manager.most_streams <= 2, "more than two streams of the manager's ten threads"


def test_a_build_that_succeeds(world: World) -> None:
    world.follow()
    world.build().plays("success").wait()
    compare(world, "success")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dockerfile-error", '"step-resolve" exited with code 10'),
        ("run-failure", '"step-build" exited with code 10'),
        ("missing-base", '"step-resolve" exited with code 10'),
        ("push-denied", '"step-push" exited with code 11'),
        ("timeout", '"step-build" exited with code 15'),
    ],
)
def test_a_build_that_its_user_has_to_mend_ends_as_error_at_once(world: World, name: str, message: str) -> None:
    world.follow()
    world.build().plays(name, "False", "Failed", message).wait()
    assert world.manager.queue["3f1c"] == "deleted", "tried again, though it would fail again"
    compare(world, name)


def test_a_cancelled_build_is_left_as_cancelled(world: World) -> None:
    world.follow()
    build = world.build()
    build.is_cancelled(lambda: world.manager.cancel(build.id))
    compare(world, "cancel")


def test_a_build_the_cluster_stopped_for_its_time_is_an_error(world: World) -> None:
    world.follow()
    build = world.build().comes_to_its_build_step()
    build.step_ends("build", 1, "TaskRunTimeout").ends(
        "False", "TaskRunTimeout", 'TaskRun "x" failed to finish within "1h0m0s"'
    ).wait()
    compare(world, "taskrun-timeout")


def test_a_container_gone_without_end_for_its_memory_is_an_error(world: World) -> None:
    world.follow()
    build = world.build().comes_to_its_build_step().step_ends("build", 137, "OOMKilled")
    build.ends("False", "Failed", '"step-build" exited with code 137 (image: "x"); OOMKilled').wait()
    compare(world, "out-of-memory")


def test_a_step_killed_for_its_memory_is_an_error_though_tekton_lets_the_taskrun_wait_for_ever(world: World) -> None:
    world.follow()
    world.build().comes_to_its_build_step().step_ends("build", 137, "OOMKilled").wait()
    assert (world.manager.phases["3f1c"], world.manager.queue["3f1c"]) == ("error", "deleted")
    assert world.manager.notifications[-1]["error_message"] == "step build used more memory than it may and was killed"


def test_a_step_killed_by_something_else_consumes_a_retry_and_says_how(world: World) -> None:
    world.follow()
    build = world.build().comes_to_its_build_step().step_ends("build", 137, "Error")
    build.wait()
    assert world.manager.queue["3f1c"] == "again, retry consumed"
    assert "Error: step build was killed (exit code 137)" in build.story


def lose_the_pod(world: World, retries: int) -> None:
    world.follow()
    world.build(retries=retries).loses_its_pod().wait()


def test_a_lost_pod_consumes_a_retry(world: World) -> None:
    lose_the_pod(world, retries=2)
    assert world.manager.queue["3f1c"] == "again, retry consumed"
    compare(world, "lost-pod")


def test_a_lost_pod_on_the_last_attempt_is_an_error_with_its_reason(world: World) -> None:
    lose_the_pod(world, retries=0)
    compare(world, "lost-pod-last")


def test_a_second_attempt_tells_everything_again(world: World) -> None:
    lose_the_pod(world, retries=2)
    before = len(world.manager.logs["3f1c"])
    world.build(retries=1, taskrun="build-3f1c-2").plays("success").wait()
    told = world.manager.story("3f1c")
    assert world.manager.phases["3f1c"] == "complete"
    first = next(index for index, entry in enumerate(told[before:], before) if entry == {"phase": "build-scheduled"})
    assert told[first:] == json.loads((GOLDEN / "success.json").read_text())["log"]
