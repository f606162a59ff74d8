"""Builds from Quay's manager to the registry, through a real API server, Tekton's controller and entrypoint, in real containers.

What Quay keeps of a build is compared with golden/NAME.json; SLIPWAY_UPDATE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from world import NAMESPACE, Build, Quay, eventually

GOLDEN = Path(__file__).parent / "golden"


def keeps(build: Build, name: str, *, cut: str | None = None) -> None:
    """Quay's phase and log of the build are the golden's; of lines that begin with `cut` there may be any number."""
    log = [line for line in build.story if cut is None or not isinstance(line, str) or not line.startswith(cut)]
    told = {"phase": build.phase, "log": log}
    path = GOLDEN / f"{name}.json"
    if os.environ.get("SLIPWAY_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(told, indent=1) + "\n")
    assert told == json.loads(path.read_text())


def test_a_build_is_pushed_and_quay_has_its_phases_and_log(quay: Quay) -> None:
    build = quay.build("FROM BASE\nRUN echo made here >/made\nCOPY README /README\n", repository="team/app")
    assert build.ends() == "complete"
    keeps(build, "success")
    assert quay.servers.digest("team/app", "latest").startswith("sha256:")
    assert quay.servers.digest("team/app", "latest") == quay.servers.digest("team/app", "v1")


def test_a_dockerfile_that_is_none_is_an_error_with_its_line(quay: Quay) -> None:
    build = quay.build("FROM BASE\nRUNN true\n")
    assert build.ends() == "error"
    keeps(build, "dockerfile-error")


def test_a_command_that_fails_is_an_error_with_its_output(quay: Quay) -> None:
    build = quay.build("FROM BASE\nRUN echo about to fail; exit 7\n")
    assert build.ends() == "error"
    keeps(build, "run-failure")


def test_a_base_image_that_is_missing_is_named(quay: Quay) -> None:
    build = quay.build("FROM REGISTRY/base/none:1\nRUN true\n")
    assert build.ends() == "error"
    keeps(build, "missing-base")


def test_a_push_that_is_denied_is_an_error(quay: Quay) -> None:
    build = quay.build("FROM scratch\nCOPY README /README\n", token="WRONG-TOKEN")
    assert build.ends() == "error"
    keeps(build, "push-denied")


COUNTING = 'FROM BASE\nRUN i=0; while [ $i -lt {} ]; do i=$((i + 1)); echo "line $i"; sleep 0.5; done\n'


def test_a_build_that_is_cancelled_ends_its_pod(quay: Quay) -> None:
    build = quay.build(COUNTING.format(600))
    build.says("line 3")
    pod = build.pod
    quay.cancel(build)
    eventually(lambda: (build.taskrun or {}).get("spec", {}).get("status") == "TaskRunCancelled", "the TaskRun is cancelled")
    eventually(lambda: build.plane.get("pod", pod, NAMESPACE) is None, "its pod is gone")
    assert build.phase == "cancelled"
    assert build.story[-1] != "line 600"


def test_a_container_that_is_killed_costs_a_retry_and_says_so(quay: Quay) -> None:
    build = quay.build(COUNTING.format(600))
    build.says("line 3")
    subprocess.run(["podman", "kill", "--signal", "KILL", build.container("build")], capture_output=True, check=True)
    eventually(lambda: build.phase == "internalerror", "Quay gives the build back", 300)
    keeps(build, "killed", cut="line ")
    assert ["incomplete", {"restore_retry": False, "retry_after": 30}] in build.queue()


def test_a_container_that_is_killed_on_the_last_attempt_is_an_error_with_the_reason(quay: Quay) -> None:
    build = quay.build(COUNTING.format(600), retries=0)
    build.says("line 3")
    subprocess.run(["podman", "kill", "--signal", "KILL", build.container("build")], capture_output=True, check=True)
    assert build.ends() == "error"
    keeps(build, "killed-last", cut="line ")


def test_a_pod_that_is_deleted_by_force_is_made_anew_by_tekton_and_told_from_its_first_step(quay: Quay) -> None:
    """Under the same name, and its TaskRun does not count it as a retry."""
    build = quay.build(COUNTING.format(30), retries=0)
    build.says("line 3")
    build.plane.kubectl("-n", NAMESPACE, "delete", "pod", build.pod, "--grace-period=0", "--force")
    assert build.ends() == "complete"
    at = build.story.index("[the build's pod was replaced by another: the build begins again]")
    former, new = (
        [line for line in part if isinstance(line, str) and line.startswith("line ")]
        for part in (build.story[:at], build.story[at:])
    )
    counted = [f"line {number}" for number in range(1, 31)]
    assert former == counted[: len(former)]
    assert len(former) >= 3
    assert new == counted


def test_a_manager_that_is_killed_is_taken_over_from_without_a_line_lost_or_doubled(quay: Quay) -> None:
    build = quay.build(COUNTING.format(80))
    build.says("line 5")
    quay.kill()
    quay.start()
    killed = time.monotonic()
    told = len(build.entries)
    eventually(lambda: len(build.entries) > told, "the new one follows", 60)
    assert time.monotonic() - killed < 60
    assert build.ends() == "complete"
    lines = [line for line in build.story if isinstance(line, str) and line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(1, 81)]


def test_a_build_past_its_time_ends_with_that_reason(quay: Quay, work: Path) -> None:
    quay.stop()
    hasty = Quay(work, quay.plane, quay.servers, quay.redis_port, NAME="hasty", MAXIMUM_JOB_TIME=60)
    try:
        build = hasty.build(COUNTING.format(600), retries=0)
        build.says("line 3")
        assert build.ends() == "error"
        keeps(build, "timeout", cut="line ")
    finally:
        hasty.stop()
        quay.start()
