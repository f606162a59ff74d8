"""An HTTP relay in front of a registry that can be told to misbehave: what a real registry only does when it is ill.

    rule(method, path) is asked for every request; what it returns happens:
        None      the request is passed on
        503       (any status) answered instead, with the body a registry gives that error
        "stall"   nothing is answered until the relay stops
        "reset"   the connection is dropped

`stalled` is set once a request has been left without an answer.
"""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST_STALL = 60


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def _serve(self):
        relay = self.server.owner
        relay.requests.append((self.command, self.path))
        body = self._body()
        what = relay.rule(self.command, self.path) if relay.rule else None
        if what == "stall":
            relay.stalled.set()
            relay.stopped.wait(LONGEST_STALL)
            what = "reset"
        if what == "reset":
            self.close_connection = True
            return
        if what is not None:
            code = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS",
                    404: "BLOB_UNKNOWN" if "/blobs/" in self.path else "MANIFEST_UNKNOWN"}.get(what, "UNAVAILABLE")
            refusal = json.dumps({"errors": [{"code": code, "message": "told to say so"}]}).encode()
            self._answer(what, [("Content-Type", "application/json"), ("Retry-After", "0")], refusal)
            return
        connection = http.client.HTTPConnection(relay.upstream, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            # One by one: a header may come several times, as Accept does.
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            self._answer(answer.status, answer.getheaders(), answer.read(), answer.getheader("Content-Length"))
        finally:
            connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(64).split(b";")[0] or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline(8)
        self.rfile.readline(8)
        return b"".join(pieces)

    def _answer(self, status, headers, body, length=None):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        # HEAD is answered with the length of what GET would bring.
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Relay:
    def __init__(self, upstream, rule=None):
        self.upstream, self.rule = upstream, rule
        self.requests = []
        self.stalled, self.stopped = threading.Event(), threading.Event()

    def __enter__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
