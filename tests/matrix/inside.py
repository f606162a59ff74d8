"""What the matrix does inside the test container, as its root, on the volume all cells share.

    inside.py prepare CELLS          contexts of the corpus, with what git cannot keep, into CELLS/sources
    inside.py check CELLS CELL       prints what became of one cell, as JSON, and removes what it left
"""

import datetime
import json
import shutil
import sys
from pathlib import Path

import corpus
from image import Image


def prepare(cells):
    cells.chmod(0o1777)
    (cells / "secret").write_bytes(corpus.SECRET)
    for name in corpus.names():
        context = cells / "sources" / name
        shutil.copytree(corpus.FOLDER / name, context, symlinks=True)
        corpus.PREPARE.get(name, lambda _: None)(context)
    (cells / "plans").mkdir(mode=0o777)
    (cells / "plans").chmod(0o777)


def frames(path):
    return [json.loads(line) for line in path.read_text(errors="replace").splitlines() if line.startswith('{"slipway":')]


def when(frame):
    return datetime.datetime.fromisoformat(frame["t"])


def examine(folder, name):
    """One build: did it succeed, with which code did it fail, what is wrong with the image."""
    said = frames(folder / "frames")
    status = (folder / "exit").read_text().strip()
    found = {"exit": int(status), "started": (folder / "started").exists(),
             "pulling": any(frame["kind"] == "phase" and frame["phase"]["name"] == "pulling" for frame in said)}
    if said:
        found["seconds"] = (when(said[-1]) - when(said[0])).total_seconds()
    for frame in said:
        if frame["kind"] == "error":
            found["error"] = {key: frame["error"].get(key, "") for key in ("code", "class", "message", "cause")}
        if frame["kind"] == "hello":
            found["recipe"] = frame["hello"].get("recipe", {}).get("name")
            found["storage"] = frame["hello"].get("storage", {}).get("driver")
    warned = {frame["warning"]["code"] for frame in said if frame["kind"] == "warning"}
    if status == "0":
        try:
            corpus.check(name, Image(folder / "state" / "image", owners="ownerslost" not in warned))
        except (AssertionError, LookupError, OSError) as wrong:
            found["wrong"] = f"{type(wrong).__name__}: {wrong}"[:500]
    else:
        found["log"] = "\n".join(frame["log"]["text"] for frame in said if frame["kind"] == "log")[-2000:]
        found["stderr"] = (folder / "stderr").read_text(errors="replace")[-1000:]
    return found


def check(cells, cell):
    folder = cells / cell
    report = {"builds": {}}
    try:
        report["doctor"] = json.loads((folder / "doctor.json").read_text())
    except (OSError, ValueError) as why:
        report["doctor"] = {"unreadable": str(why)}
    for path in sorted(folder.iterdir()):
        if (path / "exit").exists():
            report["builds"][path.name] = examine(path, path.name)
    shutil.rmtree(folder)
    print(json.dumps(report))


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]))
    else:
        check(Path(sys.argv[2]), sys.argv[3])
