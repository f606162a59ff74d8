"""python3 -m bench.fetch [options] [NAME=REPOSITORY...]: `slipway fetch` against `git clone`, as a markdown table.

One server (lighttpd with git http-backend), one machine, pairs strictly alternating. Each cell is slipway / git: the
medians, and the median of the pairs' ratios. Without repositories four are synthesised (repositories.py).
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from servers import Lighttpd

from . import repositories
from .delay import Delay
from .memory import Memory

BINARY = os.environ.get("SLIPWAY", "/usr/bin/slipway")
MEASURED = ("wall", "cpu", "largest", "memory", "received")
DROP_CACHES = Path(os.environ.get("DROP_CACHES", "/proc/sys/vm/drop_caches"))


class Run:
    """One command, measured: seconds, CPU seconds and memory, its children included."""

    def __init__(self, argv, log):
        with open(log, "wb") as out:
            started = time.monotonic()
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent",
                                          "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0"})
            memory = Memory(child.pid)
            _, status, usage = os.wait4(child.pid, 0)
            self.wall = time.monotonic() - started
            memory.stop()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"{argv} ended with {child.returncode}:\n{Path(log).read_text(errors='replace')[-3000:]}")
        self.cpu, self.largest, self.memory = usage.ru_utime + usage.ru_stime, memory.largest, memory.together


def as_pulled(binary):
    """Lets the kernel read a file again, as after a pull.

    What was just written lies in the page cache in large pieces, and newer kernels map such a piece whole at the first
    touch: a process would seem to need all of the binary's code.
    """
    with open(binary, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def slipway(url, depth, work):
    (work / "slipway").mkdir()
    # What git clone leaves out by itself is left out here too.
    return Run([BINARY, "fetch", f"--url={url}", f"--state={work / 'slipway'}", f"--depth={depth}", "--output=frames",
                "--submodules=false", "--lfs=false"],
               work / "log")


def git(url, depth, work):
    return Run(["git", "clone", "-q", "--single-branch", "--no-tags", *([f"--depth={depth}"] if depth else []), url,
                str(work / "git")], work / "log")


def cold():
    """Whether the page cache could be emptied."""
    try:
        DROP_CACHES.write_text("3")
        return True
    except OSError:
        return False


def measure(pairs, url, depth, work, before=lambda: None, relay=None):
    """Medians and minima of both sides, {"slipway": {...}, "git": {...}}, and "ratio": medians of the pairs' ratios.

    The first pair only warms up.
    """
    runs = {"slipway": [], "git": []}
    for number in range(pairs + 1):
        for side in (slipway, git) if number % 2 else (git, slipway):
            for leftover in ("slipway", "git"):
                shutil.rmtree(work / leftover, ignore_errors=True)
            before()
            if relay:
                relay.reset()
            run = side(url, depth, work)
            run.received = relay.received if relay else 0
            if number:
                runs[side.__name__].append(run)
    medians = {name: {what: statistics.median(getattr(run, what) for run in taken) for what in MEASURED}
               for name, taken in runs.items()}
    ratio = {what: statistics.median(getattr(mine, what) / max(getattr(other, what), 1e-9)
                                     for mine, other in zip(runs["slipway"], runs["git"], strict=True))
             for what in MEASURED}
    for name, taken in runs.items():
        medians[name]["best"] = min(run.wall for run in taken)
    ratio["best"] = medians["slipway"]["best"] / medians["git"]["best"]
    return medians | {"ratio": ratio}


def row(name, depth, round_trip, cache, measured):
    mine, other = measured["slipway"], measured["git"]

    def cell(what, form="{:.2f}"):
        return f"{form.format(mine[what])} / {form.format(other[what])} = **{measured['ratio'][what]:.2f}**"

    received = {side: measured[side]["received"] / 1e6 for side in ("slipway", "git")}
    return (name, str(depth or "all"), f"{round_trip * 1000:.0f} ms", cache, cell("wall"), cell("best"), cell("cpu"),
            cell("memory", "{:.0f}"), cell("largest", "{:.0f}"),
            f"{received['slipway']:.2f} / {received['git']:.2f}" if received["git"] else "")


def main():
    parser = argparse.ArgumentParser(prog="python3 -m bench.fetch", description=__doc__)
    parser.add_argument("repository", nargs="*", metavar="NAME=PATH")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--full-pairs", type=int, help="where all history comes (as many as --pairs)")
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 0], help="0 = all history")
    parser.add_argument("--round-trips", type=float, nargs="+", default=[0, 20, 100], help="milliseconds")
    parser.add_argument("--caches", nargs="+", default=["warm", "cold"], choices=["warm", "cold"],
                        help="cold: for no round trip and depth 1 only")
    options = parser.parse_args()
    as_pulled(BINARY)
    version = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"), ignore_cleanup_errors=True) as scratch:
        work, root = Path(scratch), Path(scratch) / "served"
        root.mkdir()
        named = [entry.partition("=")[::2] for entry in options.repository]
        for name, path in named:
            (root / f"{name}.git").symlink_to(path)
        for shape in () if named else repositories.SHAPES:
            repositories.make(root, shape)
            named.append((shape, None))
        full_pairs = options.full_pairs or options.pairs
        print(f"`slipway fetch` / `git clone` ({version}), {options.pairs} pairs, {full_pairs} where all history comes; "
              f"ratios are medians of the pairs'; load average {os.getloadavg()[0]:.1f} at the start. Loopback, "
              "work trees in memory; round trips are added by a relay in user space, without a limit to bandwidth.\n")
        print("| repository | depth | round trip | cache | median s | best s | CPU s | memory MiB | largest process MiB "
              "| MB received |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        with Lighttpd(root) as server:
            for name, _ in named:
                for depth in options.depths:
                    for round_trip in options.round_trips:
                        for cache in options.caches:
                            if cache == "cold" and (round_trip or depth != 1 or not cold()):
                                continue
                            with Delay(server.port, round_trip / 1000) as relay:
                                via = relay if round_trip else None
                                url = f"http://127.0.0.1:{relay.port if via else server.port}/git/{name}.git"
                                measured = measure(options.pairs if depth else full_pairs, url, depth, work,
                                                   cold if cache == "cold" else lambda: None, via)
                            print("| " + " | ".join(row(name, depth, round_trip / 1000, cache, measured)) + " |",
                                  flush=True)


if __name__ == "__main__":
    sys.exit(main())
