"""An HTTP file server as archives are served from: object stores, forges, plain web servers; and what goes wrong there.

    server.put("/a.tgz", content, type="text/html", etag=False)   serve these bytes there
    server.redirect("/latest", "/a.tgz")                          302 to a path or URL
    server.sign("/a.tgz", seconds=300)                            a signed URL, as S3's: without one, or late, 403 and XML
    server.faults("/a.tgz", "cut 1000", 503, …)                   what happens to the next requests there, one each:
        503             (any status) instead of an answer
        "cut N"         the connection is closed after N bytes of the body
        "stall N"       the same, but left open until the server stops
        "no-range"      a Range is ignored, as by a server that has none
        "wrong-range"   another part comes than was asked for
        "changed"       from here on the file's content and ETag are others
        "unknown"       no Content-Length: the body ends with the connection

`requests` holds (path, headers) of all of them. With `users` every request needs basic authentication.
"""

import base64
import hashlib
import hmac
import re
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LONGEST_STALL = 60
KEY = b"the server's own"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        server = self.server.owner
        path, _, query = self.path.partition("?")
        with server.lock:
            server.requests.append((self.path, dict(self.headers)))
            queue = server.queues.get(path, [])
            fault = str(queue.pop(0)) if queue else ""
        if server.users and self.headers.get("Authorization") not in server.logins():
            return self._refuse(401, "credentials are missing")
        if path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[path])
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path not in server.files:
            return self._refuse(404, "no such file")
        if path in server.signed and not server.is_good(path, query):
            return self._refuse(403, "Request has expired" if "Signature" in query else "Access Denied")
        if fault.isdigit():
            return self._refuse(int(fault), "told to say so")
        if fault == "changed":
            content, *rest = server.files[path]
            server.files[path] = (content[::-1], *rest)
        self._send(*server.files[path], fault)

    def _send(self, content, kind, has_etag, fault):
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"' if has_etag else None
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = 0
        if wanted and fault != "no-range" and self.headers.get("If-Range", etag) == etag:
            first = int(wanted.group(1))
        if first >= len(content) > 0:
            return self._refuse(416, "no such range")
        if fault == "wrong-range" and first:
            first -= 1
        body = content[first:]
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", kind)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if etag:
            self.send_header("ETag", etag)
        if fault == "unknown":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        what, _, size = fault.partition(" ")
        if what in ("cut", "stall"):
            body = body[:int(size)]
            self.close_connection = True
        self.wfile.write(body)
        self.wfile.flush()
        if what == "stall":
            self.server.owner.stalled.set()
            self.server.owner.stopped.wait(LONGEST_STALL)

    def _refuse(self, status, message):
        body = f'<?xml version="1.0"?><Error><Code>Refused</Code><Message>{message}</Message></Error>'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Files:
    def __init__(self, users=None, tls=None):
        self.users, self.tls = dict(users or {}), tls
        self.files, self.redirects, self.queues, self.signed, self.requests = {}, {}, {}, set(), []
        self.lock, self.stalled, self.stopped = threading.Lock(), threading.Event(), threading.Event()

    def put(self, path, content, type="application/octet-stream", etag=True):
        self.files[path] = (content, type, etag)
        return self.url + path

    def redirect(self, path, to):
        self.redirects[path] = to
        return self.url + path

    def faults(self, path, *what):
        self.queues[path] = list(what)

    def sign(self, path, seconds=300):
        self.signed.add(path)
        expires = str(int(time.time()) + seconds)
        return f"{self.url}{path}?" + urllib.parse.urlencode(
            {"Credential": "AKIA/20261122/us/s3", "Expires": expires, "Signature": self._signature(path, expires)})

    def is_good(self, path, query):
        said = dict(urllib.parse.parse_qsl(query))
        expires = said.get("Expires", "0")
        return hmac.compare_digest(said.get("Signature", ""), self._signature(path, expires)) and int(expires) > time.time()

    def logins(self):
        return {"Basic " + base64.b64encode(f"{name}:{password}".encode()).decode() for name, password in self.users.items()}

    @staticmethod
    def _signature(path, expires):
        return hmac.new(KEY, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()

    def __enter__(self):
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, self.tls))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
