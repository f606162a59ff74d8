"""How long `slipway resolve` takes, and how much memory, for files that grow: both are to grow with them.

Every file builds on scratch, so nothing is asked of a registry.
"""

import os
import statistics
import subprocess
import time

from bench.memory import Memory

BINARY = "/usr/bin/slipway"
TYPICAL = """# syntax=docker/dockerfile:1
ARG VERSION=1.2
FROM scratch AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache go mod download
COPY . .
RUN go build -ldflags "-X main.version=${VERSION}" -o /out/app ./cmd/app
FROM scratch
ARG VERSION
ENV APP_VERSION=${VERSION} PATH=/usr/local/bin:$PATH
COPY --from=build --chmod=0755 /out/app /usr/local/bin/app
LABEL org.opencontainers.image.title="An app" org.opencontainers.image.version=${VERSION}
USER 1000
EXPOSE 8080
ENTRYPOINT ["app"]
"""


def files():
    """(subject, size, content); the sizes of one subject ascend."""
    for size in (1, 2, 4, 8, 10):
        line = "RUN --mount=type=cache,target=/c step --with arguments \\\n    and more $of them\n"
        # At most 100,000 instructions are taken, so these are long ones.
        yield "RUN lines", f"{size} MiB", "FROM scratch\n" + (line * 3 + "RUN x" * 100 + "\n") * (size * 1400)
    for size in (1, 2, 4, 8, 10):
        yield "one here-document", f"{size} MiB", "FROM scratch\nCOPY <<EOF /f\n" + "text $and 'text'\n" * (
            size * 61_000) + "EOF\n"
    for count in (1000, 2000, 5000, 10_000):
        yield "chain of FROM, an ENV each", f"{count} stages", "FROM scratch AS s0\n" + "".join(
            f"FROM s{i - 1} AS s{i}\nENV v{i}=$v{i // 2}x\n" for i in range(1, count))
        yield "side by side, COPY --from each", f"{count} stages", "".join(
            f"FROM scratch AS s{i}\nCOPY --from={max(i - 1, 0)} /a /b\n" if i else "FROM scratch AS s0\n"
            for i in range(count))
    for count in (10_000, 20_000, 50_000):
        yield "ENV, one instruction each", f"{count} variables", "FROM scratch\n" + "".join(
            f"ENV v{i}=$v{i // 2}y\n" for i in range(count))
        yield "ONBUILD in one stage, used by the next", f"{count} triggers", "FROM scratch AS a\n" + (
            "ONBUILD LABEL a=b\n" * count) + "FROM a\n"


def measure(work, content, rounds):
    """(median seconds, peak MiB)"""
    source, state = work / "source", work / "state"
    source.mkdir(exist_ok=True)
    state.mkdir(exist_ok=True)
    (source / "Dockerfile").write_text(content)
    for name in ("go.mod", "go.sum"):  # what TYPICAL copies
        (source / name).touch()
    times, peak = [], 0
    for _ in range(rounds):
        started = time.monotonic()
        process = subprocess.Popen([BINARY, "resolve", f"--state={state}", f"--source={source}", "--output=frames"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        memory = Memory(process.pid)
        said = b""
        while piece := os.read(process.stdout.fileno(), 1 << 20):
            said = (said + piece)[-2000:]
        process.wait()
        times.append(time.monotonic() - started)
        memory.stop()
        if process.returncode != 0:
            raise SystemExit(said.decode(errors="replace"))
        peak = max(peak, memory.largest)
    return statistics.median(times), peak


def resolve(rounds, work):
    """Rows of the table: subject, measured, compared with, ratio, goal."""
    started = []
    for _ in range(rounds * 4):
        begin = time.monotonic()
        subprocess.run([BINARY, "version"], check=True, stdout=subprocess.DEVNULL)
        started.append(time.monotonic() - begin)
    typical, peak = measure(work, TYPICAL, rounds * 4)
    start = statistics.median(started)
    yield ("`resolve`, a typical Dockerfile", f"{typical * 1000:.1f} ms, {peak:.0f} MiB",
           f"`version` {start * 1000:.1f} ms", f"{(typical - start) * 1000:.1f} ms more", "")
    smallest = {}
    for subject, size, content in files():
        seconds, peak = measure(work, content, max(1, rounds // 2))
        per_byte = seconds / len(content)
        first = smallest.setdefault(subject, per_byte)
        yield (f"`resolve`, {subject}, {size}", f"{seconds * 1000:.0f} ms, {peak:.0f} MiB",
               f"{len(content) / 1e6:.1f} MB", f"{per_byte / first:.1f} × the smallest, per byte", "linear")
