"""build with the real buildah, in the recipe this container allows (A: root without SYS_ADMIN)."""

import json
import signal

import pytest

WHOLE = """\
ARG BASE
ARG WORD=before
FROM ${BASE} AS make
ARG WORD
ARG OTHER=default
WORKDIR /make
COPY data .
RUN echo "$WORD $OTHER" >word && \\
    cat data >>word

FROM ${BASE} AS unused
RUN exit 99

FROM ${BASE}
LABEL written=here
COPY --from=make --chown=1234:1234 /make/word /word
RUN <<EOF
set -e
echo "from a heredoc" >/heredoc
id -u >>/heredoc
EOF
RUN --mount=type=secret,id=token [ "$(cat /run/secrets/token)" = hush-hush-4711 ] && echo "the token fits"
USER reader
RUN id -un && id -u >/tmp/who
ENV LAST=yes
CMD ["cat", "/word", "/heredoc"]
"""


def numbers(done):
    return [(command["n"], command["state"]) for command in done.of("command")]


def lines_of(done):
    return {command["n"]: (command["line"], command.get("stage")) for command in done.of("command")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, registry, base):
    """One build of WHOLE, pushed; several tests look at it."""
    from conftest import Slipway

    directory = tmp_path_factory.mktemp("whole")
    slipway = Slipway(directory)
    source = directory / "source"
    source.mkdir()
    (source / "Dockerfile").write_text(WHOLE)
    (source / "data").write_text("data of the context\n")
    (directory / "token").write_text("hush-hush-4711")
    slipway("resolve", f"--source={source}", f"--build-arg=BASE={base}", "--build-arg=OTHER=given",
            "--build-arg=WORD=global", "--tls-verify=false").succeeded()
    done = slipway("build", "--tls-verify=false", "--label=added=by option", "--annotation=note=well",
                   f"--secret=id=token,src={directory / 'token'}", seconds=120).succeeded()
    slipway("push", f"--image={registry.address}/whole/image:1", "--tls-verify=false").succeeded()
    return done


def test_every_instruction_is_numbered_once_and_in_order(whole):
    plan = whole.handoff("plan")
    assert all(command["of"] == len(plan["commands"]) for command in whole.of("command"))
    # started, then done, one after the other: nothing runs in parallel.
    assert numbers(whole) == [(n, state) for n in range(1, len(plan["commands"]) + 1) for state in ("started", "done")]
    assert {command["trust"] for command in whole.of("command")} == {"writer"}
    assert not [command for command in whole.of("command") if "exit 99" in command["text"]]


def test_commands_name_stage_line_and_text_of_the_file(whole):
    by_text = {command["text"].split("\n")[0]: command for command in whole.of("command")}
    file = WHOLE.splitlines()
    for command in whole.of("command"):
        assert file[command["line"] - 1].startswith(command["text"].split()[0]), command
    assert by_text["WORKDIR /make"]["stage"] == "make"
    assert by_text["USER reader"]["stage"] != "make"


def test_output_is_told_apart_by_command(whole):
    fits = [log for log in whole.of("log") if log["text"] == "the token fits"]
    assert len(fits) == 1
    command = next(command for command in whole.of("command") if command["n"] == fits[0]["n"])
    assert command["text"].startswith("RUN --mount=type=secret")


def test_the_pushed_image_is_what_the_file_says(whole, registry):
    manifest, config = registry.image("whole/image", "1")
    inside = config["config"]
    assert inside["Labels"] == {**inside["Labels"], "base": "yes", "written": "here", "added": "by option"}
    assert (inside["User"], inside["Cmd"]) == ("reader", ["cat", "/word", "/heredoc"])
    assert "LAST=yes" in inside["Env"] and "FROM_BASE=yes" in inside["Env"]
    assert manifest["annotations"]["note"] == "well"
    files = registry.files("whole/image", "1")
    assert files["word"].content == b"global given\ndata of the context\n"
    assert (files["word"].uid, files["word"].gid) == (1234, 1234)
    assert files["heredoc"].content == b"from a heredoc\n0\n"
    assert files["tmp/who"].content == b"1234\n"


def test_image_and_layers_are_told(whole, registry):
    (image,) = whole.of("image")
    assert image["digest"] == registry.digest("whole/image", "1") == whole.handoff("image")["manifest-digest"]
    manifest, _ = registry.image("whole/image", "1")
    layers = whole.of("layer")
    assert [layer["digest"] for layer in layers] == [layer["digest"] for layer in manifest["layers"]]
    assert image["layers"] == len(layers)
    assert image["size"] == manifest["config"]["size"] + sum(layer["size"] for layer in layers)
    assert image["base_images"][0]["digest"].startswith("sha256:")
    assert [layer["from"] for layer in layers] == ["base"] + ["own"] * (len(layers) - 1)


def test_phases_come_in_their_order(whole):
    names = [phase["name"] for phase in whole.of("phase")]
    assert names == ["pulling", "building"]
    pulling = whole.of("phase")[0]
    assert pulling["image"].endswith("/base/small") and pulling["tag"] == "1" and pulling["digest"]


def test_recipe_and_timing_are_told(whole):
    hello = whole.of("hello")[0]
    assert hello["recipe"]["name"] in ("A", "A-userns") and hello["recipe"]["isolation"] == "chroot"
    assert hello["storage"]["driver"] and hello["storage"]["path"]
    (timing,) = [timing for timing in whole.of("timing") if timing["what"] == "buildah build"]
    assert timing["duration_ms"] > 0 and timing["peak_memory"] > 1 << 20


def test_nothing_is_left_in_the_work_directory(slipway, built):
    built("ARG BASE\nFROM ${BASE}\nRUN echo something\n").succeeded()
    left = [path for path in slipway.work.rglob("*") if not path.is_dir()]
    assert not left, left


def test_target_healthcheck_and_escape(slipway, built, registry):
    """HEALTHCHECK exists in Docker's format only, so `auto` must choose that."""
    done = built("# escape=`\nARG BASE\nFROM ${BASE} AS one\nRUN echo `\n  one >/one\n"
                 "HEALTHCHECK --interval=7s CMD cat /one\nFROM one AS two\nRUN exit 98\n", None,
                 resolve=["--target=one"]).succeeded()
    assert done.handoff("image")["layout"] == "dir"
    assert [command["of"] for command in done.of("command")] == [3] * 6
    slipway("push", f"--image={registry.address}/target/image:1", "--tls-verify=false").succeeded()
    manifest, config = registry.image("target/image", "1")
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert config["config"]["Healthcheck"]["Interval"] == 7_000_000_000


@pytest.mark.parametrize("command, status", [("echo about to fail; exit 42", 42), ("no-such-program --help", 127)])
def test_a_failing_run_says_status_and_line(built, command, status):
    done = built(f"ARG BASE\nFROM ${{BASE}}\nRUN echo \\\n  fine\nRUN {command}\nRUN echo never\n")
    done.failed("build", "builderror")
    assert done.error["child_exit"] == status
    where = done.error["where"]
    assert (where["file"], where["line"]) == ("Dockerfile", 5), where
    assert where["quote"] == f"RUN {command}"
    assert numbers(done)[-1] == (3, "failed") and done.commands("started") == [1, 2, 3]
    assert not (done.state / "image.json").exists()


def test_a_killed_run_is_told_from_a_failed_one(built):
    done = built("ARG BASE\nFROM ${BASE}\nRUN kill -KILL $$\n").failed("build", "builderror")
    assert done.error["where"]["line"] == 3
    # The command itself says "kill", which proves nothing.
    assert "killed" in done.error["message"].replace("kill -KILL", "") and done.error["hint"]


def test_a_program_that_is_not_there_is_told_from_a_failed_one(built):
    done = built('ARG BASE\nFROM ${BASE}\nRUN ["/no/such/program", "x"]\n').failed("build", "builderror")
    assert "cannot be started" in done.error["message"] and done.error["hint"]


def test_output_that_imitates_buildah_and_frames_forges_nothing(built):
    frame = '{"slipway":1,"seq":1,"t":"2026-01-01T00:00:00.000Z","step":"build","kind":"end",' \
            '"end":{"status":"succeeded","exit":0,"totals":{"frames":1,"dropped":0,"redactions":0}}}'
    lines = ["STEP 9/9: RUN forged", "[2/2] STEP 1/1: FROM forged", "--> Using cache " + "f" * 64, "COMMIT forged",
             "--> " + "f" * 12, "f" * 64, frame]
    script = "".join(f"echo '{line}'; echo '{line}' >&2\n" for line in lines)
    done = built(f"ARG BASE\nFROM ${{BASE}}\nCOPY forge /forge\nRUN . /forge\nRUN echo after\n", {"forge": script})
    done.succeeded()
    assert numbers(done) == [(n, state) for n in (1, 2, 3, 4) for state in ("started", "done")]
    assert not [command for command in done.of("command") if "forged" in command["text"]]
    printed = [log for log in done.of("log") if log.get("n") == 3]
    for line in lines:
        assert [log["stream"] for log in printed if log["text"] == line] in (["out", "err"], ["err", "out"]), line
    assert "forged" not in json.dumps(done.handoff("image"))


def test_a_background_process_does_not_hold_the_build(built):
    done = built("ARG BASE\nFROM ${BASE}\nRUN sleep 300 >/dev/null 2>&1 & echo left one behind\n", seconds=50)
    done.succeeded()


def test_sigterm_in_a_run(slipway, planned, tmp_path):
    planned("ARG BASE\nFROM ${BASE}\nRUN trap '' TERM; echo sleeping; sleep 61.5\n")
    reason, message = tmp_path / "reason", tmp_path / "message"
    running = slipway.start("build", "--tls-verify=false", f"--result=error-reason={reason}",
                            f"--result=error-message={message}")
    running.wait_for(lambda frame: frame["kind"] == "log" and frame["log"]["text"] == "sleeping", 60)
    sent = running.signal(signal.SIGTERM)
    done = running.finish(20).cancelled()
    assert done.took(sent) < 10
    assert done.commands("failed") == [2]
    assert reason.read_text() == "cancelled" and message.read_text()
    assert not processes("sleep\0" "61.5")


def test_a_deadline_in_a_run(built):
    done = built("ARG BASE\nFROM ${BASE}\nRUN sleep 62.5\n", None, "--timeout=8s", "--grace=1s", seconds=30)
    done.failed("resource", "deadline")
    assert done.error["hint"]
    assert not processes("sleep\0" "62.5")


def processes(needle):
    """Ids of processes whose arguments (separated by NUL) contain the needle."""
    from pathlib import Path

    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if needle.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found


def test_a_tag_that_moves_after_resolve_changes_nothing(tmp_path, registry, base):
    """What was resolved is what gets built."""
    from conftest import Slipway

    tag = f"{registry.address}/moving/base:1"

    def at(name, dockerfile):
        (tmp_path / name / "source").mkdir(parents=True)
        (tmp_path / name / "source" / "Dockerfile").write_text(dockerfile)
        one = Slipway(tmp_path / name)
        one("resolve", f"--source={tmp_path / name / 'source'}", "--tls-verify=false").succeeded()
        return one

    def publish(word):
        one = at(word, f"FROM {base}\nRUN echo {word} >/word\n")
        one("build", "--tls-verify=false", seconds=120).succeeded()
        one("push", f"--image={tag}", "--tls-verify=false").succeeded()

    publish("first")
    later = at("later", f"FROM {tag}\nRUN echo \"built on the $(cat /word)\"\n")
    publish("second")
    assert "built on the first" in later("build", "--tls-verify=false", seconds=120).succeeded().log
