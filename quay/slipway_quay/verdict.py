"""How a build has ended: what its frames say held against what the cluster says.

The table of the last part of docs/frames.md: who has to do something about it gets the build as `error` with the message; what
trying again may mend consumes a retry; a build is complete only if the push step said so *and* the TaskRun succeeded.
Reasons are Tekton's (condition Succeeded) and Kubernetes' (containers, pods); one nobody knows counts as infrastructure.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

from slipway_quay.cluster import Json
from slipway_quay.mapping import Outcome, Problem, one_line


class Kind(enum.Enum):
    COMPLETE = "complete"
    ERROR = "error"  # ends the build: trying again would end the same way
    RETRY = "retry"  # infrastructure
    CANCELLED = "cancelled"  # Quay knows already


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    problem: Problem | None = None


@dataclass(frozen=True)
class Condition:
    """TaskRun's condition `Succeeded`."""

    status: str  # True, False, Unknown
    reason: str
    message: str

    @property
    def done(self) -> bool:
        return self.status in ("True", "False")


# Classes of an error frame that another attempt would not do better; any other may be one of a later version.
_FINAL: Final = frozenset({"usage", "build", "auth", "pod", "resource"})

# Reasons of Tekton that the cluster's administrator has to do something about. Not among them: what a busy cluster or
# registry causes (TaskRunImagePullFailed, TaskRunResolutionFailed, PodEvicted, …).
_POD: Final = frozenset(
    {
        "CreateContainerConfigError",
        "InvalidParamValue",
        "PodAdmissionFailed",
        "PodCreationFailed",
        "ResourceVerificationFailed",
        "TaskRunValidationFailed",
        "TaskValidationFailed",
    }
)
_CANCELLED: Final = frozenset({"TaskRunCancelled", "Cancelled"})
_TIMEOUT: Final = "TaskRunTimeout"


def condition(taskrun: Json | None) -> Condition:
    for one in _list((taskrun or {}).get("status"), "conditions"):
        if one.get("type") == "Succeeded":
            return Condition(
                str(one.get("status")),
                str(one.get("reason", "")),
                one_line(str(one.get("message", "")))[:1024],
            )
    return Condition("Unknown", "", "")


def steps(taskrun: Json | None) -> list[dict[str, Any]]:
    """Status of the steps' containers, in the order they run."""
    return _list((taskrun or {}).get("status"), "steps")


def decide(outcome: Outcome, taskrun: Json | None, pod: Json | None) -> Verdict:
    """For a build whose TaskRun is done, or gone (None). `pod`, where it could still be had, knows of evictions."""
    if taskrun is None:
        return _again(
            "the TaskRun of this build was deleted",
            "somebody, or something that tidies up, deleted it while it ran",
        )
    how = condition(taskrun)
    if how.reason in _CANCELLED:
        return Verdict(Kind.CANCELLED)
    if how.status == "True":
        if outcome.ended.get("push") == "succeeded":
            return Verdict(Kind.COMPLETE)
        return _again("the TaskRun succeeded, but its log does not say that the image was pushed", how.message)
    said = outcome.problem
    if said is not None and said.klass != "cancelled":
        return _as_said(said)
    if said is None and outcome.ended.get("push") == "succeeded":
        return _again(f"the image was pushed, but the TaskRun failed: {how.reason}", how.message)
    return _without_a_word(outcome, taskrun, pod, how)


def _without_a_word(outcome: Outcome, taskrun: Json, pod: Json | None, how: Condition) -> Verdict:
    """No error frame, or only one of having been told to stop: the cluster knows why, or nobody does."""
    if how.reason == _TIMEOUT:
        message, hint = (
            "the build did not finish within its time limit",
            "make it faster, or have the administrator raise the limit",
        )
        return Verdict(Kind.ERROR, Problem("deadline", "resource", message, how.message, hint))
    status = (pod or {}).get("status") or {}
    if how.reason == "PodEvicted" or status.get("reason") == "Evicted":
        return _again(
            "the build's pod was evicted from its node",
            one_line(str(status.get("message", ""))) or how.message,
            "outofdisk",
        )
    if (killed := killed_step(taskrun)) is not None and killed.for_memory:
        return _out_of_memory(killed, how.message)
    if how.reason in _POD:
        return Verdict(
            Kind.ERROR,
            Problem("podforbids", "pod", "the cluster does not take the build's pod", how.message or how.reason),
        )
    if outcome.problem is not None:
        return _again("the build's pod was stopped from outside", how.message or outcome.problem.message)
    cause = "\n".join([how.message or how.reason, *outcome.foreign]).strip()
    return _again("the build's pod ended without saying why", cause)


def stuck(outcome: Outcome, taskrun: Json | None, cause: str) -> Verdict:
    """For a build whose steps are over while its TaskRun is not. Tekton's entrypoint says that its step has ended; where it was
    killed together with the step, the next one waits until the TaskRun's time is up."""
    if outcome.problem is not None and outcome.problem.klass != "cancelled":
        return _as_said(outcome.problem)
    killed = killed_step(taskrun)
    if killed is None:
        return _again("the build's last step has ended, its TaskRun has not", cause)
    if killed.for_memory:
        return _out_of_memory(killed, cause)
    return _again(f"step {killed.name} was killed (exit code {killed.exit_code})", cause)


@dataclass(frozen=True)
class Killed:
    """A step whose container has failed."""

    name: str
    exit_code: int
    for_memory: bool


def killed_step(taskrun: Json | None) -> Killed | None:
    for step in steps(taskrun):
        ended = step.get("terminated")
        ended = ended if isinstance(ended, dict) else {}
        code = ended.get("exitCode")
        for_memory = "OOMKilled" in (ended.get("reason"), step.get("terminationReason"))
        if for_memory or (isinstance(code, int) and code != 0):
            return Killed(one_line(str(step.get("name"))), code if isinstance(code, int) else 0, for_memory)
    return None


def _out_of_memory(killed: Killed, cause: str) -> Verdict:
    problem = Problem(
        "outofmemory",
        "resource",
        f"step {killed.name} used more memory than it may and was killed",
        cause,
        "make the build need less memory, or have the administrator raise the limit",
    )
    return Verdict(Kind.ERROR, problem)


def _as_said(problem: Problem) -> Verdict:
    return Verdict(Kind.ERROR if problem.klass in _FINAL else Kind.RETRY, problem)


def _again(message: str, cause: str, code: str = "internalerror") -> Verdict:
    return Verdict(Kind.RETRY, Problem(code, "internal", message, cause))


def lost(message: str, cause: str = "") -> Verdict:
    """The follower gives the attempt up: what it waited for did not come."""
    return _again(message, cause)


def _list(of: object, name: str) -> list[dict[str, Any]]:
    value = of.get(name) if isinstance(of, dict) else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
