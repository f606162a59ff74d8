"""Reading a stream of frames as a consumer would, and the promises every stream keeps (docs/frames.md)."""

import json
import re
from pathlib import Path

MAX_FRAME = 4096
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "frames.schema.json"


def read(raw: bytes):
    """(frames, foreign lines) of a recorded standard output."""
    frames, foreign = [], []
    for line in raw.split(b"\n"):
        if line.startswith(b'{"slipway":'):
            frames.append(json.loads(line.decode("utf-8", errors="strict")))
        elif line:
            foreign.append(line)
    return frames, foreign


def steps(frames):
    """The frames, grouped by step: `slipway run` emits several streams one after another."""
    groups = []
    for frame in frames:
        if frame["kind"] == "hello":
            groups.append([])
        assert groups, f"a frame before hello: {frame}"
        groups[-1].append(frame)
    return groups


def validator():
    """The JSON Schema's validator where schema and library are there, else None."""
    try:
        import jsonschema
    except ImportError:
        return None
    if not SCHEMA.exists():
        return None
    schema = json.loads(SCHEMA.read_text())
    return jsonschema.validators.validator_for(schema)(schema)


def check(raw: bytes, ended=True):
    """Asserts what holds for every stream. `ended=False`: the process was not given the time to end it."""
    assert raw.endswith(b"\n") or not raw, f"the last frame is incomplete: {raw[-200:]!r}"
    for line in raw.split(b"\n"):
        assert len(line) < MAX_FRAME, f"a frame of {len(line)} bytes: {line[:200]!r}"
    frames, foreign = read(raw)
    assert not foreign, f"lines that are no frames: {foreign[:3]}"
    schema = validator()
    for group in steps(frames):
        previous = ""
        for number, frame in enumerate(group, 1):
            assert list(frame)[0] == "slipway" and frame["slipway"] == 1, frame
            assert frame["seq"] == number, f"seq {frame['seq']} where {number} was due"
            assert frame["step"] == group[0]["step"], frame
            assert TIME.match(frame["t"]), frame["t"]
            assert frame["t"] >= previous, "time went back"
            previous = frame["t"]
            assert frame["kind"] in frame, f"no payload named like the kind: {frame}"
            if schema:
                schema.validate(frame)
        kinds = [frame["kind"] for frame in group]
        assert kinds.count("hello") == 1
        if ended:
            assert kinds.count("end") == 1 and kinds[-1] == "end", f"no single end, last: {kinds}"
    return frames
