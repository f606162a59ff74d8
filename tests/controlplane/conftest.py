"""One cluster for all tests, installed as docs/quay.md says; Quay's process, redis and servers beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if missing := [name for name in ("SLIPWAY_CONTROLPLANE_BIN", "SLIPWAY_IMAGE") if name not in os.environ]:
    pytest.exit(f"{', '.join(missing)} not set: run hack/controlplane", 2)

import plane as planes
from plane import TOP, Plane
from world import NAMESPACE, Quay, Servers


# Whoever ends this run ends what it has started; a background job of a shell would ignore SIGINT.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    made = Path(os.environ["SLIPWAY_CONTROLPLANE_WORK"])
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    made.chmod(0o755)
    yield made


@pytest.fixture(scope="session")
def plane(work: Path) -> Iterator[Plane]:
    with Plane(work) as running:
        yield running


def slipway_quay(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The package's own command."""
    return subprocess.run([sys.executable, "-B", "-m", "slipway_quay", *arguments], cwd=TOP / "quay",
                          capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="session")
def installed(plane: Plane) -> Plane:
    done = slipway_quay("install", "--namespace", NAMESPACE, "--kubeconfig", str(plane.kubeconfig),
                        "--task", str(TOP / "tasks/slipway.yaml"))
    assert done.returncode == 0, done.stderr
    return plane


@pytest.fixture(scope="session")
def servers(work: Path) -> Iterator[Servers]:
    made = Servers(work / "servers")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def redis_port(work: Path) -> Iterator[int]:
    with planes.redis(work) as port:
        yield port


@pytest.fixture(scope="session")
def quay(work: Path, installed: Plane, servers: Servers, redis_port: int) -> Iterator[Quay]:
    made = Quay(work, installed, servers, redis_port)
    yield made
    made.stop()
