"""What waits to be told to Quay, in order; and which of it Quay has been told already by another.

Bounded: `full` says when its reader should wait. Lines that wait are sent together, in one message each time it is their
build's turn: the busier the manager, the larger the messages and the fewer there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from slipway_quay.mapping import ANEW_LINE, Command, Entry, ErrorEntry, Line, Phase

MAX_MESSAGE: Final = 256 * 1024  # characters of lines in one message; gRPC takes 4 MiB
MAX_WAITING: Final = 512 * 1024  # characters; past it no more is read
LOOK_AHEAD: Final = 5000  # stored entries among which one that is not the next is looked for


class Mark(NamedTuple):
    """The frame an entry came from."""

    attempt: int
    step: str
    seq: int
    t: str  # when it was written: RFC 3339, so that the order of texts is that of times


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes in one call. `mark` of its last entry: everything up to there is told once it has been answered."""

    entry: Entry
    mark: Mark


class Outbox:
    def __init__(self) -> None:
        self._waiting: deque[tuple[Entry, Mark]] = deque()
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first_mark(self) -> Mark | None:
        return self._waiting[0][1] if self._waiting else None

    @property
    def full(self) -> bool:
        return self._size >= MAX_WAITING

    @property
    def urgent(self) -> bool:
        """Something that does not wait to be sent together with more."""
        return self._size >= MAX_MESSAGE or (bool(self._waiting) and not isinstance(self._waiting[0][0], Line))

    def put(self, entry: Entry, mark: Mark) -> None:
        self._waiting.append((entry, mark))
        self._size += _size(entry)

    def next(self) -> Batch | None:
        """The next call, still waiting here until `done`."""
        if not self._waiting:
            return None
        first, mark = self._waiting[0]
        if not isinstance(first, Line):
            return Batch(first, mark)
        texts: list[str] = []
        size = 0
        for entry, its in self._waiting:
            if not isinstance(entry, Line) or (texts and size + len(entry.text) > MAX_MESSAGE):
                break
            texts.append(entry.text)
            size += len(entry.text) + 1
            mark = its
        return Batch(Line("\n".join(texts)), mark)

    def done(self, batch: Batch) -> None:
        """The call was answered: its entries wait no longer."""
        count = batch.entry.text.count("\n") + 1 if isinstance(batch.entry, Line) else 1
        for _ in range(count):
            entry, _mark = self._waiting.popleft()
            self._size -= _size(entry)


class Told:
    """What Quay's log of a build holds of this attempt: asked entry by entry, in order, what need not be told again.

    Entries are compared and not counted: how lines were put together differs each time, and the manager writes its own.
    """

    def __init__(self, stored: Iterable[dict[str, Any]]) -> None:
        self._stored: deque[tuple[str, str]] = deque()
        for entry in stored:
            kind, message = str(entry.get("type") or ""), str(entry.get("message", ""))
            if kind == "phase" and message in ("waiting", "build-scheduled"):
                # Every attempt begins so: what was told before belongs to an earlier one.
                self._stored.clear()
            elif kind:
                self._stored.append((kind, message))
            else:
                for line in message.split("\n"):
                    if line == ANEW_LINE:
                        self._stored.clear()  # what was told before is another pod's
                    else:
                        self._stored.append(("", line))

    def __len__(self) -> int:
        return len(self._stored)

    def has(self, entry: Entry) -> bool:
        if not self._stored:
            return False
        wanted = _stored_form(entry)
        if self._stored[0] == wanted:
            self._stored.popleft()
            return True
        # Not the next: either what lies between was lost on this reading of the log, or this was never told.
        for index in range(1, min(len(self._stored), LOOK_AHEAD)):
            if self._stored[index] == wanted:
                for _ in range(index + 1):
                    self._stored.popleft()
                return True
        return False


def _stored_form(entry: Entry) -> tuple[str, str]:
    match entry:
        case Line(text):
            return ("", text)
        case Command(text):
            return ("command", text)
        case Phase(name, _):
            return ("phase", name)
        case ErrorEntry(message, _, _):
            return ("error", message)


def _size(entry: Entry) -> int:
    match entry:
        case Line(text) | Command(text):
            return len(text) + 64
        case _:
            return 256
