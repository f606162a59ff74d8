"""What the matrix is expected to find (expected.json), and the same as a table in docs/pods.md."""

import json
from pathlib import Path

import pods

TOP = Path(__file__).resolve().parents[2]
EXPECTED = TOP / "tests" / "matrix" / "expected.json"
PAGE = TOP / "docs" / "pods.md"
BEGIN, END = "<!-- matrix: written by tests/matrix/run.py -->", "<!-- /matrix -->"


def read():
    return json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {"measured": "", "corpus": 0, "cells": {}}


def write(cells, date, corpus):
    known = {"measured": date, "corpus": corpus, "cells": dict(sorted(cells.items()))}
    EXPECTED.write_text(json.dumps(known, indent=1) + "\n")
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + text(known) + END + rest.split(END, 1)[1])


def agrees():
    return BEGIN + text(read()) + END in PAGE.read_text()


def text(known):
    lines = ["", "", f"Measured {known['measured']} with {known['corpus']} Dockerfiles (`tests/matrix/corpus`); chroot isolation"
             " unless said otherwise. A code is followed by what doctor names as missing.", "",
             f"| pod | gives | {' | '.join(pods.PROFILES)} |", "|---|---|" + "---|" * len(pods.PROFILES)]
    for pod in pods.PODS.values():
        lines.append(f"| {pod.name} | {pod.gives} | "
                     + " | ".join(_summary(known["cells"], pod.name, profile) for profile in pods.PROFILES) + " |")
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
    return ", ".join(parts) or "?"
