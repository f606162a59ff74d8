"""`slipway build` against buildah by hand with the same settings: wall, processor time, memory, disk; per storage driver.

Both sides pull the base from a loopback registry into an empty storage, build the same Dockerfile, export an OCI layout and
remove their storage. They run in strict turn and each pair gives one ratio; what is printed are medians of the ratios with
their range, because a machine's speed drifts more between pairs than the difference looked for here.
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path

import servers

BINARY = os.environ.get("SLIPWAY", "/usr/bin/slipway")
DOCKERFILE = "COPY data /data\n" + "".join(f"RUN seq 1 20000 && echo part {n} >/part{n}\n" for n in range(5)) + \
    "RUN cp -r /usr/share /copied && echo copied\n"


def adopt():
    """Of what a command leaves running it becomes the parent, as slipway does by itself: fuse-overlayfs goes into the
    background, and only who has waited for it is told its processor time."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


class Run:
    """One command, measured. `disk` is the most its volume held meanwhile, in bytes: nobody else may use that volume."""

    def __init__(self, argv, volume):
        def used():
            room = os.statvfs(volume)
            return (room.f_blocks - room.f_bfree) * room.f_frsize

        before, self.disk, ended = used(), 0, threading.Event()

        def watch():
            while not ended.wait(0.05):
                self.disk = max(self.disk, used() - before)

        watcher = threading.Thread(target=watch)
        started = time.monotonic()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                 preexec_fn=adopt)
        watcher.start()
        try:
            self.out = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
            self.wall = time.monotonic() - started
        finally:
            ended.set()
            watcher.join()
            child.stdout.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise SystemExit(f"{argv} ended with {child.returncode}: {self.out[-2000:]!r}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss * 1024

    def spans(self):
        """Seconds and processor seconds of slipway's children, by what they did."""
        frames = [json.loads(line) for line in self.out.splitlines() if line.startswith(b'{"slipway":')]
        return {frame["timing"]["what"]: (frame["timing"]["duration_ms"] / 1000, frame["timing"].get("cpu_ms", 0) / 1000)
                for frame in frames if frame["kind"] == "timing"}


def cache_options():
    """What asks for a layer cache, where this slipway has one: (of slipway, of buildah)."""
    text = subprocess.run([BINARY, "build", "--help"], capture_output=True, text=True, check=True).stdout
    if "--cache-from" not in text:
        return None
    return (lambda cache: [f"--cache-from={cache}", f"--cache-to={cache}"],
            lambda cache: f"--layers --cache-from {cache} --cache-to {cache}")


@contextlib.contextmanager
def sides(work, driver, cached):
    """(slipway, buildah by hand): functions that build once and return a Run."""
    with servers.Registry(work / "registry") as registry:
        base = f"{registry.address}/base:1"
        storage = ["buildah", "--storage-driver=vfs", f"--root={work}/push", f"--runroot={work}/pushrun"]
        image = subprocess.run([*storage, "pull", "-q", "oci-archive:/base/base.tar"], check=True, capture_output=True,
                               text=True).stdout.split()[-1]
        subprocess.run([*storage, "push", "-q", "--tls-verify=false", image, f"docker://{base}"], check=True)
        shutil.rmtree(work / "push")
        source, state, mine, other = (work / name for name in ("source", "state", "mine", "other"))
        source.mkdir()
        state.mkdir()
        (source / "Dockerfile").write_text(f"FROM {base}\n{DOCKERFILE}")
        (source / "data").write_bytes(os.urandom(1 << 20))
        subprocess.run([BINARY, "resolve", f"--state={state}", f"--source={source}", "--output=frames", "--tls-verify=false"],
                       check=True, stdout=subprocess.DEVNULL)
        pinned = json.loads((state / "plan.json").read_text())["images"][0]["pinned"]
        ours, theirs = cache_options() if cached else (lambda _: [], lambda _: "--layers=false")

        def with_slipway():
            shutil.rmtree(mine, ignore_errors=True)
            mine.mkdir()
            return Run([BINARY, "build", f"--state={state}", f"--work={mine}", f"--storage={driver}", "--output=frames",
                        "--tls-verify=false", *ours(f"{registry.address}/cache-of-slipway")], work)

        def by_hand():
            fuse = "--storage-opt=overlay.mount_program=/usr/bin/fuse-overlayfs" if driver == "fuse-overlayfs" else ""
            where = f"--storage-driver={'vfs' if driver == 'vfs' else 'overlay'} {fuse} --root={other}/root " \
                    f"--runroot={other}/run"
            return Run(["sh", "-c", f"set -e; mkdir {other}; b() {{ buildah {where} \"$@\"; }}; "
                        f"b pull -q --tls-verify=false docker://{pinned}; b tag {pinned} {base}; "
                        f"b build --isolation=chroot {theirs(registry.address + '/cache-by-hand')} --network=host "
                        f"--pull=never --tls-verify=false --iidfile {other}/iid -f {source}/Dockerfile {source} | cat; "
                        f"b push -q $(cat {other}/iid) oci:{other}/image; rm -rf {other}"], work)

        yield with_slipway, by_hand


def ratio(pairs, member):
    values = [getattr(mine, member) / max(getattr(other, member), 1e-9) for mine, other in pairs]
    return f"{statistics.median(values):.3f} ({min(values):.2f} to {max(values):.2f})"


def cell(pairs, member, scale, unit):
    mine, other = (statistics.median(getattr(pair[side], member) for pair in pairs) / scale for side in (0, 1))
    return f"{mine:.2f} / {other:.2f} {unit}"


def drivers():
    yield "overlay"
    yield "vfs"
    if shutil.which("fuse-overlayfs") and os.access("/dev/fuse", os.R_OK | os.W_OK):
        yield "fuse-overlayfs"


def build(rounds, work):
    """Lines of a table, and below it where slipway's own time goes."""
    yield "| storage | cache | wall, slipway / by hand | ratio | processor | ratio | largest process | ratio | disk | ratio |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"
    own = []
    for driver in drivers():
        for cached in (False, True):
            if cached and cache_options() is None:
                yield f"| {driver} | warm | not in this version | | | | | | | |"
                continue
            directory = Path(work) / f"{driver}-{'warm' if cached else 'cold'}"
            directory.mkdir()
            with sides(directory, driver, cached) as (with_slipway, by_hand):
                with_slipway(), by_hand()  # warm the page cache, and fill the layer cache
                pairs = []
                for turn in range(rounds):
                    if turn % 2:
                        other, mine = by_hand(), with_slipway()
                    else:
                        mine, other = with_slipway(), by_hand()
                    pairs.append((mine, other))
            shutil.rmtree(directory, ignore_errors=True)
            yield (f"| {driver} | {'warm' if cached else 'cold'} | {cell(pairs, 'wall', 1, 's')} | {ratio(pairs, 'wall')} | "
                   f"{cell(pairs, 'cpu', 1, 's')} | {ratio(pairs, 'cpu')} | {cell(pairs, 'memory', 1e6, 'MB')} | "
                   f"{ratio(pairs, 'memory')} | {cell(pairs, 'disk', 1e6, 'MB')} | {ratio(pairs, 'disk')} |")
            parts = [mine.spans() for mine, _ in pairs]
            names = {re.sub(" .*", "", name.removeprefix("buildah ")): name for name in parts[0]}
            text = ", ".join(f"{short} {statistics.median(part.get(name, (0, 0))[0] for part in parts):.2f} s"
                             for short, name in names.items())
            rest = statistics.median(mine.wall - sum(span[0] for span in part.values())
                                     for (mine, _), part in zip(pairs, parts))
            spent = statistics.median(mine.cpu - sum(span[1] for span in part.values())
                                      for (mine, _), part in zip(pairs, parts))
            own.append(f"- {driver}, {'warm' if cached else 'cold'}: {text}; everything else {rest:.2f} s of wall and "
                       f"{spent:.2f} s of processor time (probing, tagging, reading the layout, cleaning up)")
    yield ""
    yield "Of slipway's wall time:"
    yield ""
    yield from own
