"""What can only be done within Quay's own process: everything of Quay's that is imported is imported here.

`Quay` is the port; `InsideQuay` uses Quay's modules, which are loaded when first needed so that this package can be
imported, checked and tested without them. Every method may be called from any thread and raises QuayError only.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

# Phases of a build as Quay's database has them.
WAITING, SCHEDULED = "waiting", "build-scheduled"
COMPLETE, ERROR, INTERNAL_ERROR, CANCELLED = "complete", "error", "internalerror", "cancelled"
ENDED = frozenset({COMPLETE, ERROR, INTERNAL_ERROR, CANCELLED})


class QuayError(Exception):
    """Quay's database or redis could not be asked; trying again later makes sense."""


class Quay(Protocol):
    def phase(self, build_id: str) -> str | None:
        """The build's phase as users see it, or None if there is no such build (any more)."""
        ...

    def retries_remaining(self, job_id: str) -> int | None:
        """How often Quay will try the build again after this attempt, or None once the job is gone."""
        ...

    def job_token(self, build_id: str, job_id: str, seconds: int) -> str:
        """A new job token, as `RegisterBuildJob` hands out, valid for so long."""
        ...

    def append_log(self, build_id: str, message: str, kind: str | None, data: dict[str, Any]) -> None:
        """An entry in the build's log; `kind` is "phase", "command", "error" or None for plain output."""
        ...

    def log_entries(self, build_id: str, start: int) -> tuple[int, list[dict[str, Any]]]:
        """How many entries the build's log has, and those from index `start` on."""
        ...

    def set_status(self, build_id: str, status: dict[str, Any]) -> None:
        """What the progress bar shows: total_commands, current_command, pull_completion, push_completion, …"""
        ...

    def expire(self, job_id: str) -> bool:
        """Ends this attempt within seconds as an internal error, on the path that consumes a retry. False if the job is
        gone already. No heartbeat and no log message may follow: one that arrives later keeps the job alive."""
        ...

    def notify(
        self,
        build_id: str,
        event: str,
        *,
        error_message: str | None = None,
        image_id: str | None = None,
        manifest_digests: list[str] | None = None,
    ) -> None:
        """Sends `build_failure` or `build_success`, with what Quay's own code leaves out of them."""
        ...

    def remember(self, build_id: str, error_message: str | None, image_id: str | None, manifest_digests: list[str]) -> None:
        """What Quay's own notification of the build's end, sent by the phase that follows, is to carry."""
        ...


T = TypeVar("T")


# What `remember` was told, by build, until its notification is sent. Of the process, as Quay's notifier is.
_outcomes: dict[str, tuple[str | None, str | None, list[str]]] = {}
_outcomes_lock = threading.Lock()


class InsideQuay:
    def __init__(self, manager_hostname: str) -> None:
        self._manager_hostname = manager_hostname
        self._lock = threading.Lock()
        self._redis: Any = None

    @staticmethod
    def _asking(what: str, question: Callable[[], T]) -> T:
        """Runs `question` with a database connection that is given back afterwards."""
        try:
            from app import app  # type: ignore[import-not-found]
            from data.database import UseThenDisconnect  # type: ignore[import-not-found]

            with UseThenDisconnect(app.config):
                return question()
        except Exception as error:
            # Only the type: Quay's exceptions may quote rows, keys and tokens.
            raise QuayError(f"{what}: {type(error).__name__}") from error

    def phase(self, build_id: str) -> str | None:
        def ask() -> str | None:
            from data import model  # type: ignore[import-not-found]

            try:
                return str(model.build.get_repository_build(build_id).phase)
            except model.InvalidRepositoryBuildException:
                return None

        return self._asking("cannot read a build's phase", ask)

    def _orchestrator(self) -> Any:
        """Quay's redis as its build canceller opens it: a client without subscriptions."""
        with self._lock:
            if self._redis is None:
                from app import app
                from buildman.orchestrator import RedisOrchestrator, orchestrator_from_config  # type: ignore[import-not-found]

                opened = orchestrator_from_config(app.config["BUILD_MANAGER"][1], canceller_only=True)
                if not isinstance(opened, RedisOrchestrator):
                    raise TypeError("an orchestrator in memory is the manager's own")
                self._redis = opened
            return self._redis

    def _job(self, job_id: str) -> str | None:
        # get_key() is refused to a client without subscriptions, and one with them would answer every expiry twice.
        value = self._orchestrator()._client.get(job_id)
        return None if value is None else value.decode("utf-8")

    def retries_remaining(self, job_id: str) -> int | None:
        def ask() -> int | None:
            job = self._job(job_id)
            return None if job is None else int(json.loads(job)["job_queue_item"]["retries_remaining"])

        return self._asking("cannot read a build's retries", ask)

    def expire(self, job_id: str) -> bool:
        def ask() -> bool:
            job = self._job(job_id)
            if job is None:
                return False
            # The key's expiry event is what Quay itself ends an overdue build by: internal error, retry not restored.
            self._orchestrator().set_key(job_id, job, overwrite=True, expiration=1)
            return True

        return self._asking("cannot end a build's attempt", ask)

    def notify(
        self,
        build_id: str,
        event: str,
        *,
        error_message: str | None = None,
        image_id: str | None = None,
        manifest_digests: list[str] | None = None,
    ) -> None:
        def ask() -> None:
            from buildman.jobutil.buildjob import BuildJobNotifier  # type: ignore[import-not-found]

            BuildJobNotifier(build_id).send_notification(event, error_message, image_id, manifest_digests)

        self._asking("cannot send a notification", ask)

    def remember(self, build_id: str, error_message: str | None, image_id: str | None, manifest_digests: list[str]) -> None:
        def ask() -> None:
            from buildman.jobutil.buildjob import BuildJobNotifier

            _carry(BuildJobNotifier)
            with _outcomes_lock:
                _outcomes[build_id] = (error_message, image_id, manifest_digests)
                while len(_outcomes) > 1000:  # whose terminal phase was refused: nobody asks for them
                    _outcomes.pop(next(iter(_outcomes)))

        self._asking("cannot prepare a notification", ask)

    def job_token(self, build_id: str, job_id: str, seconds: int) -> str:
        def ask() -> str:
            from app import instance_keys
            from buildman.build_token import BUILD_JOB_TOKEN_TYPE, build_token  # type: ignore[import-not-found]

            token = build_token(self._manager_hostname, BUILD_JOB_TOKEN_TYPE, build_id, job_id, seconds, instance_keys)
            return token if isinstance(token, str) else token.decode("ascii")

        return self._asking("cannot issue a job token", ask)

    def append_log(self, build_id: str, message: str, kind: str | None, data: dict[str, Any]) -> None:
        def ask() -> None:
            from app import build_logs

            build_logs.append_log_message(build_id, message, kind, data)

        self._asking("cannot write to a build's log", ask)

    def log_entries(self, build_id: str, start: int) -> tuple[int, list[dict[str, Any]]]:
        def ask() -> tuple[int, list[dict[str, Any]]]:
            from app import build_logs

            count, entries = build_logs.get_log_entries(build_id, start)
            return int(count), list(entries)

        return self._asking("cannot read a build's log", ask)

    def set_status(self, build_id: str, status: dict[str, Any]) -> None:
        def ask() -> None:
            from app import build_logs

            build_logs.set_status(build_id, status)

        self._asking("cannot write a build's status", ask)


def _carry(notifier: Any) -> None:
    """Quay's manager leaves these arguments out when it sends; they are put in on the way, once for the whole process."""
    with _outcomes_lock:
        sends = notifier.send_notification
        if getattr(sends, "carries_outcomes", False):
            return

        def send_notification(
            that: Any, kind: str, error_message: str | None = None, image_id: str | None = None, manifest_digests: Any = None
        ) -> Any:
            known: tuple[str | None, str | None, list[str]] = (None, None, [])
            if kind in ("build_success", "build_failure"):
                with _outcomes_lock:
                    known = _outcomes.pop(that.build_uuid, known)
            return sends(that, kind, error_message or known[0], image_id or known[1], manifest_digests or known[2] or None)

        send_notification.carries_outcomes = True  # type: ignore[attr-defined]
        notifier.send_notification = send_notification
