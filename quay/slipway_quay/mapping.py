"""Frames of a build into what Quay keeps of one: phases, log entries, status, and how the build ended.

Pure: no clock, no connection. The same frames give the same entries, line by line, on every reading: by that a follower that
takes over finds where its predecessor stopped. What Quay does with each entry is in docs/quay-follower.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from slipway_quay.frames import Foreign, Frame, Gap, number, text, whole

MAX_LINE: Final = 64 * 1024  # characters of one joined line; past it a line is broken
MAX_BARS: Final = 512  # progress bars that are summed up
KEPT_FOREIGN: Final = 10  # last foreign lines, for when a step died without a word

# Quay makes a command of every text this is found in.
_STEP = re.compile(r"Step (?=[0-9]+(/[0-9]+)? :)")
_BREAK: Final = "Step\u200b "
_SPACES = re.compile(r"\s+")

# Told where another pod runs a build's steps from the first again. No line of a build may look like it.
ANEW_LINE: Final = "[the build's pod was replaced by another: the build begins again]"

_PHASES: Final = {"unpacking": 1, "pulling": 2, "building": 3, "pushing": 4}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of plain output, without its end; several may share a message."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """`Step i/n : …`, alone in its message."""

    text: str


@dataclass(frozen=True, slots=True)
class Phase:
    name: str  # as Quay's SetPhase names it, lower-case
    pull: tuple[tuple[str, str], ...] = ()  # PullMetadata


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    message: str
    code: str
    base_error: str


Entry = Line | Command | Phase | ErrorEntry


@dataclass(frozen=True)
class Problem:
    """An error frame, or what stands for one where none came."""

    code: str
    klass: str
    message: str
    cause: str = ""
    hint: str = ""
    where: str = ""


@dataclass
class Outcome:
    """What the frames alone say of the build; `verdict` holds it against what the cluster says."""

    ended: dict[str, str] = field(default_factory=dict)  # step -> status of its `end`
    problem: Problem | None = None
    image_id: str | None = None
    digests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def harmless(line: str) -> str:
    """Text of others in a form that neither Quay takes for a command nor a follower for its own word."""
    if line == ANEW_LINE:
        return "\u200b" + line
    return _STEP.sub(_BREAK, line) if "Step " in line else line


class Mapper:
    """One attempt at one build. Frames go in by order of steps and seq."""

    def __init__(self) -> None:
        self.outcome = Outcome()
        self.heartbeat = 10.0  # seconds within which the step has promised another frame
        self._rank = 0
        self._pieces: dict[str, str] = {}
        self._in_tail = False
        self._status: dict[str, Any] = {}
        self._bars: dict[str, dict[str, tuple[float, float]]] = {}

    def resume(self, phase: str) -> None:
        """Quay has been told of this phase already, perhaps for another pod."""
        self._rank = _PHASES.get(phase, 0)

    def begin_attempt(self) -> list[Entry]:
        """Another pod runs the steps again: what the former one said of its end no longer counts."""
        self.outcome = Outcome()
        return [*self._flush(), Line(ANEW_LINE)]

    def status(self) -> dict[str, Any]:
        """Of the whole build, in the form Quay's progress bar reads."""
        return dict(self._status)

    def take(self, item: Frame | Foreign | Gap) -> list[Entry]:
        if isinstance(item, Foreign):
            self.outcome.foreign = [*self.outcome.foreign[-KEPT_FOREIGN + 1 :], item.text]
            return []
        if isinstance(item, Gap):
            return [
                *self._flush(),
                Line(f"[{item.frames} messages of step {item.step} were lost on the way here]"),
            ]
        handler = _HANDLERS.get(item.kind)
        return handler(self, item) if handler else []

    def _flush(self) -> list[Entry]:
        """Pieces whose line never ended."""
        lines = [Line(harmless(rest)) for rest in self._pieces.values() if rest]
        self._pieces.clear()
        return list(lines)

    def _hello(self, frame: Frame) -> list[Entry]:
        self._in_tail = False
        limits = frame.body.get("limits")
        promised = number(limits, "heartbeat_ms") if isinstance(limits, dict) else None
        self.heartbeat = min(max((promised or 10_000.0) / 1000.0, 1.0), 60.0)
        return self._flush()

    def _phase(self, frame: Frame) -> list[Entry]:
        name = text(frame.body, "name")
        rank = _PHASES.get(name, 0)
        # Phases Quay's protocol has no number for are left out; none goes back, whatever a second pull may say.
        if rank <= self._rank:
            return self._flush()
        self._rank = rank
        pull: tuple[tuple[str, str], ...] = ()
        if name == "pulling":
            named = (
                ("registry_url", "registry"),
                ("base_image", "image"),
                ("base_image_tag", "tag"),
                ("pull_username", "username"),
            )
            pull = tuple((theirs, value) for theirs, ours in named if (value := text(frame.body, ours)))
        return [*self._flush(), Phase(name, pull)]

    def _command(self, frame: Frame) -> list[Entry]:
        n, of, state = whole(frame.body, "n"), whole(frame.body, "of"), text(frame.body, "state")
        if n is None or of is None:
            return []
        self._status |= {
            "total_commands": of,
            "current_command": max(n, self._status.get("current_command", 0)),
        }
        if state == "started":
            words = _SPACES.sub(" ", text(frame.body, "text")).strip()
            return [*self._flush(), Command(f"Step {n}/{of} : {words}")]
        return [*self._flush(), Line(" ---> Using cache")] if state == "cached" else []

    def _log(self, frame: Frame) -> list[Entry]:
        entries: list[Entry] = []
        dropped = number(frame.body, "dropped") if "dropped" in frame.body else None
        if frame.body.get("tail") is True and not self._in_tail:
            self._in_tail = True
            entries += [*self._flush(), Line("[the log was too long to be shown whole; this is its end]")]
        if dropped:
            entries += [*self._flush(), Line(f"[{int(dropped)} bytes of the log are left out here]")]
        stream = "err" if frame.body.get("stream") == "err" else "out"
        # A person's line has no line end within; a form of one would look like several on the next reading.
        said = text(frame.body, "text")
        if "\r" in said:
            said = said.replace("\r\n", "\n").replace("\r", "\n")
        line = self._pieces.pop(stream, "") + said
        if frame.body.get("more") is True and len(line) < MAX_LINE:
            self._pieces[stream] = line
            return entries
        if "\n" not in line:
            return [*entries, Line(harmless(line))]
        return entries + [Line(harmless(part)) for part in line.split("\n")]

    def _progress(self, frame: Frame) -> list[Entry]:
        what, bar = text(frame.body, "what"), text(frame.body, "id", 256)
        current, total = number(frame.body, "current"), number(frame.body, "total")
        if current is None or not total:
            return []
        if what in ("pull", "push", "cache") and frame.body.get("unit") == "bytes":
            bars = self._bars.setdefault(what, {})
            if bar in bars or len(bars) < MAX_BARS:
                bars[bar] = (min(current, total), total)
            done = sum(one for one, _ in bars.values()) / sum(all_ for _, all_ in bars.values())
            self._status[f"{what}_completion"] = round(min(done, 1.0), 3)
        return []

    def _warning(self, frame: Frame) -> list[Entry]:
        said = one_line(text(frame.body, "message"))
        hint = one_line(text(frame.body, "hint"))
        place = _place(frame.body.get("where"))
        return [
            *self._flush(),
            Line(harmless("Warning: " + said + (f" ({place})" if place else "") + (f"; {hint}" if hint else ""))),
        ]

    def _image(self, frame: Frame) -> list[Entry]:
        self.outcome.image_id = text(frame.body, "id", 256) or None
        return []

    def _result(self, frame: Frame) -> list[Entry]:
        if frame.step == "push" and text(frame.body, "name") == "IMAGES":
            references = text(frame.body, "value").split(",")
            digests = [digest for _, at, digest in (reference.rpartition("@") for reference in references) if at]
            self.outcome.digests = list(dict.fromkeys(digests))
            return [
                *self._flush(),
                *(Line(harmless(f"Pushed {one_line(reference)}")) for reference in references),
            ]
        return []

    def _error(self, frame: Frame) -> list[Entry]:
        body = frame.body
        self.outcome.problem = Problem(
            code=re.sub(r"[^a-z0-9]", "", text(body, "code", 64)) or "internalerror",
            klass=text(body, "class", 32) or "internal",
            message=one_line(text(body, "message")) or "the step failed",
            cause=text(body, "cause"),
            hint=text(body, "hint"),
            where=_place(body.get("where")),
        )
        return self._flush()

    def _end(self, frame: Frame) -> list[Entry]:
        self.outcome.ended[frame.step] = text(frame.body, "status", 32)
        return self._flush()


_HANDLERS: Final = {
    "hello": Mapper._hello,
    "phase": Mapper._phase,
    "command": Mapper._command,
    "log": Mapper._log,
    "progress": Mapper._progress,
    "warning": Mapper._warning,
    "image": Mapper._image,
    "result": Mapper._result,
    "error": Mapper._error,
    "end": Mapper._end,
}


def told(problem: Problem) -> list[Entry]:
    """An error as users get to see it: in words under the last command, since one of Quay's two user interfaces shows no more
    than an icon for an error entry; then the entry itself."""
    lines = [f"Error: {problem.message}" + (f" ({problem.where})" if problem.where else "")]
    if problem.cause and problem.cause != problem.message:
        lines += problem.cause.splitlines()
    if problem.hint:
        lines.append(f"Hint: {one_line(problem.hint)}")
    entries: list[Entry] = [Line(harmless(line)) for line in lines]
    return [
        *entries,
        ErrorEntry(problem.message, f"io.quay.builder.{problem.code}", problem.cause or problem.message),
    ]


def one_line(value: str) -> str:
    return _SPACES.sub(" ", value).strip()


def _place(where: object) -> str:
    if not isinstance(where, dict) or not (file := text(where, "file", 512)):
        return ""
    line = whole(where, "line")
    return f"{one_line(file)}, line {line}" if line else one_line(file)
