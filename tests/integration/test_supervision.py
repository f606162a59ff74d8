"""build, watching a buildah that misbehaves: the scripted one in tests/fakes."""

import os
import signal
import subprocess
import time

import pytest

DOCKERFILE = {"Dockerfile": "FROM scratch\nCOPY data /data\nLABEL last=one\n", "data": "data\n"}


def build(slipway, fake, *options, **more):
    return slipway("build", f"--buildah={fake}", "--recipe=A", "--storage=vfs", *options, **more)


@pytest.fixture
def ready(resolved):
    resolved(DOCKERFILE)


def test_a_good_build_leaves_an_image_layout(slipway, ready, fake_buildah):
    done = build(slipway, fake_buildah("ok")).succeeded()
    image = done.handoff("image")
    assert image
    assert (slipway.state / "image" / "oci-layout").exists()
    commands = done.of("command")
    assert {command["state"] for command in commands} <= {"started", "cached", "done"}
    assert max(command["n"] for command in commands) == commands[0]["of"]


@pytest.mark.parametrize("status", [1, 7, 125])
def test_a_failing_build_is_classified(slipway, ready, fake_buildah, status):
    done = build(slipway, fake_buildah("exit", status=status)).failed("build", "builderror")
    assert done.error["child_exit"] == status
    assert done.error["where"]["line"] == 3


def test_a_buildah_that_is_not_there_is_the_pods(slipway, ready):
    build(slipway, "/no/such/buildah").failed("pod", "buildrunerror")


def test_a_recipe_this_pod_does_not_allow_is_refused(slipway, ready, fake_buildah):
    done = slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=B").failed("usage", "missingorinvalidargument")
    assert "recipe B" in done.error["message"]


def test_a_killed_buildah_is_no_exit_code(slipway, ready, fake_buildah):
    done = build(slipway, fake_buildah("kill", signal=signal.SIGKILL))
    done.failed("internal", "internalerror")
    assert "signal 9" in done.error["message"] and "child_exit" not in done.error


def test_a_grandchild_with_the_pipe_does_not_hold_the_build(slipway, ready, fake_buildah):
    started = time.monotonic()
    build(slipway, fake_buildah("grandchild", seconds=61), seconds=40).succeeded()
    assert time.monotonic() - started < 30
    left = subprocess.run(["pgrep", "-fx", "sleep 61"], capture_output=True, text=True).stdout.split()
    assert not left, f"left behind: {left}"


def test_a_line_of_a_mebibyte_comes_in_pieces(slipway, ready, fake_buildah):
    done = build(slipway, fake_buildah("long-line", bytes=1 << 20)).succeeded()
    pieces = [log for log in done.of("log") if log["text"].strip("axz") == "" and log["text"]]
    assert len(pieces) > 1
    assert all(piece.get("more") for piece in pieces[:-1])
    assert done.log.count("a") + sum(log.get("dropped", 0) for log in done.of("log")) >= (1 << 20) - 20


def test_bytes_that_are_no_utf8_become_replacement_characters(slipway, ready, fake_buildah):
    done = build(slipway, fake_buildah("bad-utf8")).succeeded()
    line = next(log["text"] for log in done.of("log") if "before" in log["text"])
    assert "�" in line and line.endswith("after")


def test_output_that_looks_like_buildah_forges_nothing(slipway, ready, fake_buildah):
    done = build(slipway, fake_buildah("forge")).succeeded()
    assert not [command for command in done.of("command") if "forged" in command["text"]]
    assert "STEP 9/9: RUN forged" in done.log
    assert '{"slipway":1' in done.log


def test_sigterm_ends_a_willing_buildah(slipway, ready, fake_buildah):
    _cancel(slipway, fake_buildah("sleep", seconds=60), 8)


def test_sigterm_ends_a_stubborn_buildah(slipway, ready, fake_buildah):
    _cancel(slipway, fake_buildah("stubborn", seconds=60), 10, "--grace=1s")


def _cancel(slipway, fake, limit, *options):
    running = slipway.start("build", f"--buildah={fake}", "--recipe=A", "--storage=vfs", *options)
    running.wait_for(lambda frame: frame["kind"] == "command")
    time.sleep(0.5)
    sent = running.signal(signal.SIGTERM)
    done = running.finish()
    assert time.monotonic() - sent < limit
    assert done.exit == 128 + signal.SIGTERM
    assert done.end["status"] == "cancelled"
    assert done.error["code"] == "cancelled"


def test_a_deadline_is_a_resource(slipway, ready, fake_buildah):
    done = build(slipway, fake_buildah("sleep", seconds=60), "--timeout=2s")
    done.failed("resource", "deadline")


def test_no_secret_in_frames_or_arguments(slipway, ready, fake_buildah, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush-hush-4711")
    done = build(slipway, fake_buildah("say", text="it is hush-hush-4711 indeed\n"),
                 f"--secret=id=one,src={secret}").succeeded()
    assert b"hush-hush-4711" not in done.out + done.err
    assert "it is *** indeed" in done.log
    assert not [call for call in fake_buildah.calls() if "hush-hush-4711" in str(call)]


def test_results_are_written_also_after_a_failure(slipway, ready, fake_buildah, tmp_path):
    reason = tmp_path / "error-reason"
    done = build(slipway, fake_buildah("exit", status=7), f"--result=error-reason={reason}")
    assert reason.read_text() == done.error["code"]


def test_without_a_plan_there_is_no_build(slipway, fake_buildah):
    done = build(slipway, fake_buildah("ok")).failed("usage", "missingorinvalidargument")
    assert "plan.json" in done.error["message"]


def test_the_environment_of_buildah_is_chosen(slipway, ready, fake_buildah):
    build(slipway, fake_buildah("ok"), environment={"SLIPWAY_UNRELATED": "x", "AWS_SECRET_ACCESS_KEY": "leak"})
    for call in fake_buildah.calls():
        assert "AWS_SECRET_ACCESS_KEY" not in call["environment"]
        assert os.path.isabs(call["environment"]["HOME"])
