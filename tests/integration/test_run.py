"""The whole way in one process: the same as four steps; and frame by frame what was said when this was written."""

import difflib
import json
import os
import re
from pathlib import Path

import pytest

PLAIN = "--tls-verify=false"
GOLDEN = Path(__file__).parent / "golden"
DOCKERFILE = """\
ARG BASE
FROM ${BASE} AS make
RUN echo made >/made
FROM ${BASE}
COPY --from=make /made /made
USER reader
"""


@pytest.fixture
def project(make_repository, git_server):
    make_repository(files={"Dockerfile": DOCKERFILE})
    return f"--url={git_server.url}/project.git"


@pytest.fixture
def run(slipway, project, base, registry):
    return slipway("run", project, f"--build-arg=BASE={base}", f"--image={registry.address}/run/one:1", "--tag=other",
                   PLAIN, "--build-id=golden", seconds=120).succeeded()


def four_steps(slipway, project, base, registry):
    yield slipway("fetch", project, "--build-id=golden").succeeded()
    yield slipway("resolve", f"--build-arg=BASE={base}", PLAIN, "--build-id=golden").succeeded()
    yield slipway("build", PLAIN, "--build-id=golden").succeeded()
    yield slipway("push", f"--image={registry.address}/run/one:1", "--tag=other", PLAIN, "--build-id=golden").succeeded()


class Mask:
    """Puts names in place of what differs from run to run; equal things get equal names."""

    PATTERNS = (("short commit", r'(?<="short-commit", "value": ")[0-9a-f]{7}'),
                ("digest", r"(?:sha256:)?\b[0-9a-f]{64}\b"), ("commit", r"\b[0-9a-f]{40}\b"),
                ("port", r"(?<=127\.0\.0\.1:)\d+"), ("path", r"/[^\"\s:]*pytest-[^\"\s:/]*/(?:popen-gw\d+/)?[^\"\s:/]*"),
                ("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), ("scratch", r"slipway-build\.\w+"))
    NUMBERS = ("duration_ms", "cpu_ms", "peak_memory", "memory", "memory_limit", "storage_free", "inodes_free", "elapsed_ms",
               "size", "bytes", "current", "total")

    def __init__(self):
        self.names = {}

    def __call__(self, frame):
        frame = json.loads(json.dumps(frame))
        for name in self.NUMBERS:
            if name in frame[frame["kind"]]:
                frame[frame["kind"]][name] = 0
        text = json.dumps(frame, ensure_ascii=False)
        for kind, pattern in self.PATTERNS:
            text = re.sub(pattern, lambda found, kind=kind: self._name(kind, found[0]), text)
        return text

    def _name(self, kind, value):
        if kind == "time":
            return "<time>"
        known = self.names.setdefault(kind, {})
        return f"<{kind} {known.setdefault(value, len(known) + 1)}>"


def spoken(frames):
    """The frames that do not depend on how fast anything was: no progress, no heartbeat; numbered anew."""
    mask = Mask()
    number, lines = 0, []
    for frame in frames:
        if frame["kind"] in ("progress", "heartbeat"):
            continue
        number = 1 if frame["kind"] == "hello" else number + 1
        frame = {**frame, "seq": number}
        if frame["kind"] == "hello" and "recipe" in frame["hello"]:
            # What the machine allows; test_build says what is expected of it.
            frame = {**frame, "hello": {**frame["hello"], "recipe": {"name": "<recipe>"}, "storage": {"driver": "<storage>"}}}
        if frame["kind"] == "end":
            frame = {**frame, "end": {**frame["end"], "totals": {**frame["end"]["totals"], "frames": 0}}}
        # What git and buildah say of their transfers comes in an order of their own.
        if frame["kind"] == "log" and "n" not in frame["log"]:
            number -= 1
            continue
        lines.append(mask(frame))
    return lines


def test_run_says_what_it_has_always_said(run):
    said, path = "\n".join(spoken(run.frames)) + "\n", GOLDEN / "run.frames"
    if os.environ.get("SLIPWAY_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said)
    expected = path.read_text()
    assert said == expected, "".join(difflib.unified_diff(expected.splitlines(True), said.splitlines(True),
                                                          "golden", "now", n=1))


def test_run_equals_four_steps(run, slipway, project, base, registry, tmp_path_factory):
    from conftest import Slipway

    digest = registry.digest("run/one", "1")
    assert run.results["IMAGE_DIGEST"] == digest
    other = Slipway(tmp_path_factory.mktemp("four"))
    steps = list(four_steps(other, project, base, registry))
    apart = [frame for step in steps for frame in step.frames]
    shape = [(frame["step"], frame["kind"], frame[frame["kind"]].get("name", frame[frame["kind"]].get("text")))
             for frame in run.frames if frame["kind"] in ("hello", "phase", "command", "image", "result", "end")]
    assert shape == [(frame["step"], frame["kind"], frame[frame["kind"]].get("name", frame[frame["kind"]].get("text")))
                     for frame in apart if frame["kind"] in ("hello", "phase", "command", "image", "result", "end")]
    for name in ("source", "plan"):
        mine, theirs = run.handoff(name), steps[0].handoff(name)
        for facts in (mine, theirs):
            facts.pop("source", None), facts.pop("directory", None)
        assert mine == theirs
    assert set(run.handoff("image")) == set(steps[0].handoff("image"))
    assert registry.files("run/one", "1")["made"].content == b"made\n"


def test_phases_never_come_twice_or_go_back(run):
    names = [phase["name"] for phase in run.of("phase")]
    order = ["unpacking", "pulling", "checking-cache", "priming-cache", "building", "pushing", "complete", "error"]
    assert names == sorted(set(names), key=order.index)
    assert names[-1] == "complete"


def test_run_stops_at_the_step_that_fails(slipway, make_repository, git_server, relay):
    make_repository(files={"Dockerfile": "FROM scratch\nCOPY nothing /\n"})
    done = slipway("run", f"--url={git_server.url}/project.git", f"--image={relay.address}/run/two:1", PLAIN)
    assert done.exit == 10, done.story()
    ends = [(frame["step"], frame["end"]["status"]) for frame in done.frames if frame["kind"] == "end"]
    assert ends == [("fetch", "succeeded"), ("resolve", "failed")]
    assert done.error["code"] == "contextissue"
    assert not relay.requests


def test_run_refuses_a_wrong_destination_before_it_fetches(slipway, git_server):
    done = slipway("run", f"--url={git_server.url}/project.git", "--image=no such reference", PLAIN)
    assert done.exit != 0
    assert not (slipway.state / "image.json").exists()
