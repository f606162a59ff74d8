"""Holds what each room can include against the table in ARCHITECTURE.md, and tries one include that must not compile.

usage: check_rooms.py BUILD-DIR SOURCE-DIR; reads compile_commands.json of the build.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path


def allowed(architecture: Path) -> dict[str, set[str]]:
    """Rooms by name, with the rooms they may use, from the table's third column."""
    table: dict[str, set[str]] = {}
    for line in architecture.read_text().splitlines():
        row = re.match(r"\| `(\w+)/` \| .* \| ([^|]+) \|$", line)
        if row:
            table[row[1]] = {name.strip() for name in row[2].split(",")}
    everything = set(table) - {"steps"}
    return {room: (everything if uses == {"all below"} else uses - {"std"}) for room, uses in table.items()}


def commands(build: Path) -> dict[str, list[str]]:
    """One compile command of each room."""
    found: dict[str, list[str]] = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        target = re.search(r"slipway_(\w+)\.dir/", entry["output"])
        if target:
            found.setdefault(target[1], [word for word in shlex.split(entry["command"]) if word != "ccache"])
    return found


def main() -> int:
    build, source = Path(sys.argv[1]), Path(sys.argv[2])
    table, found = allowed(source / "ARCHITECTURE.md"), commands(build)
    wrong = [f"{room} is not in ARCHITECTURE.md" for room in found if room not in table]
    for room, words in found.items():
        seen = {match[1] for word in words if (match := re.search(r"/rooms/(\w+)$", word))} - {room}
        # A room that includes less than it may is fine.
        wrong += [f"{room} can include {other}, which ARCHITECTURE.md does not allow"
                  for other in sorted(seen - table.get(room, set()))]

    words = found["frames"]
    includes = [word for word in words if word.startswith("-I")]
    for header, fine in (("frames/frame.hpp", True), ("base/error.hpp", True), ("process/process.hpp", False)):
        done = subprocess.run([words[0], "-std=c++23", "-fsyntax-only", "-x", "c++", *includes, "-"], text=True,
                              input=f'#include "{header}"\n', capture_output=True, timeout=60)
        if (done.returncode == 0) != fine:
            wrong.append(f'frames and #include "{header}": {"did not compile" if fine else "compiled"}')
    print("\n".join(wrong) or f"{len(found)} rooms include only what they may")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
