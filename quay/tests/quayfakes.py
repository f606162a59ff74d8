"""What stands in for Quay where its own code is not needed: its database and redis, registration, followers, tokens, time."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from slipway_quay.executor import StartError
from slipway_quay.job import BuildJob
from slipway_quay.taskrun import BuildPack, GitPackage

BUILD = "8a9f0c1e-5d2b-4c3a-9e8f-0123456789ab"

GIT_PACK = BuildPack(
    context="/",
    dockerfile_path="Dockerfile",
    registry="quay.example.com",
    repository="team/app",
    tags=("latest", "v1.2"),
    git=GitPackage("git@git.example.com:team/app.git", "0123456789abcdef0123456789abcdef01234567", "PRIVATE-KEY-TEXT\n"),
    pull_token="PULL-TOKEN",
    push_token="PUSH-TOKEN",
    base_username="team+robot",
    base_password="ROBOT-PASSWORD",
    job_token="JOB-TOKEN",
)
ARCHIVE_PACK = replace(GIT_PACK, git=None, package_url="https://quay.example.com/userfiles/x?signature=SIGNED-QUERY")
SECRETS = ("PRIVATE-KEY-TEXT", "PULL-TOKEN", "PUSH-TOKEN", "ROBOT-PASSWORD", "JOB-TOKEN", "SIGNED-QUERY")


def token(build_id: str = BUILD, attempt: int = 1) -> str:
    """A registration token as Quay's look, but for its signature."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    context = {"token_type": "build_job_registration", "build_id": build_id, "job_id": f"building/{build_id}", "expiration": 60}
    return f"{part({'alg': 'RS256', 'kid': 'k'})}.{part({'context': context, 'iat': attempt})}.signature"


class Quay:
    """The port `inside.Quay`, in memory."""

    def __init__(self) -> None:
        self.phases: dict[str, str] = {}
        self.log: list[tuple[str, str, str | None, dict[str, Any]]] = []
        self.failing: Exception | None = None

    def phase(self, build_id: str) -> str | None:
        if self.failing is not None:
            raise self.failing
        return self.phases.get(build_id)

    def append_log(self, build_id: str, message: str, kind: str | None, data: dict[str, Any]) -> None:
        self.log.append((build_id, message, kind, data))

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for here")


class Registrar:
    def __init__(self, pack: BuildPack = GIT_PACK) -> None:
        self.pack = pack
        self.tokens: list[str] = []
        self.failing: StartError | None = None

    def register(self, token: str, timeout: float) -> BuildPack:
        self.tokens.append(token)
        if self.failing is not None:
            raise self.failing
        return self.pack


class Followers:
    def __init__(self) -> None:
        self.adopted: list[BuildJob] = []
        self.failing = False

    def adopt(self, job: BuildJob) -> None:
        if self.failing:
            raise RuntimeError("no thread can be started")
        self.adopted.append(job)


class Clock:
    """Time that passes when somebody waits, or a test says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.time = now
        self.waited: list[float] = []

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.time += seconds
