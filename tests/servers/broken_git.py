"""git's smart HTTP protocol as ill servers speak it: real answers of `git http-backend`, spoilt at a chosen place.

    with BrokenGit(root, Fault("pack", cut(middle_of_body))) as server: …

A Fault is a stage and what happens there. Stages, in the order of a fetch:

    accept     the connection has been accepted, nothing read
    handshake  (with tls) the client's first flight has been read, nothing answered
    refs       GET …/info/refs is to be answered
    wants      POST …/git-upload-pack is to be answered, but not yet with a pack (what a shallow fetch begins with)
    pack       POST …/git-upload-pack is to be answered with the pack

What happens is a function of (wire, answer): the connection, and git's real answer for it to spoil (None before a
request). Those below make them. `times` says for how many connections or requests of that stage the fault lasts
(None: for ever); `hits` counts them, `requests` holds (method, path) of everything asked.

Everything ends when the client goes, when the server stops, or after LONGEST seconds.
"""

import dataclasses
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

from . import git_http, packs
from .wire import LONGEST, Listener

ENDLESS_BYTES = 256 << 20


@dataclasses.dataclass
class Answer:
    status: str
    headers: list
    body: bytes

    def head(self):
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def raw(self):
        return self.head() + self.body

    def with_body(self, body):
        headers = [(name, value) for name, value in self.headers if name != "Content-Length"]
        return Answer(self.status, [*headers, ("Content-Length", len(body))], body)

    def chunked(self):
        headers = [(name, value) for name, value in self.headers if name != "Content-Length"]
        return Answer(self.status, [*headers, ("Transfer-Encoding", "chunked")], self.body)


@dataclasses.dataclass
class Fault:
    stage: str
    act: object
    times: int | None = None


class Wire:
    """One connection, seen from the server."""

    def __init__(self, connection, stopped, reader=None):
        self.connection, self.stopped, self.reader = connection, stopped, reader
        self.ended = time.monotonic() + LONGEST

    def send(self, data):
        self.connection.sendall(data)

    def hang(self):
        """Says nothing more, until the client has gone."""
        self.connection.settimeout(0.2)
        while not self.stopped.is_set() and time.monotonic() < self.ended:
            try:
                if not self.connection.recv(65536):
                    return
            except TimeoutError:
                pass

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        if self.reader:
            self.reader.close()  # else the socket would stay open as long as it
        self.connection.close()


# What may happen. Each makes a function of (wire, answer).


def silence():
    return lambda wire, answer: wire.hang()


def cut(where, how="reset"):
    """git's answer up to where(answer) bytes of it, then `how`: reset, close or hang."""
    def act(wire, answer):
        wire.send(answer.raw()[:where(answer)] if where else b"")
        time.sleep(0.02)  # a reset would take with it what the client has not read yet
        getattr(wire, how)()
    return act


def in_status_line(_):
    return 7


def in_headers(answer):
    return len(answer.head()) - 9


def before_body(answer):
    return len(answer.head())


def middle_of_body(answer):
    return len(answer.head()) + len(answer.body) // 2


def before_pack(answer):
    return answer.raw().index(b"PACK") - 5


def in_pack_header(answer):
    return answer.raw().index(b"PACK") + 6


def before_checksum(answer):
    return answer.raw().rindex(packs.FLUSH) - 20


def before_flush(answer):
    return len(answer.raw()) - 4


def spoilt(change):
    """The whole answer, well framed, with change(body) for a body."""
    return lambda wire, answer: wire.send(answer.with_body(change(answer.body)).raw())


def pack_spoilt(change):
    """As above, with change(pack) for the pack."""
    def body(data):
        before, pack = packs.split(data)
        return packs.join(before, change(pack))
    return spoilt(body)


def objects_spoilt(change):
    """As above, with a good pack of change([(type, content)])."""
    return pack_spoilt(lambda pack: packs.build(change(packs.objects(pack))))


def raw(change, then_close=True):
    """change(answer), which is bytes."""
    def act(wire, answer):
        wire.send(change(answer))
        if then_close:
            wire.close()
    return act


def says(status, headers=(), body=b""):
    """Another answer altogether. A request's body may be left unread, so the connection ends."""
    def act(wire, _):
        wire.send(Answer(status, [*headers, ("Content-Length", len(body)), ("Connection", "close")], body).raw())
        wire.close()
    return act


def endless(start, piece):
    """start(answer), then `piece` for ever."""
    def act(wire, answer):
        wire.send(start(answer))
        sent = 0
        while sent < ENDLESS_BYTES and not wire.stopped.is_set() and time.monotonic() < wire.ended:
            wire.send(piece)
            sent += len(piece)
    return act


def drip(where, pause):
    """git's answer, from where(answer) on one byte at a time."""
    def act(wire, answer):
        data, start = answer.raw(), where(answer)
        wire.send(data[:start])
        for byte in data[start:]:
            if wire.stopped.wait(pause) or time.monotonic() > wire.ended:
                return
            wire.send(bytes([byte]))
    return act


class BrokenGit(Listener):
    def __init__(self, root: Path, fault: Fault, tls=None):
        self.root, self.fault = Path(root), fault
        self.left = fault.times
        self.hits, self.requests = 0, []
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, tls))

    def __enter__(self):
        super().__enter__()
        self.url = f"{'https' if self.context else 'http'}://{self.address}"
        return self

    def _struck(self, stage):
        """What is to happen at this stage, if anything."""
        with self._lock:
            if self.fault.stage != stage or self.left == 0:
                return None
            self.left = None if self.left is None else self.left - 1
            self.hits += 1
            return self.fault.act

    def _serve(self, connection):
        if act := self._struck("accept"):
            return act(Wire(connection, self._stopped), Answer("", [], b""))
        if self.context:
            if act := self._struck("handshake"):
                connection.recv(65536)
                return act(Wire(connection, self._stopped), Answer("", [], b""))
            connection = self.context.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as reader:
            while request := self._read(reader):
                method, target, headers, body = request
                self.requests.append((method, target))
                answer = self._backend(method, target, headers, body)
                stage = "refs" if method == "GET" else "pack" if b"PACK" in answer.body else "wants"
                act = self._struck(stage) or (lambda wire, answer: wire.send(answer.raw()))
                act(Wire(connection, self._stopped, reader), answer)
                if connection.fileno() < 0:
                    return None
        return None

    @staticmethod
    def _read(reader):
        """(method, target, headers, body) of the next request, or None."""
        first = reader.readline(8192).decode("latin-1").split()
        if len(first) != 3:
            return None
        headers = {}
        while text := reader.readline(8192).decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        return first[0], first[1], headers, b"".join(git_http.request_body(reader, headers))

    def _backend(self, method, target, headers, body):
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, timeout=LONGEST,
                              env=git_http.backend_environment(self.root, method, target, {
                                  **headers, "content-length": str(len(body))}))
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        status, fields = "200 OK", []
        for text in head.decode("latin-1").splitlines():
            name, _, value = text.partition(":")
            if name.lower() == "status":
                status = value.strip()
            else:
                fields.append((name, value.strip()))
        return Answer(status, fields, b"").with_body(body)
