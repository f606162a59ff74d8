"""Followers in processes of their own, over HTTP and gRPC, that are killed with SIGKILL: what the next one makes of it."""

from __future__ import annotations

import json
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

import apiserver
import pytest
from follow_manager import Manager
from follow_world import APP, EXECUTOR, FAST, LABEL_APP, LABEL_BUILD, LABEL_EXECUTOR, eventually, recorded

from slipway_quay.cluster.rest import RestCluster
from slipway_quay.config import Api
from slipway_quay.follower import Follower
from slipway_quay.job import BuildJob
from slipway_quay.publisher import Connections

GOLDEN = json.loads((Path(__file__).parent / "golden" / "success.json").read_text())
PORT = ("phase", "retries_remaining", "job_token", "append_log", "log_entries", "set_status", "expire", "notify", "remember")
SPAWN = multiprocessing.get_context("spawn")


class Shared(BaseManager):
    """The port to Quay, answered by the test's own process."""


def follow(api: Api, manager_address: str, quay_address: str) -> None:
    """The other process."""
    Shared.register("quay", exposed=PORT)
    shared = Shared(address=quay_address, authkey=b"test")
    shared.connect()
    quay: Any = shared.quay()  # type: ignore[attr-defined]
    connect = Connections(manager_address, lambda job: str(quay.job_token(job.build_id, job.job_id, 60)))
    settings = replace(FAST, lease_time=1.5)
    Follower(RestCluster(api), connect, settings, quay=quay, executor=EXECUTOR).run(threading.Event())


class Scene:
    def __init__(self, server: apiserver.ApiServer, quay_address: str, manager: Manager) -> None:
        self.server, self.manager = server, manager
        self._arguments = (Api(server=server.address, token=server.token), manager.address, quay_address)
        self.process: Any = None

    def start(self) -> None:
        self.process = SPAWN.Process(target=follow, args=self._arguments, daemon=True)
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join(20)


@pytest.fixture
def scene() -> Iterator[Scene]:
    manager = Manager()
    manager.serve()
    Shared.register("quay", callable=lambda: manager, exposed=PORT)
    shared = Shared(address=("127.0.0.1", 0), authkey=b"test").get_server()
    threading.Thread(target=shared.serve_forever, daemon=True).start()
    with apiserver.running() as server:
        made = Scene(server, shared.address, manager)
        yield made
        if made.process is not None:
            made.kill()
    manager.stop()


@pytest.mark.parametrize("seed", range(3))
def test_a_follower_killed_at_any_moment_leaves_nothing_lost_or_doubled(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    server, manager = scene.server, scene.manager
    job_id = manager.schedule("3f1c")
    job = BuildJob("3f1c", "build-3f1c", "", job_id, time.time(), "acme/app")
    labels = {LABEL_APP: APP, LABEL_BUILD: "3f1c", LABEL_EXECUTOR: EXECUTOR}
    steps = [{"name": step, "container": f"step-{step}", "running": {}} for step in ("fetch", "resolve", "build", "push")]
    made = server.put(
        "taskruns",
        {
            "metadata": {"name": job.taskrun, "labels": labels, "annotations": job.annotations()},
            "spec": {},
            "status": {"podName": "a-pod", "steps": steps},
        },
    )
    server.put("pods", {"metadata": {"name": "a-pod"}, "status": {"phase": "Running"}})
    for step in steps:
        server.log("a-pod", str(step["container"]))
    ours = b'"build_id":"%s"' % made["metadata"]["uid"].encode()
    scene.start()
    lines = [(step, line.replace(b'"build_id":"3f1c"', ours)) for step, said in recorded("success").items() for line in said]
    kills = set(chance.sample(range(len(lines)), 3))
    for number, (step, line) in enumerate(lines):
        server.log("a-pod", f"step-{step}", line)
        if line == [said for its, said in lines if its == step][-1]:
            server.log("a-pod", f"step-{step}", None)
        if number in kills:
            # In the middle of things, if it gets there at all: where a kill comes must not matter.
            told, until = len(manager.logs["3f1c"]), time.monotonic() + 3
            while len(manager.logs["3f1c"]) == told and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(chance.random() * 0.3)
            scene.kill()
            scene.start()
    condition = {"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": ""}
    server.update("taskruns", job.taskrun, lambda run: run["status"].update(conditions=[condition]))
    eventually(lambda: job_id not in manager.jobs, "the end of the build", 60)
    assert manager.phases["3f1c"] == "complete"
    assert manager.story("3f1c") == GOLDEN["log"]
    assert manager.refused == []
