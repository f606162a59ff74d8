#!/usr/bin/env python3
"""What each step of the samples took: memory and CPU of its container, sampled while CMD runs (docs/tekton.md, Resources).

usage: tests/tekton/measure.py CMD...      e.g. tests/tekton/measure.py hack/tekton -run Samples

The harness names containers …-CONTAINER after the Pod's; podman gives each a cgroup. Every 20 ms their anonymous and shared
memory (not the page cache; volumes in memory are shared memory) and their CPU time are read, cgroup v1 or v2. Afterwards a
table goes to standard output: per step the number of containers, the median and the most of both. What a container takes
within its last 20 ms is not seen. Exit status: CMD's.
"""

import collections
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
STORAGE = Path("/var/lib/containers/storage/overlay-containers/containers.json")
IDENTIFIER = re.compile(r"libpod-([0-9a-f]{64})")
PERIOD = 0.02


def names():
    """{container's id: name}."""
    try:
        return {each["id"]: each["names"][0] for each in json.loads(STORAGE.read_text()) if each.get("names")}
    except (OSError, ValueError):  # being written
        return {}


def groups():
    """{container's id: (folder with memory.stat, folder with the CPU's count)}."""
    found = {}
    unified = (CGROUPS / "cgroup.controllers").exists()
    memory = CGROUPS if unified else CGROUPS / "memory"
    for folder in [*memory.glob("libpod_parent/libpod-*"), *memory.glob("machine.slice/libpod-*")]:
        match = IDENTIFIER.search(folder.name)
        if match:
            found[match[1]] = (folder, folder if unified else CGROUPS / "cpuacct" / folder.relative_to(memory))
    return found


def numbers(path):
    return {key: int(value) for key, value in (line.split() for line in path.read_text().splitlines())}


def sample(memory, cpu):
    """(bytes that cannot be dropped, milliseconds of CPU)."""
    stat = numbers(memory / "memory.stat")
    if "anon" in stat:
        return stat["anon"] + stat["shmem"], numbers(cpu / "cpu.stat")["usage_usec"] // 1000
    return stat["total_rss"] + stat.get("total_shmem", 0), int((cpu / "cpuacct.usage").read_text()) // 1000000


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("--help", "-h"):
        print(__doc__.strip())
        return 0
    known, most = {}, collections.defaultdict(lambda: (0, 0))
    # What it says goes to standard error: standard output is for the table.
    with subprocess.Popen(sys.argv[1:], stdout=sys.stderr) as running:
        while running.poll() is None:
            for identifier, folders in groups().items():
                if identifier not in known:
                    known = names()
                    known.setdefault(identifier, "")
                if not known[identifier].startswith("slipway-pod-"):
                    continue
                try:
                    memory, cpu = sample(*folders)
                except (OSError, KeyError, ValueError):  # gone between two reads
                    continue
                name = known[identifier]
                most[name] = (max(most[name][0], memory), max(most[name][1], cpu))
            time.sleep(PERIOD)
    steps = collections.defaultdict(list)
    for name, taken in most.items():
        steps[re.sub(r"slipway-pod-\d+-\d+-", "", name)].append(taken)
    print("| container | measured | memory, median | most | CPU, median | most |\n|---|---:|---:|---:|---:|---:|")
    for step, taken in sorted(steps.items()):
        memory, cpu = zip(*taken)
        print(f"| {step} | {len(taken)} | {statistics.median(memory) / 2**20:.0f} MiB | {max(memory) / 2**20:.0f} MiB "
              f"| {statistics.median(cpu) / 1000:.1f} s | {max(cpu) / 1000:.1f} s |")
    return running.returncode


if __name__ == "__main__":
    sys.exit(main())
