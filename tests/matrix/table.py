"""What the matrix is expected to find (expected.json), and the same as a table in docs/pods.md."""

import json
from pathlib import Path

import pods

TOP = Path(__file__).resolve().parents[2]
EXPECTED = TOP / "tests" / "matrix" / "expected.json"
PAGE = TOP / "docs" / "pods.md"
BEGIN, END = "<!-- matrix: written by tests/matrix/run.py -->", "<!-- /matrix -->"


def read():
    return json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {"measured": "", "cells": {}, "built": {}}


def write(known, found, built, date):
    """What was found replaces what was known of the same cells; cases built in a pod are added to those built before."""
    built = {pod: sorted({*known["built"].get(pod, []), *built.get(pod, [])}) for pod in pods.PODS}
    known = {"measured": date, "cells": dict(sorted({**known["cells"], **found}.items())), "built": built}
    EXPECTED.write_text(json.dumps(known, indent=1) + "\n")
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + text(known) + END + rest.split(END, 1)[1])


def agrees():
    return BEGIN + text(read()) + END in PAGE.read_text()


def text(known):
    lines = ["", "",
             f"Measured {known['measured']}; chroot isolation unless said otherwise. After a code stands what doctor names as",
             "missing; last, how many Dockerfiles of the corpus were built with these settings and came out right.", "",
             f"| pod | gives | {' | '.join(pods.PROFILES)} | Dockerfiles |",
             "|---|---|" + "---|" * len(pods.PROFILES) + "---:|"]
    for pod in pods.PODS.values():
        fields = [_summary(known["cells"], pod.name, profile) for profile in pods.PROFILES]
        lines.append(f"| {pod.name} | {pod.gives} | {' | '.join(fields)} | {len(known['built'].get(pod.name, []))} |")
    return "\n".join([*lines, "", ""])


def _summary(cells, pod, profile):
    """One field: all storages together where they agree."""
    parts = []
    for isolation in pods.ISOLATIONS:
        by_outcome = {}
        for storage in pods.STORAGES:
            outcome = cells.get(f"{pod}/{profile}/{storage}/{isolation}")
            if outcome:
                by_outcome.setdefault(outcome, []).append(storage)
        for outcome, storages in by_outcome.items():
            told = "**builds**" if outcome == "builds" else f"`{outcome.replace(':', '` ', 1)}" if ":" in outcome \
                else f"`{outcome}`"
            where = [] if len(by_outcome) == 1 else [", ".join(storages)]
            if isolation != "chroot":
                where.append(isolation)
            parts.append(told + (f" ({'; '.join(where)})" if where else ""))
    return ", ".join(parts) or "—"
