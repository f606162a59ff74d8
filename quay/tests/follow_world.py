"""What the follower's tests stand on: `World` puts a build manager (follow_manager.py) and a cluster that plays logs
(follow_cluster.py) together with followers that can be started, stopped and killed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from follow_cluster import Container, FakeCluster
from follow_manager import Manager

from slipway_quay.cluster import TASKRUN
from slipway_quay.config import FollowSettings
from slipway_quay.follower import Follower
from slipway_quay.job import APP, LABEL_APP, LABEL_BUILD, LABEL_EXECUTOR, BuildJob
from slipway_quay.publisher import Connections

STREAMS = Path(__file__).parent / "streams"
EXECUTOR = "tekton"
FAST = FollowSettings(
    phase_delay=0.0,
    lease_time=1.0,
    heartbeat_interval=0.2,
    lapse=10.0,
    flush_interval=0.02,
    status_interval=0.05,
    checkpoint_interval=0.2,
    outage_timeout=20.0,
    killed_timeout=0.3,
    settle_timeout=5.0,
    scheduling_timeout=20.0,
    tick=0.05,
)


def eventually(true: Callable[[], Any], what: str = "", seconds: float = 20.0) -> Any:
    """Waits for something that is going to be true; the limit only keeps a failing test from hanging."""
    until = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < until, f"did not come true within {seconds} s: {what or true}"
        time.sleep(0.01)
    return value


def recorded(name: str) -> dict[str, list[bytes]]:
    """step -> lines, of a stream in streams/."""
    return {
        step: path.read_bytes().splitlines()
        for step in ("fetch", "resolve", "build", "push")
        if (path := STREAMS / name / f"{step}.frames").exists()
    }


class Build:
    """A TaskRun in the fake cluster, moved on by hand."""

    def __init__(self, world: World, build_id: str, taskrun: str) -> None:
        self.world, self.id, self.name, self.pod = world, build_id, taskrun, f"{taskrun}-pod"
        self.cluster, self.manager = world.cluster, world.manager
        self.job: BuildJob
        self.pods = 0  # of this name, one after another

    def pod_runs(self, steps: tuple[str, ...] = ("fetch", "resolve", "build", "push")) -> Build:
        with self.cluster.changed:
            for step in steps:
                self.cluster.containers[self.pod, f"step-{step}"] = Container()
        self.pods += 1
        started = f"2026-11-22T23:{self.pods:02}:00Z"
        running = [{"name": step, "container": f"step-{step}", "running": {"startedAt": started}} for step in steps]
        self.cluster.status(self.name, lambda status: status.update(podName=self.pod, steps=running))
        return self

    def log(self, step: str) -> Container:
        return self.cluster.containers[self.pod, f"step-{step}"]

    def says(self, step: str, lines: list[bytes]) -> Build:
        """`lines` of a recording, as the Task's steps would have said them: it gives them the TaskRun's uid for --build-id."""
        ours = b'"build_id":"%s"' % self.job.uid.encode()
        lines = [line.replace(b'"build_id":"3f1c"', ours) for line in lines]
        with self.cluster.changed:
            self.log(step).lines.extend(lines)
            self.cluster.changed.notify_all()
        return self

    def step_ends(self, step: str, exit_code: int = 0, reason: str = "Completed") -> Build:
        with self.cluster.changed:
            self.log(step).ended = True

        def change(status: dict[str, Any]) -> None:
            for one in status["steps"]:
                if one["name"] == step:
                    one.pop("running", None)
                    one["terminated"] = {"exitCode": exit_code, "reason": reason, "containerID": f"{self.pods}-{step}"}

        self.cluster.status(self.name, change)
        return self

    def ends(self, status: str = "True", reason: str = "Succeeded", message: str = "") -> Build:
        condition = {"type": "Succeeded", "status": status, "reason": reason, "message": message}
        with self.cluster.changed:
            for (pod, _), container in self.cluster.containers.items():
                if pod == self.pod:
                    container.ended = True
        self.cluster.status(self.name, lambda value: value.update(conditions=[condition]))
        return self

    def plays(self, name: str, status: str = "True", reason: str = "Succeeded", message: str = "") -> Build:
        """A recorded stream from beginning to end."""
        self.pod_runs()
        for step, lines in recorded(name).items():
            self.says(step, lines)
            self.step_ends(step)
        return self.ends(status, reason, message)

    def is_cancelled(self, cancel: Callable[[], None]) -> Build:
        """A build that `cancel` ends in the middle of its build step."""
        self.pod_runs()
        stream = recorded("cancel")
        begun = next(index for index, line in enumerate(stream["build"], 1) if b'"begun"' in line)
        for step in ("fetch", "resolve"):
            self.says(step, stream[step]).step_ends(step)
        self.says("build", stream["build"][:begun])
        eventually(lambda: "begun" in self.story)
        cancel()
        self.says("build", stream["build"][begun:])
        return self.ends("False", "TaskRunCancelled", "TaskRun was cancelled").wait_until_left()

    def comes_to_its_build_step(self, lines: slice = slice(None)) -> Build:
        """A build that something will end from outside, told up to `lines` of its build step."""
        self.pod_runs()
        for step in ("fetch", "resolve"):
            self.says(step, recorded("killed")[step]).step_ends(step)
        return self.says("build", recorded("killed")["build"][lines])

    def loses_its_pod(self) -> Build:
        self.comes_to_its_build_step(slice(-1))
        return self.ends("False", "PodEvicted", "The node was low on resource: ephemeral-storage.")

    @property
    def phase(self) -> str:
        return self.manager.phases[self.id]

    @property
    def story(self) -> list[Any]:
        return self.manager.story(self.id)

    def is_over(self) -> bool:
        """For Quay, and for the follower."""
        return self.job.job_id not in self.manager.jobs

    def wait_until_left(self) -> Build:
        """For the follower alone: Quay keeps the job of a cancelled build until it runs out."""
        eventually(
            lambda: all(self.job.uid in follower._finished for follower, _, _ in self.world.running), f"the end of {self.id}"
        )
        return self

    def wait(self, seconds: float = 20.0) -> Build:
        eventually(self.is_over, f"the end of {self.id}; so far: {self.phase} {self.story[-5:]}", seconds)
        eventually(lambda: all(self.job.uid not in follower._sessions for follower, _, _ in self.world.running))
        return self


class World:
    def __init__(self) -> None:
        self.cluster, self.manager = FakeCluster(), Manager()
        self.manager.serve()
        self.running: list[tuple[Follower, threading.Event, threading.Thread]] = []
        self.clock: Callable[[], float] = time.monotonic

    def follow(self, settings: FollowSettings = FAST, identity: str | None = None) -> Follower:
        connect = Connections(self.manager.address, lambda job: self.manager.job_token(job.build_id, job.job_id, 60))
        follower = Follower(self.cluster, connect, settings, self.clock, quay=self.manager, executor=EXECUTOR, identity=identity)
        stop = threading.Event()

        def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):  # what `kill` does
                follower.run(stop)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.running.append((follower, stop, thread))
        return follower

    def stop(self) -> None:
        """All followers, in good order."""
        for _, stop, _ in self.running:
            stop.set()
        for _, _, thread in self.running:
            thread.join(20)
            assert not thread.is_alive(), "a follower did not stop"
        self.running.clear()

    def kill(self) -> None:
        """All followers at once, in whatever they were doing: no cleaning up, as a kill leaves it."""
        for follower, stop, thread in self.running:
            stop.set()
            follower._lease.release = lambda: None  # type: ignore[method-assign]
            loop = follower._loop
            if loop is not None:

                def die(loop: asyncio.AbstractEventLoop = loop) -> None:
                    for task in asyncio.all_tasks(loop):
                        task.cancel()

                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(die)
            thread.join(20)
        self.running.clear()

    def build(self, build_id: str = "3f1c", retries: int = 2, taskrun: str | None = None) -> Build:
        build = Build(self, build_id, taskrun or f"build-{build_id}")
        job_id = self.manager.schedule(build_id, retries)
        job = BuildJob(build_id, build.name, "", job_id, time.time(), "acme/app")
        labels = {LABEL_APP: APP, LABEL_BUILD: build_id, LABEL_EXECUTOR: EXECUTOR}
        assert labels == job.labels(EXECUTOR)
        made = self.cluster.create(
            TASKRUN, {"metadata": {"name": build.name, "labels": labels, "annotations": job.annotations()}, "spec": {}}
        )
        build.job = job.with_uid(made["metadata"]["uid"])
        return build

    def close(self) -> None:
        self.stop()
        self.manager.stop()
