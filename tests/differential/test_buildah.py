"""The corpus against the real buildah: it takes what we take, prints the commands our plans have, and its image says
what our plans say. What differs is in a table of docs/dockerfile.md, with the reason, and nothing else differs.

A part of the corpus by default, all of it with SLIPWAY_FULL=1.
"""

import os
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from differential import corpus
from differential.builder import Buildah

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the plans are made for amd64")
CASES = corpus.cases()
TABLE = Path(__file__).parents[2] / "docs" / "dockerfile.md"
SELECTED = CASES if os.environ.get("SLIPWAY_FULL") else CASES[::2]


def known_differences():
    """{case: what differs} of the table's rows `| case | what | … |`."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (acceptance|steps|config) \|", TABLE.read_text(), re.MULTILINE)
    return dict(rows)


KNOWN = known_differences()
REFERENCE = re.compile(r"[a-z0-9][a-z0-9./-]*[a-z0-9](:[a-z0-9.-]+)?")


@pytest.fixture(scope="session")
def outcomes(request, tmp_path_factory):
    """{case: how buildah ended}; buildah runs on every processor meanwhile."""
    buildah = Buildah(tmp_path_factory.mktemp("buildah"))
    names = {image for case in CASES for image, _ in case.images}
    names |= {name for case in CASES for name in re.findall(r"registry\.example/[\w./:-]+", case.dockerfile)}
    names = {name for name in names if REFERENCE.fullmatch(name)}
    paths = {path for case in CASES for line in re.findall(r"(?:COPY|ADD) .*--from=\S+ (.*) \S+", case.dockerfile)
             for path in line.split() if path.startswith("/")}
    buildah.make_base(sorted(names), sorted(paths))
    wanted = [item.callspec.params["case"] for item in request.session.items if "outcomes" in item.fixturenames]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip((case.name for case in wanted), pool.map(buildah.build, wanted)))


def comparable(line):
    """Without what buildah adds: how here-documents begin, the id of an image just made."""
    if "<<" in line and line.endswith(")"):
        line = re.sub(r"( \([^()]*\))+$", "", line)
    return re.sub(r"FROM (--platform=\S+ )?[0-9a-f]{64}", r"FROM \1(an image id)", line)


def difference(case, real):
    """('', '') or what differs and how."""
    if case.accepted != real.accepted:
        return "acceptance", f"we: {case.error or 'accepted'}\nbuildah: {real.said[-600:] or 'accepted'}"
    if not case.accepted:
        return "", ""
    if [line.rstrip() for line in case.steps] != [comparable(line).rstrip() for line in real.steps]:
        return "steps", "\n".join(["we:", *case.steps, "buildah:", *real.steps])
    environment = dict(pair.split("=", 1) for pair in real.config.get("Env") or [])
    if "PATH" not in case.environment:
        environment.pop("PATH", None)
    said = {"Env": environment, **{name: real.config.get(name) for name in case.config}}
    for name in ("ExposedPorts", "Volumes"):
        said[name] = sorted(said[name] or {})
    for name in ("Entrypoint", "Cmd"):
        said[name] = said[name] or []
    said["Labels"] = {key: value for key, value in (said["Labels"] or {}).items() if key != "io.buildah.version"}
    said["StopSignal"] = said["StopSignal"] or ""
    said["User"] = said["User"] or ""
    said["WorkingDir"] = said["WorkingDir"] or "/"
    ours = {"Env": case.environment, **case.config}
    wrong = [f"{name}: we {ours[name]!r}, buildah {said[name]!r}" for name in ours if ours[name] != said[name]]
    return ("config", "\n".join(wrong)) if wrong else ("", "")


@pytest.mark.parametrize("case", SELECTED, ids=lambda case: case.name)
def test_buildah_agrees(case, outcomes):
    what, how = difference(case, outcomes[case.name])
    assert what == KNOWN.get(case.name, ""), f"{case.name}: {what or 'no difference'}\n{how}"


def test_every_known_difference_is_a_case():
    assert KNOWN.keys() <= {case.name for case in CASES}
