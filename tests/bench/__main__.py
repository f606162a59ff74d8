"""python3 -m bench ROUNDS start|overhead|throughput...: prints a markdown table.

Every comparison alternates its two sides within one run and compares medians, because a machine's speed
drifts more between runs than the differences looked for here.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BINARY = "/usr/bin/slipway"
FAKE = Path(__file__).resolve().parents[1] / "fakes" / "buildah"
GIGABYTE = 10**9
LINE = b"the quick brown fox jumps over the lazy dog and nobody ever asks the dog what it thinks\n"


class Row(tuple):
    """subject, measured, compared with, ratio, goal"""


def wall(argv, **more):
    """(seconds, peak resident KiB) of a command that must succeed; its output is drained, not kept."""
    started = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, **more)
    while os.read(process.stdout.fileno(), 1 << 20):
        pass
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{argv} ended with {process.returncode}")
    return time.monotonic() - started, usage.ru_maxrss


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
    mine, other = alternate(rounds * 10, lambda: wall([BINARY, "version"])[0], lambda: wall(["/bin/true"])[0])
    memory = wall([BINARY, "version"])[1]
    size = os.path.getsize(BINARY)
    yield Row(("start-up (`version`)", f"{mine * 1000:.1f} ms", f"`/bin/true` {other * 1000:.1f} ms",
               f"{mine / other:.1f}", "milliseconds"))
    yield Row(("resident memory (`version`)", f"{memory / 1024:.1f} MiB", "", "", ""))
    yield Row(("binary, stripped", f"{size / 1e6:.1f} MB", "", "", ""))


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


def overhead(rounds, work):
    """The same Dockerfile, the same storage, with and without somebody watching: FROM, COPY, RUN, commit, export."""
    import servers

    with servers.Registry(work / "registry") as registry:
        base = f"{registry.address}/base:1"
        storage = ["buildah", "--storage-driver=vfs", f"--root={work}/push", f"--runroot={work}/pushrun"]
        pulled = subprocess.run([*storage, "pull", "-q", "oci-archive:/base/base.tar"], check=True,
                                capture_output=True, text=True).stdout.split()[-1]
        subprocess.run([*storage, "push", "-q", "--tls-verify=false", pulled, f"docker://{base}"], check=True)
        dockerfile = (f"FROM {base}\nCOPY data /data\n" +
                      "".join(f"RUN seq 1 20000 && echo part {n} >/part{n}\n" for n in range(5)))
        source, state = resolved(work, "overhead", dockerfile, [("data", "x" * 1000000)])

        def with_slipway():
            shutil.rmtree(work / "a", ignore_errors=True)
            (work / "a").mkdir()
            return wall([BINARY, "build", f"--state={state}", f"--work={work}/a", "--recipe=A", "--storage=overlay",
                         "--output=frames", "--tls-verify=false"])[0]

        def plain():
            # What slipway asks of buildah, asked by hand: pull, build without layers, export.
            storage = f"--storage-driver=overlay --root={work}/b/root --runroot={work}/b/run"
            script = (f"set -e; rm -rf {work}/b; mkdir {work}/b; "
                      f"b() {{ buildah {storage} \"$@\"; }}; "
                      f"b pull -q --tls-verify=false {base}; "
                      f"b build --isolation=chroot --layers=false --network=host --pull=never --iidfile {work}/b/iid "
                      f"-f {source}/Dockerfile {source}; "
                      f"b push -q $(cat {work}/b/iid) oci:{work}/b/image; b rmi -a -f")
            return wall(["sh", "-c", fscript], stderr=subprocess.DEVNULL)[0]

        mine, other = alternate(rounds, with_slipway, plain)
    yield Row(("build of seven instructions", f"{mine:.2f} s", f"buildah alone {other:.2f} s", f"{mine / other:.3f}",
               "≤ 1.02"))


def throughput(rounds, work):
    """A RUN that prints 1 GB. The scripted buildah prints it, so nothing but the watching is measured."""
    _, state = resolved(work, "throughput", "FROM scratch\nLABEL a=b\n")
    scenario, wrapper, big = work / "scenario.json", work / "buildah", work / "lines"
    count = GIGABYTE // len(LINE)
    block = LINE * (len(LINE) * 128)
    with open(big, "wb") as out:
        for _ in range(GIGABYTE // len(block)):
            out.write(block)
    scenario.write_text(json.dumps({"do": "ok"}))
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *" build "*) cat {big} ;; esac\n'
                       f'exec "{FAKE}" --fake-scenario "{scenario}" "$@"\n')
    wrapper.chmod(0o755)
    peaks = []

    def with_slipway():
        seconds, peak = wall([BINARY, "build", f"--state={state}", f"--work={work}/w", "--recipe=A", "--storage=vfs",
                              f"--buildah={wrapper}", "--output=frames"])
        peaks.append(peak)
        return seconds

    (work / "w").mkdir()
    mine, other = alternate(max(1, rounds // 2), with_slipway,
                            lambda: wall(["sh", "-c", f"cat {big} | cat"])[0])
    yield Row((f"{count / 1e6:.1f} million lines, 1 GB", f"{mine:.2f} s", f"`cat FILE \\| cat` {other:.2f} s",
               f"{mine / other:.2f}", "≤ 1.10"))
    yield Row(("peak memory while at it", f"{max(peaks) / 1024:.0f} MiB", "", "", "flat"))


def main():
    rounds, subjects = int(sys.argv[1]), sys.argv[2:]
    print("| measured | slipway | compared with | ratio | goal |")
    print("|---|---:|---:|---:|---|")
    for subject in subjects:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR"), ignore_cleanup_errors=True) as work:
            for row in {"start": start, "overhead": overhead, "throughput": throughput}[subject](rounds, Path(work)):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
