"""Logs of many containers at once, for an event loop: batches of lines, read by threads from `Cluster.pod_log`.

One thread for each log that is open (one a build, never one a step) which sleeps in the kernel while nothing is said. It
hands over what it has read all at once, and waits while the loop is behind, so that the connection's own flow control holds
the server back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Final, Protocol

from slipway_quay.cluster import Cluster, ClusterError, ErrorKind

WAITED: Final = 0.002  # seconds for a line that was not there yet
ENOUGH: Final = 16 * 1024  # bytes without a wait: so busy a log is worth its wake-ups
COLLECTED: Final = 0.5  # seconds for which lines are left in the connection then
MAX_BEHIND: Final = 256 * 1024  # bytes read that the loop has not taken yet


class Log(Protocol):
    async def read(self) -> list[bytes]:
        """At least one line, or none at all if the log has ended. Raises ClusterError. May be cancelled without loss."""
        ...

    def close(self) -> None: ...


class LogSource(Protocol):
    def open(self, pod: str, container: str, since: str | None, quiet: float) -> Log:
        """`since`: RFC 3339 time of the oldest line that is wanted. `quiet`: seconds without a byte after which it ends."""
        ...


class ThreadedLogs:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def open(self, pod: str, container: str, since: str | None, quiet: float) -> Log:
        return _ThreadedLog(self._cluster, pod, container, since, quiet)


class _ThreadedLog:
    def __init__(self, cluster: Cluster, pod: str, container: str, since: str | None, quiet: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._told = False  # the loop has been woken and has not read yet
        self._ended = False
        self._closed = False
        self._error: ClusterError | None = None
        arguments = (cluster, pod, container, since, quiet)
        threading.Thread(target=self._work, args=arguments, name=f"log {pod}/{container}", daemon=True).start()

    async def read(self) -> list[bytes]:
        while True:
            with self._changed:
                lines, self._lines, self._size, self._told = self._lines, [], 0, False
                self._changed.notify()
                if lines:
                    return lines
                if self._error is not None:
                    raise self._error
                if self._ended:
                    return []
                self._there.clear()
            await self._there.wait()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _work(self, cluster: Cluster, pod: str, container: str, since: str | None, quiet: float) -> None:
        error: ClusterError | None = None
        try:
            self._pump(cluster.pod_log(pod, container, since=since, timeout=quiet))
        except ClusterError as failed:
            error = failed
        except Exception as failed:  # whatever it was, the build must not wait for it
            error = ClusterError(ErrorKind.NETWORK, f"reading the log of {pod}/{container} failed: {type(failed).__name__}")
        with self._changed:
            self._ended, self._error = True, error
            self._wake()

    def _pump(self, log: Iterator[bytes]) -> None:
        asked, read = time.monotonic(), 0
        for line in log:
            if time.monotonic() - asked > WAITED:
                if read < ENOUGH:
                    # It had to wait for this line, and not much came before: let more come together, or two hundred threads
                    # would wake for each of theirs.
                    time.sleep(COLLECTED)
                read = 0
            read += len(line)
            with self._changed:
                while self._size >= MAX_BEHIND and not self._closed:
                    self._changed.wait()
                if self._closed:
                    break
                self._lines.append(line)
                self._size += len(line) + 64
                self._wake()
            asked = time.monotonic()
        close = getattr(log, "close", None)
        if close is not None:
            close()

    def _wake(self) -> None:
        if self._told or self._closed:
            return
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._there.set)
        except RuntimeError:  # the loop has been closed meanwhile
            self._closed = True
