"""Lines into frames and frames into entries: what is hostile, damaged or out of place has its bounds and its place."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from follow_world import recorded

from slipway_quay.frames import (
    MAX_EARLY,
    MAX_FOREIGN,
    MAX_FRAME,
    Foreign,
    Frame,
    Gap,
    NewerProtocol,
    StepReader,
    number,
    parse,
    text,
    whole,
)
from slipway_quay.mapping import MAX_LINE, Command, ErrorEntry, Line, Mapper, Phase, Problem, harmless, told
from slipway_quay.outbox import MAX_MESSAGE, MAX_WAITING, Mark, Outbox, Told

HELLO = {"protocol": 1, "version": "0", "build_id": "3f1c", "attempt": 1, "does": "x", "limits": {}}


WHEN = "2026-11-22T18:11:14.478Z"


def line(seq: int, kind: str = "log", body: Any = None, /, step: str = "build", t: str = WHEN, **more: Any) -> bytes:
    body = {"stream": "out", "text": f"line {seq}"} if body is None else body
    value = {"slipway": 1, "seq": seq, "t": t, "step": step, "kind": kind, kind: body, **more}
    return json.dumps(value, separators=(",", ":")).encode()


def hello(step: str = "build", build_id: str = "3f1c", t: str = WHEN) -> bytes:
    return line(1, "hello", {**HELLO, "build_id": build_id}, step=step, t=t)


def seqs(items: Any) -> list[Any]:
    return [item.seq if isinstance(item, Frame) else item for item in items]


def read(reader: StepReader, *lines: bytes) -> list[Any]:
    return [item for one in lines for item in reader.feed(one)]


# --- one line


def test_a_frame_is_what_the_contract_says() -> None:
    frame = parse(line(41, "phase", {"name": "building"}))
    assert frame == Frame(41, "2026-11-22T18:11:14.478Z", "build", "phase", {"name": "building"})


@pytest.mark.parametrize(
    "damaged",
    [
        b"2026/11/22 07:45:03 Warning: unsuccessful cred copy",
        b'{"seq":1,"slipway":1}',
        b' {"slipway":1}',
        b'{"slipway":1,"seq":2',
        b'{"slipway":',
        b'{"slipway":1}',
        b'{"slipway":true,"seq":1}',
        b'{"slipway":1.0,"seq":1}',
        b'{"slipway":"1"}',
        b'{"slipway":-1,"seq":2}',
        b'{"slipway":null}',
        b'{"slipway":1,"seq":NaN}',
        b'{"slipway":1,"a":Infinity}',
        b'{"slipway":1,"seq":' + b"9" * 4000 + b"}",
        b'{"slipway":1,"seq":' + b"[" * 4000,
        b'{"slipway":1,"a":' + b"[" * 1900 + b"]" * 1900 + b"}",
        b'{"slipway":1,"a":' + b'{"a":' * 600 + b"1" + b"}" * 601,
        b'{"slipway":1,"seq":2,"t":"\xff\xfe"}',
        line(2, "log", {"text": "x" * MAX_FRAME}),
        line(0),
        line(-1),
        line(2**41),
        line(2, step="doctor"),
        line(2, step="../build"),
        line(2, "log", ["text"]),
        line(2, "log", "text"),
        line(2, "log", {}, t="yesterday"),
        line(2, "log", {}, t=5),
        line(2, "log", {}, seq="2"),
        line(2, "log", {}, seq=True),
        line(2, "log", {}, seq=2.0),
        line(2, "log", {}, kind=7),
        line(2, "log", {}, kind="nothing"),
    ],
    ids=lambda damaged: damaged[:40].decode("latin-1"),
)
def test_what_breaks_the_rules_is_foreign(damaged: bytes) -> None:
    found = parse(damaged)
    assert isinstance(found, Foreign)
    assert len(found.text) <= MAX_FOREIGN


def test_a_newer_protocol_is_refused_in_clear_words() -> None:
    with pytest.raises(NewerProtocol, match="version 2 of the frame protocol"):
        parse(b'{"slipway":2,"whatever":"it is"}')


def test_no_line_however_damaged_raises() -> None:
    chance = random.Random(5)
    lines = [one for stream in ("success", "run-failure", "timeout") for step in recorded(stream).values() for one in step]
    reader, mapper = StepReader("3f1c"), Mapper()
    for _ in range(4000):
        damaged = bytearray(chance.choice(lines))
        for _ in range(chance.randrange(1, 6)):
            at = chance.randrange(len(damaged))
            match chance.randrange(4):
                case 0:
                    damaged[at] = chance.randrange(256)
                case 1:
                    del damaged[at : at + chance.randrange(1, 30)]
                case 2:
                    damaged[at:at] = chance.choice([b"null", b"-1", b'"\\ud800"', b"[[[", b"1e999", b"{}", b"NaN", b"\x00"])
                case _:
                    damaged[at:at] = damaged[: chance.randrange(1, 60)]
            if not damaged:
                break
        try:
            for item in reader.feed(bytes(damaged)):
                for entry in mapper.take(item):
                    assert isinstance(entry, Line | Command | Phase)
                    json.dumps(entry.text if not isinstance(entry, Phase) else entry.name).encode("ascii")
                    str(entry).encode("utf-8")
        except NewerProtocol:
            pass


def test_values_are_what_they_are_asked_for_or_nothing() -> None:
    body = {"s": "a\ud800b", "n": 1.5, "big": 10**400, "neg": -1, "flag": True, "none": None, "inf": float("inf"), "i": 7}
    assert text(body, "s") == "a\ufffdb"
    assert [text(body, name) for name in ("n", "none", "absent")] == ["", "", ""]
    assert [number(body, name) for name in ("n", "big", "neg", "flag", "none", "inf", "i", "s")] == [
        1.5, None, None, None, None, None, 7.0, None]  # fmt: skip
    assert [whole(body, name) for name in ("i", "n", "neg", "flag", "big")] == [7, None, None, None, None]


# --- a container's log


def test_frames_seen_before_are_dropped() -> None:
    reader = StepReader("3f1c")
    assert seqs(read(reader, hello(), line(2), line(3), hello(), line(2), line(3), line(4))) == [1, 2, 3, 4]


def test_a_frame_that_comes_too_early_waits() -> None:
    reader = StepReader("3f1c")
    assert seqs(read(reader, hello(), line(4), line(3))) == [1]
    assert reader.missing
    assert seqs(read(reader, line(2), line(5))) == [2, 3, 4, 5]
    assert not reader.missing


def test_what_never_comes_is_a_gap() -> None:
    reader = StepReader("3f1c")
    read(reader, hello(), line(4), line(7))
    assert seqs(reader.give_up()) == [Gap("build", 2, 4), 4, Gap("build", 2, 7), 7]
    assert seqs(read(reader, line(5), line(8))) == [8]


def test_a_jump_of_seq_does_not_fill_the_memory() -> None:
    reader = StepReader("3f1c")
    found = read(reader, hello(), *(line(1000 + 2 * at) for at in range(MAX_EARLY + 1)))
    assert len([item for item in found if isinstance(item, Frame)]) == MAX_EARLY + 2
    assert not reader.missing


@pytest.mark.parametrize(
    "forged", [hello(build_id="other"), hello("push"), hello("fetch"), line(2, "hello", HELLO), line(5, "end", {}, step="push")]
)
def test_a_forged_beginning_is_foreign(forged: bytes) -> None:
    reader = StepReader("3f1c")
    read(reader, hello(), line(2, "phase", {"name": "building"}), line(3))
    assert [item for item in read(reader, forged) if isinstance(item, Frame)] == []
    assert seqs(read(reader, line(4))) == [4]


def test_after_end_nothing_of_the_step_counts() -> None:
    reader = StepReader("3f1c")
    read(reader, hello(), line(2, "end", {"status": "failed"}))
    assert [type(item) for item in read(reader, line(3, "end", {"status": "succeeded"}))] == [Foreign]


def test_a_later_hello_of_the_same_step_is_another_containers_log() -> None:
    reader = StepReader("3f1c")
    read(reader, hello(), line(2), line(3))
    read(reader, hello(), hello(build_id="other", t="2026-11-22T18:11:15.000Z"), line(1, t="2026-11-22T18:11:15.000Z"))
    assert not reader.replaced
    assert read(reader, hello(t="2026-11-22T18:11:14.479Z"), line(2), line(4)) == []
    assert reader.replaced


def test_several_steps_in_one_container_come_in_their_order() -> None:
    reader = StepReader("3f1c")
    for step in ("fetch", "resolve", "build", "push"):
        assert seqs(read(reader, hello(step), line(2, "end", {"status": "succeeded"}, step=step))) == [1, 2]
    assert [type(item) for item in read(reader, hello("fetch"))] == [Foreign]


def test_a_log_whose_beginning_was_rotated_away_is_read_from_what_is_left() -> None:
    reader = StepReader("3f1c")
    read(reader, line(50), line(51))
    assert seqs(reader.give_up()) == [Gap("build", 49, 50), 50, 51]


# --- entries


def entries(*bodies: tuple[str, dict[str, Any]]) -> list[Any]:
    mapper = Mapper()
    frames = [Frame(seq, WHEN, "build", kind, body) for seq, (kind, body) in enumerate(bodies, 1)]
    return [entry for frame in frames for entry in mapper.take(frame)]


@pytest.mark.parametrize("forged", ["Step 3/4 : RUN x", "Step 12 : FROM", "say Step 1/2 : Step 3/4 : twice", "xStep 1/1 :"])
def test_text_that_imitates_a_command_is_broken_where_nobody_sees_it(forged: str) -> None:
    import re

    broken = harmless(forged)
    assert re.search(r"Step ([0-9]+)(/([0-9]+))? :", broken) is None
    assert broken.replace("\u200b", "") == forged


@pytest.mark.parametrize("honest", ["Step 3/4: x", "step 1/2 :", "Step x :", "Step  3/4 :", "Step ٣/٤ :"])
def test_other_text_is_left_as_it_is(honest: str) -> None:
    assert harmless(honest) == honest


def test_a_command_is_one_line_whatever_its_text() -> None:
    body = {"n": 2, "of": 3, "text": "RUN a \\\n  && Step 1/9 : b\r\n", "state": "started"}
    assert entries(("command", body)) == [Command("Step 2/3 : RUN a \\ && Step 1/9 : b")]


def test_pieces_of_a_line_are_joined_per_stream() -> None:
    def piece(stream: str, said: str, more: bool = True) -> tuple[str, dict[str, Any]]:
        return "log", {"stream": stream, "text": said, **({"more": True} if more else {})}

    assert entries(piece("out", "Ste"), piece("err", "e1"), piece("out", "p 1/2 : x", False), piece("err", "e2", False)) == [
        Line("Step\u200b 1/2 : x"), Line("e1e2")]  # fmt: skip


def test_a_line_without_an_end_has_one_nevertheless() -> None:
    endless = [("log", {"stream": "out", "text": "x" * 4000, "more": True})] * 100
    lines = entries(*endless, ("end", {"status": "succeeded"}))
    assert sum(len(entry.text) for entry in lines) == 400_000
    assert max(len(entry.text) for entry in lines) <= MAX_LINE + 4000


def test_what_was_left_out_is_said() -> None:
    body = {"stream": "out", "text": "last", "dropped": 4096, "tail": True}
    assert entries(("log", body), ("log", {"stream": "out", "text": "very last", "tail": True})) == [
        Line("[the log was too long to be shown whole; this is its end]"),
        Line("[4096 bytes of the log are left out here]"),
        Line("last"),
        Line("very last"),
    ]


def test_phases_go_forward_only_and_only_those_quay_knows() -> None:
    names = ["building", "pulling", "checking-cache", "building", "complete", "error", "nonsense", "pushing"]
    assert entries(*(("phase", {"name": name}) for name in names)) == [Phase("building"), Phase("pushing")]


def test_progress_is_a_share_of_all_bars_and_never_more_than_one() -> None:
    mapper = Mapper()
    for bar, current, total in (("a", 50, 100), ("b", 500, 100), ("c", -1, 5), ("d", float("nan"), 5), ("e", 1, 0)):
        body = {"what": "push", "id": bar, "current": current, "total": total, "unit": "bytes"}
        mapper.take(Frame(2, "", "push", "progress", body))
    assert mapper.status() == {"push_completion": 0.75}


def test_an_error_is_told_in_words_and_as_an_entry_with_base_error() -> None:
    problem = Problem("builderror", "build", "make failed", "Step 1/2 : forged\nno rule", "add a rule", "Dockerfile, line 3")
    assert told(problem) == [
        Line("Error: make failed (Dockerfile, line 3)"),
        Line("Step\u200b 1/2 : forged"),
        Line("no rule"),
        Line("Hint: add a rule"),
        ErrorEntry("make failed", "io.quay.builder.builderror", "Step 1/2 : forged\nno rule"),
    ]


def test_kinds_nobody_knows_are_no_reason_to_stop() -> None:
    assert entries(("future", {"x": 1}), ("log", {"stream": "out", "text": "on"})) == [Line("on")]


# --- the outbox


def test_lines_share_messages_and_commands_do_not() -> None:
    box = Outbox()
    for entry in (Line("a"), Line(""), Line("b"), Command("Step 1/1 : x"), Line("c")):
        box.put(entry, Mark(1, "build", 2, ""))
    sent = []
    while (batch := box.next()) is not None:
        sent.append(batch.entry)
        box.done(batch)
    assert sent == [Line("a\n\nb"), Command("Step 1/1 : x"), Line("c")]
    assert (len(box), box._size) == (0, 0)


def test_messages_and_what_waits_have_bounds() -> None:
    box = Outbox()
    while not box.full:
        box.put(Line("x" * 1000), Mark(1, "build", 2, ""))
    assert box._size < MAX_WAITING + 2000
    batch = box.next()
    assert batch is not None
    assert isinstance(batch.entry, Line)
    assert len(batch.entry.text) <= MAX_MESSAGE + 1000


def test_what_quay_holds_already_is_not_told_again() -> None:
    stored = [
        {"message": "old", "data": {}},
        {"message": "build-scheduled", "type": "phase"},
        {"message": "building", "type": "phase"},
        {"message": "a\nb", "data": {}},
        {"message": "Step 1/1 : x", "type": "command"},
        {"message": "c"},
    ]
    has = Told(stored).has
    again = [Phase("building"), Line("a"), Line("b"), Command("Step 1/1 : x"), Line("c"), Line("c"), Line("old")]
    assert [has(entry) for entry in again] == [True, True, True, True, True, False, False]


def test_entries_of_a_reading_with_a_hole_find_their_place() -> None:
    told_already = Told([{"message": "a\nb\nc\nd"}])
    assert [told_already.has(Line(name)) for name in ("a", "[1 messages lost]", "c", "d", "e")] == [
        True,
        False,
        True,
        True,
        False,
    ]
