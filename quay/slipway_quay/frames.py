"""Reads what a step prints: lines into frames (docs/frames.md), frames into the one order they were written in.

Every line is hostile until it has been looked at: whoever shares the container's log can write one. So everything has a bound, a
line that breaks the rules is Foreign and nothing else, and no exception but NewerProtocol leaves this module.

`parse` looks at one line. `StepReader` follows one container through cuts, rotations and repetitions: a frame's identity is
(step, seq), so what was seen already is dropped, what comes too early waits for what is missing, and what never comes is a Gap.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

PROTOCOL: Final = 1
MAX_FRAME: Final = 4096  # bytes with the line end, by the contract
MAX_FOREIGN: Final = 512  # characters of a foreign line that are kept
MAX_SEQ: Final = 2**40
MAX_EARLY: Final = 2048  # frames that wait for one that is missing; past it the missing is given up
PATIENCE: Final = 64  # lines after which a missing frame is looked for by reading the log again
STEPS: Final = ("fetch", "resolve", "build", "push")

_BEGIN: Final = b'{"slipway":'
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEWER = re.compile(rb'\{"slipway":([0-9]{1,9}),')


class NewerProtocol(Exception):
    """The step speaks a protocol this follower is too old for."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the step speaks version {version} of the frame protocol and slipway_quay understands {PROTOCOL}: "
            "update slipway_quay, or name an older Task"
        )
        self.version = version


class Frame(NamedTuple):
    seq: int
    t: str  # RFC 3339, UTC, milliseconds
    step: str
    kind: str
    body: dict[str, Any]  # values as they came: use the text(), number() … below to take them out


@dataclass(frozen=True, slots=True)
class Foreign:
    """A line that is no frame: printed by another program of the container, or damaged."""

    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that were written and never arrived."""

    step: str
    frames: int
    before: int  # seq of the frame that follows


def parse(line: bytes) -> Frame | Foreign:
    """One line without its end. Raises NewerProtocol."""
    if not line.startswith(_BEGIN):
        return _foreign(line)
    newer = _NEWER.match(line)
    if newer and int(newer[1]) > PROTOCOL:
        raise NewerProtocol(int(newer[1]))
    if len(line) >= MAX_FRAME:
        return _foreign(line)
    try:
        value = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return _foreign(line)
    if type(value) is not dict or type(value.get("slipway")) is not int or value["slipway"] != PROTOCOL:
        return _foreign(line)
    seq, t, step, kind = value.get("seq"), value.get("t"), value.get("step"), value.get("kind")
    if type(seq) is not int or not 1 <= seq <= MAX_SEQ or not isinstance(t, str) or not _TIME.fullmatch(t):
        return _foreign(line)
    if not isinstance(step, str) or step not in STEPS or not isinstance(kind, str):
        return _foreign(line)
    body = value.get(kind)
    if type(body) is not dict:
        return _foreign(line)
    return Frame(seq, t, step, kind, body)


def text(body: dict[str, Any], name: str, limit: int = MAX_FRAME) -> str:
    """A string member; "" if it is absent or none. No lone surrogates, which cannot be sent on."""
    value = body.get(name)
    if not isinstance(value, str):
        return ""
    value = value[:limit]
    return value if value.isascii() else _SURROGATE.sub("\ufffd", value)


def number(body: dict[str, Any], name: str) -> float | None:
    """A finite number of 0 or more, else None."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def whole(body: dict[str, Any], name: str) -> int | None:
    """A whole number from 0 to a million, else None: what counts commands."""
    value = body.get(name)
    return value if type(value) is int and 0 <= value <= 1_000_000 else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _foreign(line: bytes) -> Foreign:
    return Foreign(line[: MAX_FOREIGN * 4].decode("utf-8", errors="replace")[:MAX_FOREIGN])


class StepReader:
    """One container's log, from the first line to the last, however often it is read again.

    A container runs one step, or with `slipway run` several, one after another. A hello begins a step only if the one before has
    ended and the new one comes later in STEPS; it must name the build as the steps were told to. Anything else that looks
    like a frame is Foreign.
    """

    def __init__(self, build_id: str) -> None:
        self._build_id = build_id
        self._early: dict[int, Frame] = {}
        self._since_early = 0  # frames that came too early on this reading of the log
        self.step: str | None = None
        self.seq = 0  # of the last frame handed on
        self.t = ""  # its time: from where the log is to be read again
        self.ended = False  # the last frame was `end`
        self.replaced = False  # what is read now is the log of another container of the same name
        self._begun = ""  # time of the hello

    @property
    def missing(self) -> bool:
        """Frames were seen that are too early: the log should be read again, then `give_up` called."""
        return bool(self._early)

    @property
    def stuck(self) -> bool:
        """So many frames came too early that the missing ones will not come on this reading of the log."""
        return self._since_early > PATIENCE

    @property
    def passed(self) -> bool:
        """This reading has come to what follows the missing frames."""
        return self._since_early > 0

    def begin_reading(self) -> None:
        """The log is going to be read again, from the last frame's time on."""
        self._since_early = 0

    def feed(self, line: bytes) -> Iterator[Frame | Foreign | Gap]:
        if not line or self.replaced:
            return
        frame = parse(line)
        if isinstance(frame, Foreign):
            yield frame
            return
        if frame.step != self.step:
            if not self._begins(frame):
                yield _foreign(line)
                return
            self.step, self.seq, self.ended, self._begun = frame.step, 0, False, frame.t if frame.seq == 1 else ""
        if frame.seq <= self.seq:
            self.replaced = frame.kind == "hello" and self._plausible(frame) and frame.t > (self._begun or self.t)
            return
        if self.ended or not self._plausible(frame):
            yield _foreign(line)
            return
        if frame.seq > self.seq + 1:
            self._early[frame.seq] = frame
            self._since_early += 1
            if len(self._early) > MAX_EARLY:
                yield from self.give_up()
            return
        yield self._take(frame)
        yield from self._now_due()

    def give_up(self) -> Iterator[Frame | Gap]:
        """What waits is handed on, with a Gap for each hole before it."""
        while self._early:
            first = min(self._early)
            if self.step is not None and first > self.seq + 1:
                yield Gap(self.step, first - self.seq - 1, first)
            self.seq = first - 1
            yield from self._now_due()

    def _begins(self, frame: Frame) -> bool:
        if self.step is not None and not (self.ended and STEPS.index(frame.step) > STEPS.index(self.step)):
            return False
        if self.step is None and frame.seq > 1 and frame.kind != "hello":
            return True  # the log was rotated away before it could be read: what is left counts
        return frame.kind == "hello" and frame.seq == 1 and frame.body.get("build_id") == self._build_id

    def _plausible(self, frame: Frame) -> bool:
        """A second hello, or one of another build, is somebody else's."""
        if frame.kind != "hello":
            return frame.seq > 1
        return frame.seq == 1 and frame.body.get("build_id") == self._build_id

    def _take(self, frame: Frame) -> Frame:
        self.seq, self.t, self.ended = frame.seq, frame.t, frame.kind == "end"
        return frame

    def _now_due(self) -> Iterator[Frame]:
        while (frame := self._early.pop(self.seq + 1, None)) is not None:
            yield self._take(frame)
