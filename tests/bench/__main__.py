"""python3 -m bench ROUNDS start|doctor|throughput|resolve...|build: prints a markdown table.

Every comparison alternates its two sides within one run and compares medians, because a machine's speed
drifts more between runs than the differences looked for here.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import servers

from bench.build import build
from bench.memory import Memory
from bench.resolve import resolve

BINARY = "/usr/bin/slipway"
GIGABYTE = 10**9
CANNOT_BUILD = 14  # doctor's exit status where the pod allows no build: it has tried as much
LINE = "the quick brown fox jumps over the lazy dog and nobody ever asks the dog what it thinks"


class Row(tuple):
    """subject, measured, compared with, ratio, goal"""


def wall(argv, statuses=(0,), peaks=None, **more):
    """Seconds a command takes that must end with one of `statuses`; its output is drained, not kept. Into `peaks` goes its own
    memory at most, in MiB."""
    started = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **more)
    memory = Memory(process.pid) if peaks is not None else None
    while os.read(process.stdout.fileno(), 1 << 20):
        pass
    process.wait()
    took = time.monotonic() - started
    if memory is not None:
        memory.stop()
        peaks.append(memory.first)
    if process.returncode not in statuses:
        raise SystemExit(f"{argv} ended with {process.returncode}")
    return took


def alternate(rounds, one, other):
    """Medians of two measured functions, taken in turn; the first turn of each only warms up."""
    times = ([], [])
    for round_number in range(rounds + 1):
        for side, measure in enumerate((one, other)):
            value = measure()
            if round_number:
                times[side].append(value)
    return statistics.median(times[0]), statistics.median(times[1])


def start(rounds, work):
    mine, other = alternate(rounds * 10, lambda: wall([BINARY, "version"]), lambda: wall(["/bin/true"]))
    size = os.path.getsize(BINARY)
    yield Row(("start-up (`version`)", f"{mine * 1000:.1f} ms", f"`/bin/true` {other * 1000:.1f} ms",
               f"{mine / other:.1f}", "milliseconds"))
    yield Row(("binary, stripped", f"{size / 1e6:.1f} MB", "", "", ""))


def doctor(rounds, work):
    """What a build begins with: every trial of the pod, under the identities of recipes A, B and C."""
    some = "--bounding-set=-all,+setuid,+setgid,+sys_chroot"
    users = {"root with few capabilities (A)": [f"{some},+setfcap,+chown,+dac_override,+fowner"],
             "user 1000 with some to gain (B)": [some, "--reuid=1000", "--regid=1000", "--clear-groups"],
             "any user with none (C)": ["--bounding-set=-all", "--reuid=12345", "--regid=0", "--clear-groups",
                                        "--no-new-privs"]}
    for who, options in users.items():
        # Each has its own: a user could not enter another's.
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            os.chmod(work, 0o755)
            os.chmod(scratch, 0o777)
            asked = ["setpriv", "--inh-caps=-all", *options]
            mine, other = alternate(rounds * 4, lambda: wall([*asked, BINARY, "doctor", f"--work={scratch}"],
                                                             statuses=(0, CANNOT_BUILD)),
                                    lambda: wall([*asked, "/bin/true"]))
        yield Row((f"`doctor`, {who}", f"{mine * 1000:.0f} ms", f"`/bin/true` {other * 1000:.1f} ms", "", "< 200 ms"))


def resolved(work, name, dockerfile, files=()):
    """A hand-off directory in which `build` can start."""
    source, state = work / f"{name}-source", work / f"{name}-state"
    source.mkdir()
    state.mkdir()
    (source / "Dockerfile").write_text(dockerfile)
    for path, content in files:
        (source / path).write_text(content)
    subprocess.run([BINARY, "resolve", f"--state={state}", f"--source={source}", "--output=frames",
                    "--tls-verify=false"], check=True, stdout=subprocess.DEVNULL)
    return source, state


@contextlib.contextmanager
def build_pair(work, name, dockerfile, files=()):
    """Two functions that build the same Dockerfile on the same storage: slipway, and what it asks of buildah by hand."""
    with servers.Registry(work / f"{name}-registry") as registry:
        base = f"{registry.address}/base:1"
        storage = ["buildah", "--storage-driver=vfs", f"--root={work}/push", f"--runroot={work}/pushrun"]
        pulled = subprocess.run([*storage, "pull", "-q", "oci-archive:/base/base.tar"], check=True,
                                capture_output=True, text=True).stdout.split()[-1]
        subprocess.run([*storage, "push", "-q", "--tls-verify=false", pulled, f"docker://{base}"], check=True)
        source, state = resolved(work, name, f"FROM {base}\n{dockerfile}", files)
        mine, other = work / f"{name}-a", work / f"{name}-b"

        def with_slipway(peaks=None):
            shutil.rmtree(mine, ignore_errors=True)
            mine.mkdir()
            return wall([BINARY, "build", f"--state={state}", f"--work={mine}", "--recipe=A", "--storage=overlay",
                         "--output=frames", "--tls-verify=false"], peaks=peaks)

        def plain():
            storage = f"--storage-driver=overlay --root={other}/root --runroot={other}/run"
            script = (f"set -e; rm -rf {other}; mkdir {other}; "
                      f"b() {{ buildah {storage} \"$@\"; }}; "
                      f"b pull -q --tls-verify=false {base}; "
                      f"b build --isolation=chroot --layers=false --network=host --pull=never --iidfile {other}/iid "
                      f"-f {source}/Dockerfile {source} | cat; "
                      f"b push -q $(cat {other}/iid) oci:{other}/image; b rmi -a -f")
            return wall(["sh", "-c", script], stderr=subprocess.DEVNULL)

        yield with_slipway, plain


def throughput(rounds, work):
    """A RUN that prints 1 GB, against `buildah build | cat`."""
    with build_pair(work, "throughput", f"RUN yes '{LINE}' | head -c {GIGABYTE}\n") as (with_slipway, plain):
        peaks = []
        mine, other = alternate(max(1, rounds // 2), lambda: with_slipway(peaks), plain)
    yield Row((f"a RUN printing 1 GB, {GIGABYTE / (len(LINE) + 1) / 1e6:.1f} million lines", f"{mine:.2f} s",
               f"`buildah build \\| cat` {other:.2f} s", f"{mine / other:.3f}", "≤ 1.10"))
    yield Row(("slipway's memory while at it", f"{max(peaks):.0f} MiB", "", "", "flat"))


def main():
    rounds, subjects = int(sys.argv[1]), sys.argv[2:]
    if subjects == ["build"]:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"), ignore_cleanup_errors=True) as work:
            for line in build(rounds, work):
                print(line, flush=True)
        return
    print("| measured | slipway | compared with | ratio | goal |")
    print("|---|---:|---:|---:|---|")
    for subject in subjects:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"), ignore_cleanup_errors=True) as work:
            for row in {"start": start, "doctor": doctor, "throughput": throughput,
                        "resolve": resolve}[subject](rounds, Path(work)):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
