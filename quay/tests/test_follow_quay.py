"""The follower against Quay's own code: manager, servicer, tokens, redis orchestrator and build logs. Needs QUAY_SOURCE.

What Quay keeps has to be what `test_follow_builds` keeps with the manager of `follow_manager`: the same goldens.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from follow_cluster import FakeCluster
from follow_world import FAST, World, recorded

if not os.environ.get("QUAY_SOURCE"):
    pytest.skip("QUAY_SOURCE names no checkout of Quay", allow_module_level=True)
pytest.importorskip("fakeredis", reason="fakeredis is not installed")

import fakeredis
import quaysource
from quaysource import MANAGER, Loaded, Record

from slipway_quay.inside import InsideQuay

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def quay() -> Loaded:
    return quaysource.load()


class QuayManager:
    """Quay's manager in the form `World` and `Build` ask; everything else is the port, answered by `InsideQuay`."""

    def __init__(self, quay: Loaded, manager: Any, redis: Any, address: str) -> None:
        self.quay, self.manager, self.redis, self.address = quay, manager, redis, address
        self._inside = InsideQuay(MANAGER)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inside, name)

    @property
    def jobs(self) -> set[str]:
        return {key.decode() for key in self.redis.keys("building/*") if key.count(b"/") == 1}

    @property
    def phases(self) -> dict[str, str]:
        return {name: build.phase for name, build in self.quay.database.builds.items()}

    def schedule(self, build_id: str, retries: int = 2) -> str:
        self.quay.database.add(build_id)
        item = Record(body=json.dumps({"build_uuid": build_id}), retries_remaining=retries, id=1)
        job_id = str(self.manager.create_job(build_id, {"job_queue_item": vars(item)}))
        assert self.manager.job_scheduled(job_id, "tekton", "x", 500)
        return job_id

    def entries(self, build_id: str) -> list[dict[str, Any]]:
        return list(self.quay.build_logs.get_log_entries(build_id, 0)[1])

    def story(self, build_id: str) -> list[Any]:
        told: list[Any] = []
        for entry in self.entries(build_id):
            data = {name: value for name, value in entry["data"].items() if name != "datetime"}
            if "type" in entry:
                told.append({entry["type"]: entry["message"], **data})
            else:
                told.extend(entry["message"].split("\n"))
        return told

    def stop(self) -> None:
        pass


@pytest.fixture
def world(quay: Loaded, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    redis = fakeredis.FakeStrictRedis(server=quay.redis)
    redis.flushall()
    quay.database.builds.clear()
    quay.database.queue.clear()
    quay.database.notifications.clear()
    monkeypatch.setattr("redis.StrictRedis", lambda **_: fakeredis.FakeStrictRedis(server=quay.redis))
    config = {"EXECUTOR": "none", "ORCHESTRATOR": {"REDIS_HOST": "x", "REDIS_SKIP_KEYSPACE_EVENT_SETUP": True}}
    quay.config["BUILD_MANAGER"] = ["ephemeral", config]
    manager = quay.manager()
    manager.initialize(config)
    with quay.serving(manager) as address:
        world = World.__new__(World)
        world.cluster, world.running, world.clock = FakeCluster(), [], time.monotonic
        world.manager = QuayManager(quay, manager, redis, address)  # type: ignore[assignment]
        yield world
        world.stop()


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def queue(world: World) -> list[Any]:
    return [entry for entry in world.manager.quay.database.queue if entry[0] != "extend_processing"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["success", "dockerfile-error", "run-failure", "missing-base", "push-denied", "timeout"])
def test_quay_keeps_of_a_build_what_the_golden_says(world: World, name: str) -> None:
    world.follow()
    succeeds = name == "success"
    build = world.build().plays(name, "True" if succeeds else "False", "Succeeded" if succeeds else "Failed").wait()
    expected = golden(name)
    assert build.phase == expected["phase"]
    assert build.story == expected["log"]
    assert queue(world) == [("complete", {})]
    sent = [(kind, data) for kind, data in world.manager.quay.database.notifications if kind != "build_start"]  # type: ignore[attr-defined]
    assert [kind for kind, _ in sent] == [one["event"] for one in expected["notifications"]]
    for (_, data), one in zip(sent, expected["notifications"], strict=True):
        assert {name: value for name, value in one.items() if name != "event"}.items() <= data.items()


def test_the_status_is_where_quays_api_reads_it(world: World) -> None:
    world.follow()
    build = world.build().plays("success").wait()
    assert world.manager.quay.build_logs.get_status(build.id) == golden("success")["status"]  # type: ignore[attr-defined]


def lose_a_pod(world: World, retries: int) -> Any:
    world.follow()
    return world.build(retries=retries).loses_its_pod()


def test_infrastructure_ends_the_attempt_by_quays_own_expiry(world: World) -> None:
    build = lose_a_pod(world, retries=2)
    build.wait_until_left()
    left = world.manager.redis.pttl(f"{build.job.job_id}/expiring")  # type: ignore[attr-defined]
    assert 0 < left <= 1000 or left == -2, "the key that Quay's expiry handler waits for does not run out at once"
    assert build.story[-3:] == golden("lost-pod")["log"][-3:]
    from buildman.orchestrator import KeyChange, KeyEvent  # type: ignore[import-not-found]

    # redis would tell Quay; the one in memory has no such events.
    value = world.manager.redis.get(build.job.job_id)  # type: ignore[attr-defined]
    world.manager.manager._job_expired_callback(KeyChange(KeyEvent.EXPIRE, build.job.job_id, value))  # type: ignore[attr-defined]
    assert build.phase == "internalerror"
    assert queue(world) == [("incomplete", {"restore_retry": False, "retry_after": 30})]


def test_infrastructure_on_the_last_attempt_is_an_error_with_the_reason(world: World) -> None:
    build = lose_a_pod(world, retries=0)
    build.wait()
    assert build.story == golden("lost-pod-last")["log"]
    assert queue(world) == [("complete", {})]


def test_a_cancelled_build_stays_cancelled(world: World) -> None:
    world.follow()
    build = world.build()

    def cancel() -> None:
        world.manager.quay.database.builds[build.id].phase = "cancelled"  # type: ignore[attr-defined]

    build.is_cancelled(cancel)
    assert build.phase == "cancelled"
    assert build.story == golden("cancel")["log"]


@pytest.mark.parametrize("after", [10, 30, 60])
def test_a_manager_killed_in_the_middle_is_taken_over_from_without_a_line_lost_or_doubled(world: World, after: int) -> None:
    world.follow(identity="same host")
    build = world.build().pod_runs()
    for step, lines in recorded("success").items():
        if step == "build":
            build.says(step, lines[:after])
            time.sleep(0.05)
            world.kill()
            world.follow(identity="same host")
            lines = lines[after:]
        build.says(step, lines).step_ends(step)
    build.ends().wait()
    assert build.story == golden("success")["log"]


def test_every_call_is_one_quays_servicer_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[tuple[str, Any]] = []
    lock = threading.Lock()
    lifecycle = world.manager.manager  # type: ignore[attr-defined]
    for name in ("append_build_log", "update_job_phase", "job_heartbeat"):
        inner = getattr(lifecycle, name)

        def noted(*arguments: Any, name: str = name, inner: Any = inner, **more: Any) -> Any:
            answer = inner(*arguments, **more)
            with lock:
                answers.append((name, answer))
            return answer

        monkeypatch.setattr(lifecycle, name, noted)
    world.follow(FAST)
    world.build(str(uuid.uuid4()))
    build = world.build().plays("success").wait()
    assert build.phase == "complete"
    assert {name for name, _ in answers} == {"append_build_log", "update_job_phase", "job_heartbeat"}
    assert all(answer for _, answer in answers), f"refused: {[one for one in answers if not one[1]]}"
