"""Between a client and a server: a relay that cuts the line, and a proxy that leads to names which do not exist.

    with CutLine(port, after=1000, how="hang") as line: …     # line.port leads to 127.0.0.1:port
    with ConnectProxy({"git.example": ("127.0.0.1", port)}) as proxy: …

Connections end with the relay, and after LONGEST seconds in any case.
"""

import base64
import select
import socket
import struct
import threading
import time

LONGEST = 60


class Listener:
    """Accepts on a loopback port of its own and gives each connection a thread."""

    def __enter__(self):
        self._stopped, self._lock = threading.Event(), threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=16)
        self._socket.settimeout(0.2)
        self.port = self._socket.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._socket.close()

    def _accept(self):
        while not self._stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            connection.settimeout(LONGEST)
            threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection):
        # A client that goes away in the middle is what these servers are about.
        with connection:
            try:
                self._serve(connection)
            except OSError:
                pass

    def _carry(self, client, server, most=None):
        """Moves bytes both ways until one side ends, or `most` bytes have come from the server (then True)."""
        ended = time.monotonic() + LONGEST
        while not self._stopped.is_set() and time.monotonic() < ended:
            for ready in select.select([client, server], [], [], 0.2)[0]:
                data = ready.recv(65536 if ready is client or most is None else min(65536, most))
                if not data:
                    return False
                (server if ready is client else client).sendall(data)
                if ready is server and most is not None:
                    most -= len(data)
                    if most <= 0:
                        return True
        return False


class CutLine(Listener):
    """After so many bytes from the server: reset, close or hang; for `times` connections (None: all)."""

    def __init__(self, port, after, how, times=None):
        self.target, self.after, self.how, self.left = port, after, how, times
        self.hits = 0

    def _serve(self, connection):
        with self._lock:
            ill = self.left != 0
            self.left = self.left - 1 if self.left else self.left
        with socket.create_connection(("127.0.0.1", self.target), timeout=LONGEST) as server:
            if ill and self.after and not self._carry(connection, server, self.after):
                return
            if not ill:
                self._carry(connection, server)
                return
            self.hits += 1
            time.sleep(0.02)  # a reset would take with it what the client has not read yet
            if self.how == "hang":
                self._stopped.wait(LONGEST)
            elif self.how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class ConnectProxy(Listener):
    """An HTTP proxy: CONNECT, and absolute-form requests for one connection each.

    names      {"git.example": ("127.0.0.1", 8443)}: where it leads, also by "git.example:443"; anything else is answered with 502
    users      {"name": "password"}: Basic authentication is required, or 407
    refuse     a status every request is answered with; "hang" and "reset" are possible too

    `requests` holds the first line of everything asked, `sent` all that clients sent before a tunnel was open.
    """

    def __init__(self, names=None, users=None, refuse=None):
        self.names, self.users, self.refuse = dict(names or {}), dict(users or {}), refuse
        self.requests, self.sent = [], b""

    def _serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        self.sent += head
        first, *fields = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        self.requests.append(first)
        method, target, _ = first.split()
        headers = {name.strip().lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if self.refuse == "hang":
            self._stopped.wait(LONGEST)
        if self.refuse in ("hang", "reset"):
            return
        if self.users and not self._admits(headers.get("proxy-authorization", "")):
            self._answer(connection, "407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="proxy"\r\n')
            return
        if self.refuse:
            self._answer(connection, f"{self.refuse} Refused")
            return
        host = target if method == "CONNECT" else target.split("/")[2]
        name, _, port = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "80")
        leads = self.names.get(host) or self.names.get(name.strip("[]"))
        if not leads:
            self._answer(connection, "502 Bad Gateway")
            return
        with socket.create_connection(leads, timeout=LONGEST) as server:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = "/" + target.split("/", 3)[3]
                server.sendall(head.replace(target.encode(), path.encode(), 1))
            self._carry(connection, server)

    def _admits(self, value):
        scheme, _, token = value.partition(" ")
        name, _, password = base64.b64decode(token or "").decode().partition(":")
        return scheme.lower() == "basic" and self.users.get(name) == password

    @staticmethod
    def _answer(connection, status, fields=""):
        connection.sendall(f"HTTP/1.1 {status}\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
