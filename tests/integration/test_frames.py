"""`slipway frames`: the contract, checked by the program itself."""

import json
import re
from pathlib import Path

import pytest


def check(slipway, *lines):
    return slipway.plain("frames", "check", "-", stdin="".join(line + "\n" for line in lines).encode())


def test_a_real_stream_passes(slipway, make_repository, git_server):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    checked = slipway.plain("frames", "check", "-", stdin=done.out)
    assert checked.exit == 0, checked.out + checked.err


def test_a_real_failure_passes_too(slipway):
    done = slipway("fetch", "--url=http://no-such-host.invalid/project.git", "--retries=0")
    checked = slipway.plain("frames", "check", "-", stdin=done.out)
    assert checked.exit == 0, checked.out + checked.err


@pytest.mark.parametrize("broken", ["gap", "no-end", "two-ends", "time", "long", "kindless"])
def test_a_broken_stream_is_found_out(slipway, make_repository, git_server, broken):
    make_repository()
    lines = slipway("fetch", f"--url={git_server.url}/project.git").succeeded().out.decode().splitlines()
    assert len(lines) > 2
    if broken == "gap":
        del lines[1]
    elif broken == "no-end":
        lines.pop()
    elif broken == "two-ends":
        last = json.loads(lines[-1])
        lines.append(json.dumps({**last, "seq": last["seq"] + 1}))
    elif broken == "time":
        lines[-1] = lines[-1].replace('"t":"20', '"t":"19', 1)
    elif broken == "long":
        lines.insert(1, lines[1][:-1] + ',"padding":"' + "x" * 5000 + '"}')
    elif broken == "kindless":
        lines[1] = '{"slipway":1,"seq":2}'
    assert check(slipway, *lines).exit != 0


def test_render_shows_what_happened(slipway, make_repository, git_server):
    repository = make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git").succeeded()
    shown = slipway.plain("frames", "render", "-", stdin=done.out)
    assert shown.exit == 0, shown.err
    assert repository.head()[:7].encode() in shown.out


def test_render_shows_an_error_with_its_hint(slipway):
    done = slipway("fetch", "--url=http://no-such-host.invalid/project.git", "--retries=0")
    shown = slipway.plain("frames", "render", "-", stdin=done.out)
    assert done.error["message"].encode() in shown.out


def mutations(frame):
    """The payload with each member left out, or of another type."""
    kind = frame["kind"]
    for name, value in frame[kind].items():
        yield {**frame, kind: {key: other for key, other in frame[kind].items() if key != name}}
        for wrong in (None, [], {"a": 1}, -1.5, "x", True):
            # A number for a number, and a text for a text, may be right or wrong: not what is compared here.
            same = isinstance(wrong, bool) is isinstance(value, bool) and isinstance(value, type(wrong))
            if not same and not (isinstance(wrong, float) and isinstance(value, int)):
                yield {**frame, kind: {**frame[kind], name: wrong}}


def test_the_schema_and_the_check_agree_on_every_member(slipway):
    """Golden frames come from the program's own encoder, so types, schema and check are held together here."""
    from stream import validator

    schema = validator()
    golden = Path(__file__).resolve().parents[1] / "unit/frames/golden/kinds.jsonl"
    for whole in map(json.loads, golden.read_text().splitlines()):
        lines = [whole, *mutations(whole)]
        stream = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        checked = slipway.plain("frames", "check", "-", stdin=stream.encode())
        found = {int(at) for at in re.findall(rb"^line (\d+): member: ", checked.out, re.M)}
        for number, line in enumerate(lines, 1):
            assert schema.is_valid(line) is (number not in found), (line["kind"], line[line["kind"]])
