"""The one port through which Slipway sees Kubernetes; `rest` and `openshift` are its adapters.

Every method may be called from any thread, blocks, and raises ClusterError and nothing else. Each call has the time limit
the adapter was configured with; `watch` and `pod_log` have one of their own. Manifests and answers are plain
JSON values. An adapter writes no manifest, answer, header or token into any log.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A resource type, as the API's paths and `kubectl` name it."""

    group: str  # "" is the core group
    version: str
    plural: str
    name: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full(self) -> str:
        """What `kubectl` takes without asking the server which group was meant."""
        return f"{self.plural}.{self.version}.{self.group}" if self.group else self.plural


TASKRUN = Kind("tekton.dev", "v1", "taskruns", "TaskRun")
TASK = Kind("tekton.dev", "v1", "tasks", "Task")
POD = Kind("", "v1", "pods", "Pod")
SECRET = Kind("", "v1", "secrets", "Secret")


class EventType(enum.Enum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"  # object holds nothing but metadata.resourceVersion


@dataclass(frozen=True)
class Event:
    type: EventType
    object: Json

    @property
    def version(self) -> str:
        """Where the next watch begins."""
        return str(self.object.get("metadata", {}).get("resourceVersion", ""))


class ErrorKind(enum.Enum):
    UNAUTHORIZED = "unauthorized"  # 401: the token or certificate is not (or no longer) accepted
    FORBIDDEN = "forbidden"  # 403: RBAC, quota or admission
    NOT_FOUND = "not_found"  # 404
    CONFLICT = "conflict"  # 409: exists already, or was changed meanwhile
    GONE = "gone"  # 410: list again, then watch from the version that gives
    INVALID = "invalid"  # 400, 405, 413, 415, 422: the same request will fail again
    THROTTLED = "throttled"  # 429
    SERVER = "server"  # 5xx, or an answer that is none of Kubernetes'
    NETWORK = "network"  # no answer: refused, reset, timed out, TLS


class ClusterError(Exception):
    """A request that failed. `str()` of it is one line without secrets, fit for logs and for people."""

    def __init__(self, kind: ErrorKind, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after  # seconds, if the server said so

    @property
    def transient(self) -> bool:
        """The same request may succeed later without anybody doing anything."""
        return self.kind in (ErrorKind.THROTTLED, ErrorKind.SERVER, ErrorKind.NETWORK)


class NotFound(ClusterError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.NOT_FOUND, message)


class AlreadyExists(ClusterError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.CONFLICT, message)


class Gone(ClusterError):
    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.GONE, message)


class Cluster(Protocol):
    """One namespace of one cluster, seen with one set of credentials."""

    @property
    def namespace(self) -> str: ...

    def get(self, kind: Kind, name: str) -> Json:
        """Raises NotFound."""
        ...

    def create(self, kind: Kind, manifest: Json) -> Json:
        """The object as the server keeps it. `generateName` works. Raises AlreadyExists."""
        ...

    def delete(self, kind: Kind, name: str) -> None:
        """In the background. What is gone already is no error."""
        ...

    def patch(self, kind: Kind, name: str, patch: Json) -> Json:
        """JSON merge patch (RFC 7396). With `metadata.resourceVersion` in it, a change by another is a CONFLICT."""
        ...

    def list(self, kind: Kind, selector: str) -> tuple[list[Json], str]:
        """All matching objects, pages joined, and the version to watch from. Items have no kind or apiVersion."""
        ...

    def watch(self, kind: Kind, selector: str, version: str, timeout: float) -> Iterator[Event]:
        """What happens after `version`, until `timeout` seconds are over or the server ends it: both are a normal
        end, after which one watches again from the last event's version. Raises Gone when `version` is too old."""
        ...

    def pod_log(
        self, pod: str, container: str, *, since: str | None = None, timeout: float
    ) -> Iterator[bytes]:
        """Lines of a container's log as they come (follow), without their line ends; no timestamps are added. `since`
        (RFC 3339, whole seconds count) leaves out older lines. Ends when the container has ended, and also when the stream
        broke or `timeout` seconds went by without a byte: only the frames in it tell which. A line past
        MAX_LOG_LINE bytes comes in pieces. Raises when the log cannot be had at all: NotFound without pod or container,
        INVALID while the container has not started."""
        ...


MAX_LOG_LINE = 64 * 1024
