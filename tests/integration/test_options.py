"""The command line as documented: docs/cli.md against --help, the environment, output for people, the archive."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
import stream

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
STEPS = ("fetch", "resolve", "build", "push")


def documented(section):
    """{option: (its words in the table)} of one section; `--a A`, `--b B` and "--a A, --b B" alike."""
    rows = re.findall(r"^\| (`--.*?) \|(.*)\|$", SECTIONS[section], re.MULTILINE)
    return {option: words for cell, words in rows for option in re.findall(r"--([a-z-]+)", cell)}


@pytest.fixture
def helped(slipway):
    """helped(verb) → {option: its paragraph} as `--help` prints it."""

    def ask(*verb):
        done = slipway.plain(*verb, "--help")
        assert done.exit == 0 and not done.err
        paragraphs = re.findall(r"^  --([a-z-]+)(.*?)(?=^  --|\Z)", done.out.decode(), re.MULTILINE | re.DOTALL)
        return dict(paragraphs)

    return ask


@pytest.mark.parametrize("verb", [*STEPS, "index"])
def test_the_page_names_every_option_of_a_step(helped, verb):
    assert set(documented("Options of every step")) | set(documented(verb)) == set(helped(verb)) - {"help"}


def test_the_page_names_the_options_of_all_steps_for_run(helped):
    rows = {option: words for section in ("Options of every step", *STEPS) for option, words in documented(section).items()}
    page = {option for option, words in rows.items() if "not with `run`" not in words}
    # --retries alone would be ambiguous there, so that a step's own name for it exists is on the page.
    assert page == set(helped("run")) - {"help"}


@pytest.mark.parametrize("verb, words", [("doctor", ["doctor"]), ("frames", ["frames", "check"]), ("version", ["version"])])
def test_the_page_names_the_options_of_the_other_verbs(helped, verb, words):
    said = SECTIONS["doctor, frames, version"]
    for option in set(helped(*words)) - {"help", "color" if verb != "frames" else ""}:
        assert f"--{option}" in said, option


@pytest.mark.parametrize("verb", [*STEPS, "run", "index"])
def test_help_has_default_and_environment_for_every_option(helped, verb):
    for option, paragraph in helped(verb).items():
        if option != "help":
            assert "default: " in paragraph or "repeatable" in paragraph, option
            assert f"SLIPWAY_{option.upper().replace('-', '_')}" in paragraph, option


def test_defaults_are_those_of_the_page(helped):
    said = helped("fetch")
    for option in ("heartbeat", "grace", "depth", "result-budget", "tls-verify", "accept-new-host-key"):
        words = {**documented("Options of every step"), **documented("fetch")}[option]
        default = re.search(r"`([^`]+)`", words).group(1)
        assert f"default: {default}" in said[option] or f"default: {default};" in said[option], option


def test_exit_status_and_classes_are_those_of_the_page():
    from conftest import EXIT

    page = (Path(__file__).resolve().parents[2] / "docs" / "frames.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (\d+) \|", page, re.MULTILINE))
    assert {klass: int(status) for klass, status in rows.items()} == EXIT


# Environment


def test_every_option_can_come_from_the_environment(slipway, make_repository, git_server, tmp_path):
    repository = make_repository()
    environment = {"SLIPWAY_URL": f"{git_server.url}/project.git", "SLIPWAY_REVISION": "main", "SLIPWAY_DEPTH": "0",
                   "SLIPWAY_BUILD_ID": "from-environment", "SLIPWAY_ATTEMPT": "3",
                   "SLIPWAY_RESULT": json.dumps([f"commit={tmp_path / 'commit'}", f"url={tmp_path / 'url'}"])}
    done = slipway("fetch", environment=environment).succeeded()
    hello = done.of("hello")[0]
    assert (hello["build_id"], hello["attempt"]) == ("from-environment", 3)
    assert (tmp_path / "commit").read_text() == repository.head()
    assert (tmp_path / "url").exists()


def test_the_command_line_wins_over_the_environment(slipway, make_repository, git_server):
    make_repository()
    slipway("fetch", f"--url={git_server.url}/project.git",
            environment={"SLIPWAY_URL": "http://no-such-host.invalid/x.git"}).succeeded()


def test_an_empty_value_means_not_given(slipway, make_repository, git_server):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--revision=", "--depth=", "--ssh-dir=",
                   "--basic-auth-dir=", "--build-id=", environment={"SLIPWAY_REFSPEC": "", "SLIPWAY_RESULT": ""})
    done.succeeded()


def test_repeatable_options_from_the_environment(slipway, sources):
    source = sources({"Dockerfile": "ARG A\nARG B\nFROM scratch AS x${A}\nCOPY ${B} /\n", "Dockerfile.b": ""})
    done = slipway("resolve", f"--source={source}",
                   environment={"SLIPWAY_BUILD_ARG": '["A=1", "B=Dockerfile.b=x"]'}).succeeded()
    assert done.handoff("plan")["build-args"] == {"A": "1", "B": "Dockerfile.b=x"}


@pytest.mark.parametrize("name, value", [("SLIPWAY_DEPTH", "many"), ("SLIPWAY_RESULT", "commit=/x"), ("SLIPWAY_GRACE", "5 moons"),
                                         ("SLIPWAY_LOG_LEVEL", "loud"), ("SLIPWAY_RESULT", '["nothing"]'),
                                         ("SLIPWAY_ATTEMPT", "-1"), ("SLIPWAY_TLS_VERIFY", "perhaps"),
                                         ("SLIPWAY_LOG_BUDGET", "99999999999999999999G")])
def test_a_value_that_is_not_understood_is_refused(slipway, name, value):
    done = slipway("fetch", "--url=http://127.0.0.1:1/x.git", environment={name: value})
    done.failed("usage", "missingorinvalidargument")
    said = done.err.decode()
    option = "--" + name[8:].lower().replace("_", "-")
    assert option in said or name in said, said
    assert len(done.of("end")) == 1


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--url"], ["stray"], ["--depth=1", "--depth=2x"], ["--", "x"]])
def test_what_is_not_understood_is_refused_as_frames_too(slipway, arguments):
    slipway("fetch", *arguments).failed("usage", "missingorinvalidargument")


@pytest.mark.parametrize("arguments", [["--no-such\x1b[31m\noption"], ["\x1b]0;title\x07"], ["--depth=\x1b[2J"],
                                       ["--url=http://h/\x1b[2J"], ["--result=\x1b[2J"]])
def test_a_refusal_does_not_repaint_the_terminal(slipway, arguments):
    done = slipway("fetch", *arguments).failed("usage", "missingorinvalidargument")
    assert not [byte for byte in done.err.replace(b"\n", b"") if byte < 32]
    plain = slipway.plain("fetch", "--output=pretty", *arguments)
    assert b"\x1b" not in plain.out + plain.err


# For people


def test_pretty_shows_phases_and_outcome(slipway, make_repository, git_server):
    repository = make_repository()
    done = slipway.plain("fetch", f"--state={slipway.state}", f"--url={git_server.url}/project.git", "--output=pretty")
    assert done.exit == 0
    assert b'{"slipway"' not in done.out
    assert repository.head()[:7].encode() in done.out
    failed = slipway.plain("fetch", f"--state={slipway.state}", f"--url={git_server.url}/nothing.git", "--output=pretty")
    assert failed.exit in (10, 11)
    shown = (failed.out + failed.err).decode()
    assert "not" in shown and "\x1b[" not in shown, "colours belong on terminals only"


def test_a_terminal_gets_the_view_for_people(slipway, make_repository, git_server):
    make_repository()
    mine, its = pty.openpty()
    process = subprocess.Popen(slipway.argv("fetch", f"--url={git_server.url}/project.git", "--output=auto"), stdout=its,
                               stderr=its, stdin=subprocess.DEVNULL, env={**slipway.environment(), "TERM": "xterm"})
    os.close(its)
    shown = b""
    try:
        while piece := os.read(mine, 65536):
            shown += piece
    except OSError:
        pass
    os.close(mine)
    assert process.wait(20) == 0
    assert b'{"slipway"' not in shown and shown.strip()


def test_pretty_of_a_failing_build(slipway, planned):
    planned("ARG BASE\nFROM ${BASE}\nRUN echo printed by it; exit 42\n")
    done = slipway.plain("build", f"--state={slipway.state}", f"--work={slipway.work}", "--tls-verify=false",
                         "--output=pretty", seconds=60)
    shown = (done.out + done.err).decode()
    assert done.exit == 10
    for words in ("printed by it", "42", "Dockerfile", "2/2"):
        assert words in shown, (words, shown)


# The archive and the budget of the log


@pytest.fixture
def talkative(slipway, resolved, fake_buildah):
    resolved({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})

    def run(count, *options):
        return slipway("build", f"--buildah={fake_buildah('lines', text='x' * 90, count=count)}", "--recipe=A",
                       "--storage=vfs", *options)

    return run


def test_the_archive_keeps_the_whole_log(slipway, talkative, tmp_path):
    archive = tmp_path / "archive"
    archive.mkdir()
    done = talkative(8000, "--log-budget=256K", f"--log-archive={archive}", "--build-id=b1", "--attempt=2").succeeded()
    assert len(done.out) + 50 * done.out.count(b"\n") <= 256 << 10
    assert done.end["totals"]["dropped"] > 256 << 10
    assert done.end["archive"] == str(archive / "b1-2-build.frames.zst")
    assert [log for log in done.of("log") if log.get("tail")], "a thinned log ends with its last lines"
    whole = subprocess.run(["zstd", "-dc", done.end["archive"]], capture_output=True, check=True).stdout
    assert whole.count(b"x" * 90) == 8000
    stream.check(whole)
    for source in (done.end["archive"], "-"):
        checked = slipway.plain("frames", "check", source, stdin=whole)
        assert checked.exit == 0, checked.out + checked.err
        shown = slipway.plain("frames", "render", source, stdin=whole)
        assert shown.exit == 0 and shown.out.count(b"x" * 90) == 8000


def test_an_archive_that_cannot_be_written_is_a_warning(talkative):
    done = talkative(10, "--log-archive=/proc/nowhere").succeeded()
    assert "logarchive" in [warning["code"] for warning in done.of("warning")]
    assert "archive" not in done.end


def test_a_heartbeat_breaks_the_silence(slipway, resolved, fake_buildah):
    resolved({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    done = slipway("build", f"--buildah={fake_buildah('sleep', seconds=2)}", "--recipe=A", "--storage=vfs",
                   "--heartbeat=300ms").succeeded()
    beats = done.of("heartbeat")
    assert 3 <= len(beats) <= 8
    assert all(beat["storage_free"] > 0 and beat["memory"] > 0 for beat in beats)
    assert [beat["elapsed_ms"] for beat in beats] == sorted(beat["elapsed_ms"] for beat in beats)
