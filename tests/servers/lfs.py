"""A Git LFS server (batch API v1, basic transfers) beside git over HTTP: what a forge is, on one port.

Below a repository's URL, `.git/info/lfs` answers batch requests; objects lie under `/lfs-objects/OID`. `git lfs push`
fills it, any client reads it. It remembers objects by id for all repositories, in memory. Besides what GitHttp can be
asked for (users, tokens, TLS):

    batch_faults   consumed one per batch request: a status, or (status, {"Header": "value"})
    store_faults   the same for downloads; "reset" drops the connection
    errors         {oid: (code, "message")}: said about that object
    absent         {oid}: mentioned without actions, as servers say "I have not got it"
    damaged        {oid: [bytes, ...]}: sent instead, one per download, until used up
    cuts           {oid: [n, ...]}: the connection breaks after so many bytes of the body, one per download
    ranges         False: Range is ignored, as some proxies do
    action_header  {"Header": "value"}: given with each download, and demanded there
    authenticate_header  the same for batch requests: what git-lfs-authenticate hands out
    expires_in     seconds, given with each action
    store          another server's URL: downloads are there, without this one's credentials
    largest_batch  more objects in one request are answered with 413
    slow           seconds between pieces of a body
    stalled        oids whose body never comes until the server stops
"""

import hashlib
import json
import threading
import time
from urllib.parse import urlsplit

from .git_http import GitHttp, _Handler as _GitHandler, request_body

MEDIA_TYPE = "application/vnd.git-lfs+json"
STORE = "/lfs-objects/"
PIECE = 16 * 1024


class _Handler(_GitHandler):
    def do_PUT(self):
        self._serve()

    def _serve(self):
        path = urlsplit(self.path).path
        moved = any(path.startswith(start + "/") for start in self.server.owner.redirects)
        if path.endswith("/objects/batch") and not moved:
            self._batch()
        elif path.startswith(STORE):
            self._store(path[len(STORE):])
        else:
            super()._serve()

    def _body(self):
        return request_body(self.rfile, {name.lower(): value for name, value in self.headers.items()})

    # Everything the LFS part is asked, with headers in lower case.
    def _note(self):
        self.server.owner.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))

    def _say(self, status, document=None, headers=None):
        body = json.dumps(document).encode() if document is not None else b""
        self.send_response(status)
        for name, value in {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _batch(self):
        lfs = self.server.owner
        request = json.loads(b"".join(self._body()))
        self._note()
        fault = lfs.next_of(lfs.batch_faults)
        if fault is not None:
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self._say(status, {"message": f"told to say {status}"}, headers)
            return
        if not lfs.has_headers(self.headers, lfs.authenticate_header) or not (
                lfs.authenticate_header or lfs.admits(self.headers.get("Authorization"))):
            self._say(401, {"message": "who are you?"}, {"LFS-Authenticate": 'Basic realm="lfs"'})
            return
        if self.headers.get("Accept") is None or MEDIA_TYPE not in self.headers["Accept"]:
            self._say(406, {"message": "the batch API has a media type"})
            return
        lfs.batches.append(request)
        if len(request["objects"]) > lfs.largest_batch:
            self._say(413, {"message": "fewer, please"})
            return
        objects = [self._answer_object(lfs, request["operation"], each) for each in request["objects"]]
        # Nobody promises the order of the request.
        self._say(200, {"transfer": "basic", "hash_algo": "sha256", "objects": objects[::-1]})

    def _answer_object(self, lfs, operation, asked):
        oid, answer = asked["oid"], {"oid": asked["oid"], "size": asked["size"]}
        if operation == "upload":
            if oid not in lfs.objects:
                answer["actions"] = {"upload": {"href": f"{lfs.url}{STORE}{oid}",
                                                "header": {"Authorization": self.headers.get("Authorization") or "None"}}}
            return answer
        if oid in lfs.errors:
            code, message = lfs.errors[oid]
            return {**answer, "error": {"code": code, "message": message}}
        if oid in lfs.absent:
            return answer
        if oid not in lfs.objects:
            return {**answer, "error": {"code": 404, "message": "Object does not exist"}}
        action = {"href": f"{lfs.store or lfs.url}{STORE}{oid}{lfs.query}"}
        if lfs.action_header:
            action["header"] = dict(lfs.action_header)
        if lfs.expires_in is not None:
            action["expires_in"] = lfs.expires_in
        return {**answer, "authenticated": True, "actions": {"download": action}}

    def _store(self, oid):
        lfs = self.server.owner
        if self.command == "PUT":
            content = b"".join(self._body())
            if hashlib.sha256(content).hexdigest() != oid:
                self._say(422, {"message": "not what its name says"})
                return
            lfs.objects[oid] = content
            self._say(200)
            return
        self._note()
        fault = lfs.next_of(lfs.store_faults)
        if fault == "reset":
            self.close_connection = True
            return
        if fault is not None:
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self._say(status, {"message": f"told to say {status}"}, headers)
            return
        if not lfs.has_headers(self.headers, lfs.action_header):
            self._say(403, {"message": "the action's headers are missing"})
            return
        if oid in lfs.stalled:
            lfs.stalling.set()
            lfs.stopped.wait(60)
            self.close_connection = True
            return
        content = lfs.next_of(lfs.damaged.get(oid, [])) or lfs.objects.get(oid)
        if content is None:
            self._say(404)
            return
        self._send(lfs, oid, content)

    def _send(self, lfs, oid, content):
        start, wanted = 0, self.headers.get("Range")
        if wanted and lfs.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first)
            if start >= len(content):
                self._say(416, headers={"Content-Range": f"bytes */{len(content)}"})
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = content[start:]
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = lfs.next_of(lfs.cuts.get(oid, []))
        for at in range(0, len(body) if cut is None else cut, PIECE):
            self.wfile.write(body[at:at + PIECE][:None if cut is None else cut - at])
            if lfs.slow:
                time.sleep(lfs.slow)
        if cut is not None:
            self.close_connection = True


class Lfs(GitHttp):
    """A forge: git repositories under `root`, and the objects of all of them."""

    handler = _Handler

    def __init__(self, root, **options):
        super().__init__(root, **options)
        self.objects, self.asked, self.batches = {}, [], []
        self.batch_faults, self.store_faults, self.largest_batch = [], [], 100
        self.errors, self.absent, self.damaged, self.cuts, self.stalled = {}, set(), {}, {}, set()
        self.ranges, self.slow, self.expires_in, self.store, self.query = True, 0, None, None, ""
        self.action_header, self.authenticate_header = {}, {}
        self.stalling, self.stopped = threading.Event(), threading.Event()

    def next_of(self, those):
        with self._lock:
            return those.pop(0) if those else None

    @staticmethod
    def has_headers(sent, wanted):
        return all(sent.get(name) == value for name, value in wanted.items())

    def downloads(self, oid=None):
        """Headers of the requests for an object's bytes, in order."""
        return [headers for method, path, headers in self.asked
                if method == "GET" and path.startswith(STORE + (oid or ""))]

    def __exit__(self, *error):
        self.stopped.set()
        super().__exit__(*error)
