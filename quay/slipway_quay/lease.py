"""One of several managers follows: a Lease of coordination.k8s.io, taken and renewed by compare-and-swap.

One object for everything a follower follows, since a claim on each TaskRun would wake Tekton's controller at every renewal.
Whether another's claim has run out is judged by how long this process has seen it unchanged, never by the clocks of two
machines.
Blocking; used from one thread at a time.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from slipway_quay.cluster import AlreadyExists, Cluster, ClusterError, ErrorKind, Json, Kind, NotFound

LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")


def name_for(executor: str) -> str:
    """The name of an executor's Lease: 63 lower-case letters, digits and '-' at most. Different executors have different ones."""
    plain = re.sub(r"[^a-z0-9-]", "-", executor.lower())[:40].strip("-")
    if plain != executor:
        plain = f"{plain}-{hashlib.sha256(executor.encode()).hexdigest()[:8]}".lstrip("-")
    return f"slipway-quay-{plain}"


class Lease:
    def __init__(
        self,
        cluster: Cluster,
        name: str,
        identity: str,
        duration: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._identity = identity
        self._duration = duration
        self._clock = clock
        self._seen: tuple[str, str] = (
            "",
            "",
        )  # the other's holder and renewal, and when they were first seen so
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    @property
    def held(self) -> bool:
        """Still ours for certain: a follower whose renewals fail falls silent before another may begin."""
        return self._renewed_at is not None and self._clock() - self._renewed_at < self._duration * 2 / 3

    def claim(self) -> bool:
        """Takes the lease or renews it. False: another has it. Raises ClusterError, which changes nothing."""
        asked = self._clock()
        try:
            lease = self._cluster.get(LEASE, self._name)
        except NotFound:
            return self._create(asked)
        spec = lease.get("spec") or {}
        holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
        if holder and holder != self._identity:
            self._renewed_at = None
            if (holder, renewed) != self._seen:
                self._seen, self._seen_at = (holder, renewed), asked
            if asked - self._seen_at < self._duration:
                return False
        version = str((lease.get("metadata") or {}).get("resourceVersion", ""))
        return self._write(asked, version, self._identity)

    def release(self) -> None:
        """Whoever waits need not wait for the lease to run out. Never raises."""
        if self._renewed_at is None:
            return
        self._renewed_at = None
        try:
            lease = self._cluster.get(LEASE, self._name)
            if (lease.get("spec") or {}).get("holderIdentity") == self._identity:
                self._write(self._clock(), str((lease.get("metadata") or {}).get("resourceVersion", "")), "")
        except ClusterError:
            pass
        self._renewed_at = None

    def _create(self, asked: float) -> bool:
        manifest = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"name": self._name},
            "spec": self._spec(self._identity),
        }
        try:
            self._cluster.create(LEASE, manifest)
        except AlreadyExists:
            return False
        self._renewed_at = asked
        return True

    def _write(self, asked: float, version: str, holder: str) -> bool:
        try:
            self._cluster.patch(LEASE, self._name, {"metadata": {"resourceVersion": version}, "spec": self._spec(holder)})
        except ClusterError as error:
            if error.kind in (ErrorKind.CONFLICT, ErrorKind.NOT_FOUND):
                return False
            raise
        self._renewed_at = asked
        return True

    def _spec(self, holder: str) -> Json:
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, int(self._duration)),
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
