"""git's smart HTTP protocol: a small gateway in front of `git http-backend`, with authentication and TLS.

The gateway speaks CGI (RFC 3875) to git and HTTP/1.1 to the client, streams both ways, and understands
chunked request bodies, which git and libgit2 send. What a test may ask of it besides serving:

    users      {"name": "password"}: Basic authentication is required
    tokens     {"token"}: accepted as Basic password with any user name, or as Bearer
    faults     a list consumed one per request: an HTTP status to answer with, or "reset" to drop the connection
    redirects  {"/from.git": "http://elsewhere/to.git"}: answered with 301 for every path beneath
"""

import base64
import hmac
import os
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHUNK = 64 * 1024
BACKEND_SECONDS = 120


def backend_environment(root, method, target, headers):
    """What `git http-backend` is told of a request (RFC 3875). `headers`: names in lower case."""
    url = urlsplit(target)
    environment = {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": method,
        "PATH_INFO": unquote(url.path), "QUERY_STRING": url.query, "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("content-type", ""),
    }
    for header, variable in (("content-encoding", "HTTP_CONTENT_ENCODING"), ("git-protocol", "HTTP_GIT_PROTOCOL"),
                             ("accept", "HTTP_ACCEPT"), ("content-length", "CONTENT_LENGTH")):
        if headers.get(header):
            environment[variable] = headers[header]
    return environment


def request_body(reader, headers):
    """Pieces of a request's body, chunked or of a known length. `headers`: names in lower case."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int(reader.readline(64).split(b";")[0] or b"0", 16):
            yield reader.read(size)
            reader.readline(8)
        reader.readline(8)
        return
    left = int(headers.get("content-length") or 0)
    while left > 0 and (piece := reader.read(min(left, CHUNK))):
        left -= len(piece)
        yield piece


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def do_HEAD(self):
        self._serve()

    def _serve(self):
        git = self.server.owner
        # Credentials never reach the log a test may print.
        git.requests.append((self.command, self.path))
        git.credentials.append(bool(self.headers.get("Authorization")))
        fault = git.next_fault()
        if fault == "reset":
            self.close_connection = True
            self.connection.close()
            return
        if fault is not None:
            self._answer(int(fault), {"Retry-After": "0"})
            return
        path = urlsplit(self.path).path
        for start, target in git.redirects.items():
            if path == start or path.startswith(start + "/"):
                self._answer(301, {"Location": target + self.path[len(start):]})
                return
        if not git.admits(self.headers.get("Authorization")):
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        if ".." in unquote(path).split("/"):
            self._answer(400, {})
            return
        self._backend(git)

    def _answer(self, status, headers):
        # Whatever body the client sends is not read, so the connection cannot be used again.
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _backend(self, git):
        headers = {name.lower(): value for name, value in self.headers.items()}
        backend = subprocess.Popen(["git", "http-backend"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL,
                                   env=backend_environment(git.root, self.command, self.path, headers))
        limit = threading.Timer(BACKEND_SECONDS, backend.kill)
        limit.start()
        # git answers while it still reads, so the request body needs a thread of its own.
        feeder = threading.Thread(target=self._feed, args=(backend.stdin,), daemon=True)
        feeder.start()
        try:
            self._relay(backend.stdout)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            backend.kill()
            backend.wait()
            limit.cancel()
            backend.stdout.close()
            feeder.join(5)

    def _feed(self, into):
        try:
            for piece in request_body(self.rfile, {name.lower(): value for name, value in self.headers.items()}):
                into.write(piece)
        except OSError:
            pass
        finally:
            try:
                into.close()
            except OSError:
                pass

    def _relay(self, output):
        status, headers = 200, []
        while line := output.readline(8192).rstrip(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := output.read1(CHUNK):
            if self.command != "HEAD":
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # A client that goes away in the middle is what some tests do on purpose.
        pass

    def get_request(self):
        # The handshake happens in the connection's thread, so a client that stalls in it stalls nobody else.
        connection, address = super().get_request()
        if self.owner.context:
            connection = self.owner.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address


class GitHttp:
    """Serves every repository under `root` (read only) at `url`/<path of the repository>."""

    handler = _Handler

    def __init__(self, root: Path, users=None, tokens=None, tls=None, faults=(), redirects=None,
                 address="127.0.0.1"):
        self.root = Path(root)
        self.users, self.tokens = dict(users or {}), set(tokens or ())
        self.faults, self.redirects = list(faults), dict(redirects or {})
        self.requests, self.credentials = [], []  # the latter: whether the request had any
        self.listen = address
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, tls))
        self._lock = threading.Lock()
        self._server = None

    def next_fault(self):
        with self._lock:
            return self.faults.pop(0) if self.faults else None

    def admits(self, header):
        if not self.users and not self.tokens:
            return True
        scheme, _, value = (header or "").partition(" ")
        if scheme.lower() == "bearer":
            return any(hmac.compare_digest(value.strip(), token) for token in self.tokens)
        if scheme.lower() != "basic":
            return False
        try:
            name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return False
        return password in self.tokens or (name in self.users and hmac.compare_digest(self.users[name], password))

    def __enter__(self):
        kind = type("_Server6", (_Server,), {"address_family": socket.AF_INET6}) if ":" in self.listen else _Server
        self._server = kind((self.listen, 0), self.handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.address = f"[{self.listen}]:{self.port}" if ":" in self.listen else f"{self.listen}:{self.port}"
        self.url = f"{'https' if self.context else 'http'}://{self.address}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
