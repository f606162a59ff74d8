"""Slipway's reading of the build context against the real buildah's, case by case (context_cases.py)."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from context_cases import COPY, IGNORE, TREE

BINARY = os.environ.get("SLIPWAY", "/usr/bin/slipway")
# What buildah puts into every root file system.
ITS_OWN = {"dev/", "dev/console", "dev/shm/", "etc/", "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc/", "run/",
           "run/.containerenv", "sys/"}


def plant(root, files):
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            target.mkdir()
        elif isinstance(content, bytes):
            target.write_bytes(content)
        elif content.startswith("->"):
            target.symlink_to(content[2:])
        else:
            target.write_text(content)


def tree_of(root):
    found = set()
    for directory, folders, files in os.walk(root):
        at = Path(directory).relative_to(root)
        for folder in folders:
            link = (Path(directory) / folder).is_symlink()
            found.add(str(at / folder) + ("" if link else "/"))
        found.update(str(at / name) for name in files)
    return found


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    """buildah(context) → None when it refuses, else the paths of the image; .said is what it printed."""
    home = tmp_path_factory.mktemp("buildah")
    storage = [f"--root={home}/root", f"--runroot={home}/run", "--storage-driver=vfs"]

    def build(context, out):
        done = subprocess.run(
            ["buildah", *storage, "build", "--format=docker", "--isolation=chroot", "--no-cache", "--pull=never",
             f"--output=type=local,dest={out}", f"--file={context}/Dockerfile", str(context)],
            capture_output=True, text=True, errors="replace", timeout=60)
        build.said = done.stderr
        return tree_of(out) if done.returncode == 0 else None

    yield build
    subprocess.run(["buildah", *storage, "rmi", "--all", "--force"], capture_output=True, timeout=60)


def resolve(context, state, *options):
    """slipway resolve → (exit status, frames)."""
    done = subprocess.run([BINARY, "resolve", f"--source={context}", f"--state={state}", "--output=frames", *options],
                          capture_output=True, timeout=60)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def story(frames, buildah):
    return [frame for frame in frames if frame["kind"] in ("warning", "error")], buildah.said[-2000:]


@pytest.mark.parametrize("name", IGNORE)
def test_what_is_ignored(name, tmp_path, buildah):
    context, state = tmp_path / "context", tmp_path / "state"
    state.mkdir()
    ignore = IGNORE[name] if isinstance(IGNORE[name], dict) else {".dockerignore": IGNORE[name]}
    plant(context, {"Dockerfile": "FROM scratch\nCOPY . /\n", **TREE, **ignore})
    copied = buildah(context, tmp_path / "out")
    status, frames = resolve(context, state, "--list-context")
    unchecked = [frame for frame in frames if frame["kind"] == "warning" and frame["warning"]["code"] == "contextunchecked"]
    if unchecked:
        assert status == 0, story(frames, buildah)
        return
    listed = None if status else {frame["log"]["text"] for frame in frames if frame["kind"] == "log"}
    if copied is None or listed is None:
        assert copied is listed, story(frames, buildah)
        return
    # A byte that is no text is shown as U+FFFD in frames and by us.
    copied = {path.encode(errors="surrogateescape").decode(errors="replace") for path in copied}
    assert listed == copied - (ITS_OWN - listed), story(frames, buildah)


@pytest.mark.parametrize("name", COPY)
def test_what_copy_finds(name, tmp_path, buildah):
    context, state = tmp_path / "context", tmp_path / "state"
    state.mkdir()
    instructions, ignore = COPY[name]
    plant(context, {"Dockerfile": f"FROM scratch AS one\n{instructions}\n", ".dockerignore": ignore, **TREE})
    built = buildah(context, tmp_path / "out") is not None
    status, frames = resolve(context, state)
    assert (status == 0) == built, story(frames, buildah)
    if status:
        assert status == 10 and [f["error"]["code"] for f in frames if f["kind"] == "error"] == ["contextissue"]
