"""`slipway frames`: the contract, checked by the program itself."""

import json

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
