"""Slipway's reading of the build context against the real buildah's, case by case (context_cases.py)."""

import concurrent.futures
import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from differential.context_cases import COPY, IGNORE, TREE

BINARY = os.environ.get("SLIPWAY", "/usr/bin/slipway")
TESTS = {"IGNORE": "test_what_is_ignored", "COPY": "test_what_copy_finds"}
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


def context_of(group, name):
    """The files of a case."""
    if group == "IGNORE":
        ignore = IGNORE[name] if isinstance(IGNORE[name], dict) else {".dockerignore": IGNORE[name]}
        return {"Dockerfile": "FROM scratch\nCOPY . /\n", **TREE, **ignore}
    instructions, ignore = COPY[name]
    return {"Dockerfile": f"FROM scratch AS one\n{instructions}\n", ".dockerignore": ignore, **TREE}


class Buildah:
    """Builds cases with storage of its own. One is no faster than its start-up: two work side by side."""

    def __init__(self, home):
        self.home, self.own = home, threading.local()

    def storage(self):
        if not hasattr(self.own, "options"):
            place = self.home / f"storage-{threading.get_ident()}"
            self.own.options = [f"--root={place}/root", f"--runroot={place}/run", "--storage-driver=vfs"]
        return self.own.options

    def __call__(self, group, name, number):
        """(context, paths of the image or None when it was refused, what was printed)."""
        context, out = self.home / f"context-{number}", self.home / f"out-{number}"
        plant(context, context_of(group, name))
        done = subprocess.run(
            ["buildah", *self.storage(), "build", "--format=docker", "--isolation=chroot", "--no-cache",
             "--pull=never", f"--output=type=local,dest={out}", f"--file={context}/Dockerfile", str(context)],
            capture_output=True, text=True, errors="replace", timeout=120)
        return context, tree_of(out) if done.returncode == 0 else None, done.stderr


@pytest.fixture(scope="module")
def built(request, tmp_path_factory):
    """built(group, name) → what buildah made of it; all selected cases are under way from the start."""
    buildah = Buildah(tmp_path_factory.mktemp("buildah"))
    chosen = [(group, name) for group, names in (("IGNORE", IGNORE), ("COPY", COPY)) for name in names
              if any(item.name.endswith(f"{TESTS[group]}[{name}]") for item in request.session.items)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = {case: pool.submit(buildah, *case, number) for number, case in enumerate(chosen)}
        yield lambda *case: futures[case].result()


def resolve(context, state, *options):
    """slipway resolve → (exit status, frames)."""
    done = subprocess.run([BINARY, "resolve", f"--source={context}", f"--state={state}", "--output=frames", *options],
                          capture_output=True, timeout=60)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def story(frames, said):
    return [frame for frame in frames if frame["kind"] in ("warning", "error")], said[-2000:]


@pytest.mark.parametrize("name", IGNORE, ids=str)
def test_what_is_ignored(name, tmp_path, built):
    context, copied, said = built("IGNORE", name)
    status, frames = resolve(context, tmp_path, "--list-context")
    if any(frame["kind"] == "warning" and frame["warning"]["code"] == "contextunchecked" for frame in frames):
        assert status == 0, story(frames, said)
        return
    listed = None if status else {frame["log"]["text"] for frame in frames if frame["kind"] == "log"}
    if copied is None or listed is None:
        assert copied is listed, story(frames, said)
        return
    assert listed == copied - (ITS_OWN - listed), story(frames, said)


@pytest.mark.parametrize("name", COPY, ids=str)
def test_what_copy_finds(name, tmp_path, built):
    context, copied, said = built("COPY", name)
    status, frames = resolve(context, tmp_path)
    assert (status == 0) == (copied is not None), story(frames, said)
    if status:
        assert status == 10 and [f["error"]["code"] for f in frames if f["kind"] == "error"] == ["contextissue"]
