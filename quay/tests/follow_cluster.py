"""The Cluster port over a few dictionaries, and containers whose logs are played by hand."""

from __future__ import annotations

import copy
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from slipway_quay.cluster import (
    TASKRUN,
    AlreadyExists,
    ClusterError,
    ErrorKind,
    Event,
    EventType,
    Gone,
    Kind,
    NotFound,
)


class Container:
    """One container's log: lines with the second they were written in."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.begins = 0  # lines before it were rotated away
        self.ended = False
        self.cuts = 0
        self.opened = 0
        self.silent = False  # open streams neither end nor say anything


class FakeCluster:
    """The Cluster port over a few dictionaries. `failing` makes every call raise; `cut` breaks open streams."""

    namespace = "builder"

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.events: list[tuple[int, Kind, Event]] = []
        self.containers: dict[tuple[str, str], Container] = {}
        self.version = 1
        self.failing: ClusterError | None = None
        self.patches: list[tuple[str, str, Any]] = []
        self.forgotten = 0  # events up to this version are gone

    def _check(self) -> None:
        if self.failing is not None:
            raise self.failing

    def _store(self, kind: Kind, value: dict[str, Any], how: EventType) -> dict[str, Any]:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        self.events.append((self.version, kind, Event(how, copy.deepcopy(value))))
        self.changed.notify_all()
        return copy.deepcopy(value)

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        with self.changed:
            self._check()
            if (kind.plural, name) not in self.objects:
                raise NotFound(f"{kind.plural} {name} not found")
            return copy.deepcopy(self.objects[kind.plural, name])

    def create(self, kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            self._check()
            name = manifest["metadata"]["name"]
            if (kind.plural, name) in self.objects:
                raise AlreadyExists(f"{kind.plural} {name} exists")
            value = copy.deepcopy(manifest)
            value["metadata"].setdefault("uid", f"uid-{name}-{self.version}")
            self.objects[kind.plural, name] = value
            return self._store(kind, value, EventType.ADDED)

    def delete(self, kind: Kind, name: str) -> None:
        with self.changed:
            self._check()
            value = self.objects.pop((kind.plural, name), None)
            if value is not None:
                self._store(kind, value, EventType.DELETED)

    def patch(self, kind: Kind, name: str, patch: dict[str, Any]) -> dict[str, Any]:
        with self.changed:
            self._check()
            if (kind.plural, name) not in self.objects:
                raise NotFound(f"{kind.plural} {name} not found")
            value = self.objects[kind.plural, name]
            version = patch.get("metadata", {}).get("resourceVersion")
            if version is not None and version != value["metadata"]["resourceVersion"]:
                raise ClusterError(ErrorKind.CONFLICT, "changed meanwhile")
            self.patches.append((kind.plural, name, patch))
            _merge(value, patch)
            return self._store(kind, value, EventType.MODIFIED)

    def list(self, kind: Kind, selector: str) -> tuple[list[dict[str, Any]], str]:
        wanted = dict(part.split("=") for part in selector.split(","))
        with self.changed:
            self._check()
            found = [
                copy.deepcopy(value)
                for (plural, _), value in self.objects.items()
                if plural == kind.plural and wanted.items() <= value["metadata"].get("labels", {}).items()
            ]
            return found, str(self.version)

    def watch(self, kind: Kind, selector: str, version: str, timeout: float) -> Iterator[Event]:
        at, until = int(version), time.monotonic() + min(timeout, 1.0)
        while time.monotonic() < until:
            with self.changed:
                self._check()
                if at < self.forgotten:
                    raise Gone("too old")
                new = [event for number, its, event in self.events if number > at and its == kind]
                at = self.version
                if not new:
                    self.changed.wait(0.05)
            yield from new

    def pod_log(self, pod: str, container: str, *, since: str | None = None, timeout: float) -> Iterator[bytes]:
        with self.changed:
            self._check()
            if (pod, container) not in self.containers:
                raise NotFound("no such container")
            log = self.containers[pod, container]
            log.opened += 1
            cuts, at = log.cuts, log.begins
        while True:
            with self.changed:
                if log.cuts != cuts:
                    return
                new = [] if log.silent else log.lines[max(at, log.begins) :]
                at = at if log.silent else len(log.lines)
                if not new:
                    if log.ended and not log.silent:
                        return
                    self.changed.wait(0.05)
            for line in new:
                if since is None or _second(line) >= since[:19]:
                    yield line

    # for tests

    def cut(self) -> None:
        with self.changed:
            for log in self.containers.values():
                log.cuts += 1
            self.changed.notify_all()

    def status(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        with self.changed:
            value = self.objects["taskruns", name]
            change(value.setdefault("status", {}))
            self._store(TASKRUN, value, EventType.MODIFIED)


def _second(line: bytes) -> str:
    found = re.search(rb'"t":"([^"]{19})', line)
    return found[1].decode() if found else "9999"


def _merge(value: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, new in patch.items():
        if isinstance(new, dict):
            _merge(value.setdefault(key, {}), new)
        else:
            value[key] = new
