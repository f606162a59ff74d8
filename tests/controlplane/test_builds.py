"""Builds from Quay's manager to the registry, through a real API server, Tekton's controller and entrypoint, in real containers.

What Quay keeps of a build is compared with golden/NAME.json; SLIPWAY_UPDATE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from world import Build, Quay

GOLDEN = Path(__file__).parent / "golden"


def keeps(build: Build, name: str) -> None:
    """Quay's phase and log of the build are the golden's."""
    told = {"phase": build.phase, "log": build.story}
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
