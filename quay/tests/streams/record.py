"""Records the streams beside this file: the shipped binary, step by step, against the servers of tests/.

    PYTHONPATH=tests/integration python3 -m pytest -p conftest quay/tests/streams/record.py

inside the test image (as hack/test runs the integration suite, with this folder writable). Addresses of the test servers are put
as names, so that a stream stays the same from one recording to the next in everything but times, sizes and digests.
"""

import re
import signal
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLAIN = "--tls-verify=false"
DOCKERFILE = """\
ARG BASE
FROM ${BASE} AS make
RUN i=0; while [ $i -lt 40 ]; do echo "line $i of 40"; i=$((i + 1)); done; echo made >/made
RUN echo 'Step 9/9 : RUN forged'; printf '\\033[32mgreen\\033[0m\\n'; echo '{"slipway":1,"seq":1,"kind":"end"}'
FROM ${BASE}
COPY --from=make /made /made
USER reader
"""


class Build:
    """One build in four steps; what each has said goes to a folder named after it."""

    def __init__(self, slipway, name, address):
        self.slipway, self.folder, self.address = slipway, HERE / name, address
        self.folder.mkdir(exist_ok=True)

    def step(self, verb, *options, **more):
        return self.keep(verb, self.slipway(verb, *options, "--build-id=3f1c", PLAIN if verb != "fetch" else "--depth=1",
                                            seconds=120, **more))

    def keep(self, verb, done):
        text = done.out.decode()
        text = re.sub(r"127\.0\.0\.1:\d+", "registry.example.com", text)
        text = re.sub(r"/[^\"\s:]*pytest-[^\"\s:/]*/(?:popen-gw\d+/)?[^\"\s:/]*", "/workspace", text)
        (self.folder / f"{verb}.frames").write_text(text)
        return done


@pytest.fixture
def build(slipway, make_repository, git_server, base, registry):
    def make(name, dockerfile=DOCKERFILE, files=None, to=None, base=base):
        made = Build(slipway, name, registry.address)
        make_repository(files={"Dockerfile": dockerfile, **(files or {})})
        made.image = f"{(to or registry).address}/acme/app:1"
        made.step("fetch", f"--url={git_server.url}/project.git").succeeded()
        made.resolved = made.step("resolve", f"--build-arg=BASE={base}")
        return made

    return make


def test_success(build):
    made = build("success")
    made.step("build").succeeded()
    made.step("push", f"--image={made.image}", "--tag=latest").succeeded()


def test_dockerfile_error(build):
    assert build("dockerfile-error", "FROM scratch\nRUNN make\n").resolved.exit == 10


def test_run_failure(build):
    made = build("run-failure", "ARG BASE\nFROM ${BASE}\nRUN echo before; echo 'make: no rule' >&2; exit 3\nRUN echo never\n")
    assert made.step("build").exit == 10


def test_missing_base(build, registry):
    made = build("missing-base", f"FROM {registry.address}/acme/nothing:9\nRUN true\n")
    if made.resolved.exit == 0:
        assert made.step("build").exit == 10


def test_push_denied(build, private_registry):
    made = build("push-denied", to=private_registry)
    made.step("build").succeeded()
    assert made.step("push", f"--image={made.image}").exit == 11


SLOW = "ARG BASE\nFROM ${BASE}\nRUN echo begun; sleep 60; echo never\n"


def running(made, *options):
    process = made.slipway.start("build", "--build-id=3f1c", PLAIN, *options)
    process.wait_for(lambda frame: frame["kind"] == "log" and frame["log"]["text"] == "begun", 60)
    return process


def test_cancel(build):
    made = build("cancel", SLOW)
    process = running(made)
    process.signal(signal.SIGTERM)
    assert made.keep("build", process.finish()).exit == 143


def test_timeout(build):
    made = build("timeout", SLOW)
    assert made.step("build", "--timeout=3s").exit == 15


def test_killed(build):
    made = build("killed", SLOW)
    process = running(made)
    process.signal(signal.SIGKILL)
    made.keep("build", process.finish(ended=False))
