"""All of it but the pods: Quay's own manager, servicer, tokens and logs; TektonExecutor with its own threads, loaded by the
launcher's key; a Kubernetes API over TLS; what the steps say is recorded. Compared with the follower's goldens.

Needs QUAY_SOURCE.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apiserver
import pytest

if not os.environ.get("QUAY_SOURCE"):
    pytest.skip("QUAY_SOURCE names no checkout of Quay", allow_module_level=True)
if importlib.util.find_spec("slipway_quay.follower") is None:
    pytest.skip("there is no follower", allow_module_level=True)
pytest.importorskip("fakeredis", reason="fakeredis is not installed")

import fakeredis
import quaysource
from quaysource import Record

from slipway_quay import launcher

TESTS = Path(__file__).parent
STEPS = ("fetch", "resolve", "build", "push")


def eventually(true: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
    return value


class Whole:
    def __init__(self, server: apiserver.ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server, self.quay = server, quaysource.load()
        self.redis = fakeredis.FakeStrictRedis(server=self.quay.redis)
        self.redis.flushall()
        self.quay.database.builds.clear()
        self.quay.database.queue.clear()
        self.quay.database.notifications.clear()
        monkeypatch.setattr("redis.StrictRedis", lambda **_: fakeredis.FakeStrictRedis(server=self.quay.redis))
        monkeypatch.setattr(self.quay.Manager, "EXECUTORS", dict(self.quay.Manager.EXECUTORS))
        launcher.register()
        self.manager = self.quay.manager()
        self.config: dict[str, Any] = {}

    def start(self, address: str) -> None:
        """Quay's manager, or one more, as its process would have it after a restart."""
        executor = {
            "EXECUTOR": "tekton",
            "K8S_API_SERVER": self.server.address,
            "SERVICE_ACCOUNT_TOKEN": self.server.token,
            "K8S_API_TLS_CA": self.server.certificate,
            "BUILDMAN_GRPC": address,
            "POLL_INTERVAL": 1,
        }
        self.config = {
            "EXECUTORS": [executor],
            "ORCHESTRATOR": {"REDIS_HOST": "x", "REDIS_SKIP_KEYSPACE_EVENT_SETUP": True},
            "ALLOWED_WORKER_COUNT": 50,
        }
        self.quay.config["BUILD_MANAGER"] = ["ephemeral", self.config]
        self.manager.initialize(self.config)

    def restart(self, address: str) -> None:
        self.stop()
        self.manager._ordered_executors.clear()
        self.manager._executor_name_to_executor.clear()
        self.start(address)

    def stop(self) -> None:
        for executor in self.manager._ordered_executors:
            executor.shutdown()

    def schedule(self) -> Build:
        build = str(uuid.uuid4())
        self.quay.database.add(build)
        item = Record(body=json.dumps({"build_uuid": build}), retries_remaining=2, id=1)
        self.manager.create_job(build, {"job_queue_item": vars(item)})
        assert self.manager.schedule(build) == (True, None)
        [name] = [name for name in self.server.names("taskruns") if build in name]
        return Build(self, build, name)


class Build:
    def __init__(self, whole: Whole, build: str, taskrun: str) -> None:
        self.whole, self.server, self.id, self.taskrun, self.pod = whole, whole.server, build, taskrun, f"{taskrun}-pod"

    def runs(self) -> None:
        self.server.put("pods", {"metadata": {"name": self.pod}, "status": {"phase": "Running"}})
        for step in STEPS:
            self.server.log(self.pod, f"step-{step}")
        steps = [{"name": step, "container": f"step-{step}", "running": {}} for step in STEPS]
        condition = {"type": "Succeeded", "status": "Unknown", "reason": "Running"}
        self._status(lambda status: status.update(podName=self.pod, steps=steps, conditions=[condition]))

    def says(self, step: str, lines: list[bytes]) -> None:
        # The Task gives its steps the TaskRun's uid for --build-id; the recordings were made with another.
        uid = self.server.find("taskruns", self.taskrun)["metadata"]["uid"].encode()  # type: ignore[index]
        own = [line.replace(b'"build_id":"3f1c"', b'"build_id":"%s"' % uid) for line in lines]
        self.server.log(self.pod, f"step-{step}", *own)

    def step_ends(self, step: str) -> None:
        self.server.log(self.pod, f"step-{step}", None)

        def change(status: dict[str, Any]) -> None:
            one = next(one for one in status["steps"] if one["name"] == step)
            del one["running"]
            one["terminated"] = {"exitCode": 0, "reason": "Completed"}

        self._status(change)

    def ends(self, status: str = "True", reason: str = "Succeeded") -> None:
        for step in STEPS:
            self.server.log(self.pod, f"step-{step}", None)
        condition = {"type": "Succeeded", "status": status, "reason": reason}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._status(lambda value: value.update(conditions=[condition], completionTime=now))

    def plays(self, name: str, status: str = "True", reason: str = "Succeeded") -> None:
        self.runs()
        for step, lines in recorded(name).items():
            self.says(step, lines)
            self.step_ends(step)
        self.ends(status, reason)

    def _status(self, change: Callable[[dict[str, Any]], None]) -> None:
        self.server.update("taskruns", self.taskrun, lambda run: change(run.setdefault("status", {})))

    @property
    def phase(self) -> str:
        return str(self.whole.quay.database.builds[self.id].phase)

    @property
    def story(self) -> list[Any]:
        told: list[Any] = []
        for entry in self.whole.quay.build_logs.get_log_entries(self.id, 0)[1]:
            data = {name: value for name, value in entry["data"].items() if name != "datetime"}
            told.extend([{entry["type"]: entry["message"], **data}] if "type" in entry else entry["message"].split("\n"))
        return told

    def wait(self) -> None:
        eventually(lambda: not self.whole.redis.exists(self.whole.manager._job_key(self.id)))


def recorded(name: str) -> dict[str, list[bytes]]:
    return {
        step: path.read_bytes().splitlines()
        for step in STEPS
        if (path := TESTS / "streams" / name / f"{step}.frames").exists()
    }


def golden(name: str) -> Any:
    return json.loads((TESTS / "golden" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def whole(server: apiserver.ApiServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    made = Whole(server, monkeypatch)
    with made.quay.serving(made.manager) as address:
        made.start(address)
        made.address = address  # type: ignore[attr-defined]
        yield made
        made.stop()


@pytest.mark.parametrize("name", ["success", "dockerfile-error", "run-failure", "missing-base", "push-denied"])
def test_a_build_from_quays_queue_to_its_end(whole: Whole, name: str) -> None:
    build = whole.schedule()
    assert json.loads(whole.manager._orchestrator.get_key(whole.manager._job_key(build.id)))["execution_id"] == build.taskrun
    build.plays(name, *(() if name == "success" else ("False", "Failed")))
    build.wait()
    expected = golden(name)
    assert (build.phase, build.story) == (expected["phase"], expected["log"])
    assert ("complete", {}) in whole.quay.database.queue
    eventually(lambda: not whole.server.names("secrets"))
    assert not whole.server.find("taskruns", build.taskrun)["spec"].get("status")  # type: ignore[index]


def test_a_cancelled_build_ends_its_pod(whole: Whole) -> None:
    build = whole.schedule()
    build.runs()
    build.says("fetch", recorded("success")["fetch"])
    eventually(lambda: build.phase == "unpacking")
    whole.quay.database.builds[build.id].phase = "cancelled"
    eventually(lambda: (whole.server.find("taskruns", build.taskrun) or {})["spec"].get("status") == "TaskRunCancelled")
    assert build.phase == "cancelled"


def test_a_restarted_manager_goes_on_without_a_line_lost_or_doubled(whole: Whole) -> None:
    build = whole.schedule()
    build.runs()
    stream = recorded("success")
    for step in ("fetch", "resolve"):
        build.says(step, stream[step])
        build.step_ends(step)
    build.says("build", stream["build"][:30])
    eventually(lambda: build.phase == "building")
    whole.restart(whole.address)  # type: ignore[attr-defined]
    build.says("build", stream["build"][30:])
    build.step_ends("build")
    build.says("push", stream["push"])
    build.step_ends("push")
    build.ends()
    build.wait()
    assert (build.phase, build.story) == ("complete", golden("success")["log"])


def test_many_builds_at_once(whole: Whole) -> None:
    builds = [whole.schedule() for _ in range(20)]
    threads = [threading.Thread(target=build.plays, args=("success",)) for build in builds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for build in builds:
        build.wait()
    expected = golden("success")["log"]
    assert all((build.phase, build.story) == ("complete", expected) for build in builds)
