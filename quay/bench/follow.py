"""How much one follower takes: N builds at once, each with so many lines a second, over real HTTP and real gRPC.

    python3 bench/follow.py [--builds 200] [--rate 100] [--seconds 60] [--burst 5] [--answer-ms 3] [--table]

Three processes: an API server that plays logs (asyncio), a build manager with Quay's ten threads and a pause in every answer
for the database and redis behind it, and the follower, which alone is measured. Every line carries its build, its number and
the time it was written, so the manager can say what was lost, doubled, out of order, and how long a line was on its way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

FILL = "x" * 60


def frame(step: str, seq: int, kind: str, body: dict[str, Any]) -> bytes:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return (
        json.dumps({"slipway": 1, "seq": seq, "t": now, "step": step, "kind": kind, kind: body}, separators=(",", ":")).encode()
        + b"\n"
    )


class Api:
    """Just enough of a Kubernetes API for the follower: TaskRuns, one lease, logs."""

    def __init__(self, options: argparse.Namespace, running: Any) -> None:
        from slipway_quay.job import BuildJob

        self.options, self.running = options, running
        self.version = 1
        self.lease: dict[str, Any] | None = None
        self.changed = asyncio.Condition()
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.begin: float | None = None
        self.taskruns = {}
        for number in range(options.builds):
            job = BuildJob(
                f"build-{number}", f"run-{number}", f"uid-{number}", f"building/build-{number}", time.time(), "acme/app"
            )
            steps = [{"name": step, "container": f"step-{step}", "running": {}} for step in ("fetch", "resolve", "build", "push")]
            metadata = {
                "name": job.taskrun,
                "uid": job.uid,
                "labels": job.labels("tekton"),
                "annotations": job.annotations(),
                "resourceVersion": "1",
            }
            self.taskruns[job.taskrun] = {
                "metadata": metadata,
                "spec": {},
                "status": {"podName": f"pod-{number}", "steps": steps},
            }

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split(" ", 2)
                length = 0
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    if name.lower() == "content-length":
                        length = int(value)
                body = json.loads(await reader.readexactly(length)) if length else None
                await self.answer(method, urlsplit(target), body, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, target: Any, body: Any, writer: asyncio.StreamWriter) -> None:
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        parts = target.path.split("/")
        if parts[-1] == "log":
            await self.log(parts[-2], query["container"], query.get("sinceTime"), writer)
        elif parts[-1] == "taskruns" and "watch" in query:
            await self.watch(int(query["resourceVersion"]), float(query["timeoutSeconds"]), writer)
        elif parts[-1] == "taskruns":
            self.send(
                writer,
                200,
                {
                    "kind": "TaskRunList",
                    "metadata": {"resourceVersion": str(self.version)},
                    "items": list(self.taskruns.values()),
                },
            )
        elif parts[-2] == "taskruns":
            taskrun = self.taskruns[parts[-1]]
            if method == "PATCH":
                taskrun["metadata"]["annotations"].update(body.get("metadata", {}).get("annotations", {}))
                await self.happened(taskrun)
            self.send(writer, 200, taskrun)
        elif "leases" in parts:
            self.send(writer, *self.of_lease(method, body))
        else:
            self.send(writer, 404, {"kind": "Status", "reason": "NotFound", "message": "not here"})

    def of_lease(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return (200, self.lease) if self.lease else (404, {"kind": "Status", "reason": "NotFound", "message": "no lease"})
        self.version += 1
        self.lease = {"kind": "Lease", "metadata": {"name": "x", "resourceVersion": str(self.version)}, "spec": body["spec"]}
        return 200, self.lease

    async def happened(self, taskrun: dict[str, Any]) -> None:
        self.version += 1
        taskrun["metadata"]["resourceVersion"] = str(self.version)
        self.events.append((self.version, json.loads(json.dumps(taskrun))))
        async with self.changed:
            self.changed.notify_all()

    def send(self, writer: asyncio.StreamWriter, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        writer.write(
            b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data)) + data
        )

    def head(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def watch(self, version: int, timeout: float, writer: asyncio.StreamWriter) -> None:
        self.head(writer)
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            for at, taskrun in self.events[:]:
                if at > version:
                    self.chunk(writer, json.dumps({"type": "MODIFIED", "object": taskrun}).encode() + b"\n")
                    version = at
            await writer.drain()
            async with self.changed:
                try:
                    await asyncio.wait_for(self.changed.wait(), min(left, 1.0))
                except TimeoutError:
                    continue
        self.chunk(writer, b"")

    async def log(self, pod: str, container: str, since: str | None, writer: asyncio.StreamWriter) -> None:
        """Played live, once: a stream that is opened again would begin anew, and the manager would say so."""
        number, step = int(pod.removeprefix("pod-")), container.removeprefix("step-")
        options = self.options
        self.head(writer)
        hello = {
            "protocol": 1,
            "version": "bench",
            "build_id": f"uid-{number}",
            "attempt": 1,
            "does": step,
            "limits": {"heartbeat_ms": 10000},
        }
        seq = 2
        self.chunk(writer, frame(step, 1, "hello", hello))
        if step == "build":
            self.chunk(
                writer,
                frame(step, 2, "phase", {"name": "building"})
                + frame(step, 3, "command", {"n": 1, "of": 1, "text": "RUN x", "state": "started"}),
            )
            seq, line = 4, 0
            if self.begin is None:
                self.begin = time.monotonic() + 2
                self.running.set()
            pause = options.burst / options.rate
            due = self.begin + pause * (number / options.builds)
            while line < options.rate * options.seconds:
                await asyncio.sleep(max(due - time.monotonic(), 0))
                due += pause
                said = b""
                for _ in range(options.burst):
                    text = f"{number} {line} {time.time():.3f} {FILL}"
                    said += frame(step, seq, "log", {"stream": "out", "n": 1, "text": text})
                    seq, line = seq + 1, line + 1
                self.chunk(writer, said)
                await writer.drain()
        self.chunk(writer, frame(step, seq, "end", {"status": "succeeded", "exit": 0, "totals": {}}))
        self.chunk(writer, b"")
        taskrun = self.taskruns[f"run-{number}"]
        for one in taskrun["status"]["steps"]:
            if one["name"] == step:
                one.pop("running", None)
                one["terminated"] = {"exitCode": 0, "reason": "Completed"}
        if step == "push":
            taskrun["status"]["conditions"] = [{"type": "Succeeded", "status": "True", "reason": "Succeeded", "message": ""}]
        await self.happened(taskrun)


def api_process(options: argparse.Namespace, port: Any, running: Any) -> None:
    async def main() -> None:
        api = Api(options, running)
        server = await asyncio.start_server(api.serve, "127.0.0.1", 0, backlog=1024)
        port.value = server.sockets[0].getsockname()[1]
        await asyncio.sleep(options.seconds + 120)

    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    asyncio.run(main())


def manager_process(options: argparse.Namespace, port: Any, found: Any) -> None:
    from follow_manager import Manager

    manager = Manager()
    for number in range(options.builds):
        manager.schedule(f"build-{number}")
    manager.before_answer = lambda method: time.sleep(options.answer_ms / 1000)
    following = dict.fromkeys(range(options.builds), 0)
    lost = doubled = 0
    delays: list[float] = []
    entries = 0
    inner = manager._entry

    def entry(build_id: str, message: str, kind: str | None, data: dict[str, Any]) -> None:
        nonlocal lost, doubled, entries
        if kind is not None:
            inner(build_id, message, kind, data)
            return
        entries += 1
        now = time.time()
        for line in message.split("\n"):
            number, at, written, _ = line.split(" ")
            if f"build-{number}" != build_id:
                lost += 1
            expected = following[int(number)]
            lost += max(int(at) - expected, 0)
            doubled += int(at) < expected
            following[int(number)] = int(at) + 1
            delays.append(now - float(written))

    manager._entry = entry  # type: ignore[method-assign]
    manager.serve()
    port.value = int(manager.address.rpartition(":")[2])
    until = time.monotonic() + options.seconds + 100
    while time.monotonic() < until and any(phase != "complete" for phase in manager.phases.values()):
        time.sleep(0.2)
    delays.sort()
    expected = options.builds * options.rate * options.seconds
    found.put({
        "complete": sum(phase == "complete" for phase in manager.phases.values()),
        "lines": len(delays),
        "lost": lost + expected - sum(following.values()),
        "doubled or out of order": doubled,
        "messages": entries,
        "streams": manager.most_streams,
        "median delay": delays[len(delays) // 2] if delays else 0,
        "99 % delay": delays[len(delays) * 99 // 100] if delays else 0,
        "refused": len(manager.refused),
    })  # fmt: skip


class NoQuay:
    """The port of what only Quay's process can do, with nothing behind it."""

    def __getattr__(self, name: str) -> Any:
        return {
            "phase": lambda build: "build-scheduled",
            "retries_remaining": lambda job: 2,
            "job_token": lambda build, job, seconds: f"job-token {job}",
            "log_entries": lambda build, start: (0, []),
        }.get(name, lambda *_, **__: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("builds", 200), ("rate", 100), ("seconds", 60), ("burst", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--answer-ms", type=float, default=3.0)
    parser.add_argument("--table", action="store_true", help="a row of the table in docs/quay-follower.md")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    api_port, manager_port, found, running = context.Value("i", 0), context.Value("i", 0), context.Queue(), context.Event()
    others = [
        context.Process(target=api_process, args=(options, api_port, running), daemon=True),
        context.Process(target=manager_process, args=(options, manager_port, found), daemon=True),
    ]
    for process in others:
        process.start()
    while not (api_port.value and manager_port.value):
        time.sleep(0.05)

    from slipway_quay.cluster.rest import RestCluster
    from slipway_quay.config import Api as ApiSettings
    from slipway_quay.config import FollowSettings
    from slipway_quay.follower import Follower
    from slipway_quay.publisher import Connections

    quay: Any = NoQuay()
    connect = Connections(f"127.0.0.1:{manager_port.value}", lambda job: quay.job_token("", job.job_id, 0))
    cluster = RestCluster(ApiSettings(server=f"http://127.0.0.1:{api_port.value}"))
    follower = Follower(cluster, connect, FollowSettings(), quay=quay, executor="tekton")
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    running.wait(60)
    cpu, began, threads = time.process_time(), time.monotonic(), 0
    while time.monotonic() - began < options.seconds:
        time.sleep(0.5)
        threads = max(threads, threading.active_count())
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    result = found.get(timeout=options.seconds + 120)
    stop.set()
    thread.join(30)
    for process in others:
        process.terminate()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.table:
        cells: list[object] = [options.builds, options.rate, options.burst, f"{share:.2f}", f"{memory:.0f}", threads]
        cells += [f"{result['messages'] / options.seconds:.0f}", f"{result['median delay']:.1f} s / {result['99 % delay']:.1f} s"]
        cells += [f"{result['lost']} / {result['doubled or out of order']}"]
        print("|", " | ".join(map(str, cells)), "|")
    else:
        print(
            json.dumps(
                {"cores": round(share, 3), "MiB": round(memory), "threads": threads, "pid": os.getpid(), **result}, indent=1
            )
        )
    good = result["complete"] == options.builds and not result["lost"] and not result["doubled or out of order"]
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
