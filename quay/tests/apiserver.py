"""A small Kubernetes API server in memory, for what a real one can't be made to do on demand.

Keeps objects with resourceVersion and uid, lists in pages, selects by labels, watches from a version, merges patches, plays
container logs, collects what an owner leaves behind, and answers discovery so that kubectl works against it. `faults` answer in
its place: each is (predicate over method and path, function of the handler), used up once.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
Fault = tuple[Callable[[str, str], bool], Callable[["Handler"], None]]

KINDS = {
    "taskruns": "TaskRun",
    "tasks": "Task",
    "secrets": "Secret",
    "pods": "Pod",
    "configmaps": "ConfigMap",
    "serviceaccounts": "ServiceAccount",
    "leases": "Lease",
    "namespaces": "Namespace",
    "roles": "Role",
    "rolebindings": "RoleBinding",
    "customresourcedefinitions": "CustomResourceDefinition",
    "deployments": "Deployment",
    "selfsubjectaccessreviews": "SelfSubjectAccessReview",
}
# A DNS subdomain, as every kind here has to be named.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/(?P<version>[^/]+))(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>log|status))?"
)


class ApiServer:
    def __init__(self, token: str | None = "a-service-account-token", certificate: Path | None = None) -> None:
        self.token = token
        self.certificate = None if certificate is None else str(certificate)
        self.lock = threading.Condition()
        self.objects: dict[tuple[str, str, str], Json] = {}  # (plural, namespace, name)
        self.history: list[tuple[int, str, str, Json]] = []  # (version, event type, plural, object)
        self.version = 100
        self.oldest = 100  # watches from before are 410
        self.logs: dict[tuple[str, str], list[bytes | None]] = {}  # None: the container has ended
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Json] = []
        self.denied: set[tuple[str, str]] = set()  # (verb, plural) that access reviews say no to
        self.on_create: Callable[[str, Json], None] = lambda plural, item: None  # after it was stored
        self.page = 0  # smaller pages than asked for
        handler = type("BoundHandler", (Handler,), {"api": self})
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.http.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake happens in the connection's own thread.
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = "https"
        self.stopping = False
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.http.server_address[1]}"

    def stop(self) -> None:
        with self.lock:
            self.stopping = True
            self.lock.notify_all()
        self.http.shutdown()
        self.http.server_close()

    # What tests do to the cluster.

    def put(self, plural: str, item: Json, namespace: str = "builder") -> Json:
        with self.lock:
            return self._store("MODIFIED" if (plural, namespace, item["metadata"]["name"]) in self.objects else "ADDED",
                               plural, namespace, item)

    def find(self, plural: str, name: str, namespace: str = "builder") -> Json | None:
        with self.lock:
            return self.objects.get((plural, namespace, name))

    def names(self, plural: str) -> list[str]:
        with self.lock:
            return sorted(name for kind, _, name in self.objects if kind == plural)

    def update(self, plural: str, name: str, change: Callable[[Json], None], namespace: str = "builder") -> Json:
        with self.lock:
            item = json.loads(json.dumps(self.objects[plural, namespace, name]))
            change(item)
            return self._store("MODIFIED", plural, namespace, item)

    def remove(self, plural: str, name: str, namespace: str = "builder") -> None:
        with self.lock:
            self._remove(plural, namespace, name)

    def log(self, pod: str, container: str, *lines: bytes | None) -> None:
        with self.lock:
            self.logs.setdefault((pod, container), []).extend(lines)
            self.lock.notify_all()

    def forget_history(self) -> None:
        with self.lock:
            self.oldest = self.version + 1
            self.version += 1
            self.lock.notify_all()

    def fault(self, method: str, path: str, answer: Callable[[Handler], None], times: int = 1) -> None:
        for _ in range(times):
            self.faults.append((lambda m, p: m == method and path in p, answer))

    # The store; the lock is held.

    def _store(self, event: str, plural: str, namespace: str, item: Json) -> Json:
        self.version += 1
        metadata = item.setdefault("metadata", {})
        metadata["resourceVersion"] = str(self.version)
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        if plural != "namespaces":
            metadata.setdefault("namespace", namespace)
        kept = json.loads(json.dumps(item))
        self.objects[plural, namespace, metadata["name"]] = kept
        self.history.append((self.version, event, plural, kept))
        self.lock.notify_all()
        return kept

    def _remove(self, plural: str, namespace: str, name: str) -> Json | None:
        item = self.objects.pop((plural, namespace, name), None)
        if item is None:
            return None
        self.version += 1
        item = json.loads(json.dumps(item))
        item["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, "DELETED", plural, item))
        uid = item["metadata"]["uid"]
        for key, other in list(self.objects.items()):
            if any(owner.get("uid") == uid for owner in other["metadata"].get("ownerReferences", [])):
                self._remove(*key)
        self.lock.notify_all()
        return item


def selects(selector: str, item: Json) -> bool:
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        name, equals, value = term.partition("=")
        if (labels.get(name) != value) if equals else (name not in labels):
            return False
    return True


def merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


class Handler(BaseHTTPRequestHandler):
    api: ApiServer
    body = b""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        api = self.api
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.body = body
        with api.lock:
            api.requests.append((self.command, self.path))
            fault = next((entry for entry in api.faults if entry[0](self.command, self.path)), None)
            if fault is not None:
                api.faults.remove(fault)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if fault is not None:
                fault[1](self)
            elif api.token is not None and self.headers.get("Authorization") != f"Bearer {api.token}":
                self.status(401, "Unauthorized", "Unauthorized")
            else:
                self._route(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _route(self, body: bytes) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        if self._discovery(url.path):
            return
        matched = _PATH.fullmatch(url.path)
        if matched is None or matched["plural"] not in KINDS:
            self.status(404, "NotFound", "the server could not find the requested resource")
            return
        plural, namespace = matched["plural"], unquote(matched["namespace"] or "")
        name = unquote(matched["name"]) if matched["name"] else None
        if matched["sub"] == "log":
            self._log(name or "", query)
        elif self.command == "POST":
            self._create(plural, namespace, json.loads(body))
        elif name is not None:
            self._one(plural, namespace, name, body)
        elif query.get("watch") in ("1", "true"):
            self._watch(plural, namespace, query)
        else:
            self._list(plural, namespace, query)

    def _discovery(self, path: str) -> bool:
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        groups = {"tekton.dev": "v1", "rbac.authorization.k8s.io": "v1", "apps": "v1"}
        if path == "/version":
            self.json(200, {"major": "1", "minor": "33", "gitVersion": "v1.33.0"})
        elif path == "/api":
            self.json(200, {"kind": "APIVersions", "versions": ["v1"]})
        elif path == "/apis":
            listed = [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                 "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version}}
                for group, version in groups.items()
            ]
            self.json(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
        elif path == "/api/v1" or path in {f"/apis/{group}/{version}" for group, version in groups.items()}:
            names = {"/api/v1": ["pods", "secrets", "configmaps", "namespaces", "serviceaccounts"],
                     "/apis/tekton.dev/v1": ["taskruns", "tasks"]}.get(path, [])
            resources = [
                {"name": plural, "singularName": KINDS[plural].lower(), "namespaced": plural != "namespaces",
                 "kind": KINDS[plural], "verbs": verbs} for plural in names
            ]
            version = path.removeprefix("/apis/").removeprefix("/api/")
            self.json(200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources})
        else:
            return False
        return True

    def _create(self, plural: str, namespace: str, item: Json) -> None:
        api = self.api
        with api.lock:
            api.bodies.append(item)
            if plural == "selfsubjectaccessreviews":
                wanted = item["spec"]["resourceAttributes"]
                resource = wanted["resource"] + ("/" + wanted["subresource"] if wanted.get("subresource") else "")
                self.json(201, item | {"status": {"allowed": (wanted["verb"], resource) not in api.denied}})
                return
            metadata = item.setdefault("metadata", {})
            if "name" not in metadata:
                metadata["name"] = metadata.get("generateName", "") + uuid.uuid4().hex[:5]
            if _NAME.fullmatch(metadata["name"]) is None:
                self.status(422, "Invalid", f'{plural} "{metadata["name"]}" is invalid: metadata.name: Invalid value')
                return
            namespace = namespace or metadata.get("namespace", "")
            if (plural, namespace, metadata["name"]) in api.objects:
                self.status(409, "AlreadyExists", f'{plural} "{metadata["name"]}" already exists')
                return
            item.setdefault("kind", KINDS[plural])
            item.setdefault("apiVersion", "v1")
            created = api._store("ADDED", plural, namespace, item)
        self.json(201, created)
        api.on_create(plural, created)

    def _one(self, plural: str, namespace: str, name: str, body: bytes) -> None:
        api = self.api
        with api.lock:
            found = api.objects.get((plural, namespace, name))
            if found is None:
                self.status(404, "NotFound", f'{plural} "{name}" not found')
                return
            if self.command == "DELETE":
                api._remove(plural, namespace, name)
                self.json(200, {"kind": "Status", "status": "Success"})
                return
            if self.command == "PATCH":
                if self.headers.get("Content-Type") != "application/merge-patch+json":
                    self.status(415, "UnsupportedMediaType", "only merge patches here")
                    return
                patch = json.loads(body)
                version = (patch.get("metadata") or {}).get("resourceVersion")
                if version is not None and version != found["metadata"]["resourceVersion"]:
                    self.status(409, "Conflict", f'{plural} "{name}": the object has been modified')
                    return
                found = api._store("MODIFIED", plural, namespace, merge(found, patch))
        self.json(200, found)

    def _list(self, plural: str, namespace: str, query: dict[str, str]) -> None:
        api = self.api
        with api.lock:
            matching = [
                item for (kind, space, _), item in sorted(api.objects.items())
                if kind == plural and (not namespace or space == namespace) and selects(query.get("labelSelector", ""), item)
            ]
            begin = int(query.get("continue") or 0)
            limit = api.page or int(query.get("limit") or len(matching) or 1)
            metadata: Json = {"resourceVersion": str(api.version)}
            if begin + limit < len(matching):
                metadata["continue"] = str(begin + limit)
            page = matching[begin : begin + limit]
        self.json(200, {"kind": f"{KINDS[plural]}List", "metadata": metadata, "items": page})

    def _watch(self, plural: str, namespace: str, query: dict[str, str]) -> None:
        api = self.api
        after = int(query.get("resourceVersion") or 0)
        until = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        self.start_stream("application/json")
        while True:
            with api.lock:
                while True:
                    if after < api.oldest - 1:
                        event = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired",
                                                             "message": "too old resource version"}}
                        break
                    entry = next((entry for entry in api.history if entry[0] > after and entry[2] == plural
                                  and entry[3]["metadata"].get("namespace", "") == namespace
                                  and selects(query.get("labelSelector", ""), entry[3])), None)
                    if entry is not None:
                        after = entry[0]
                        event = {"type": entry[1], "object": entry[3]}
                        break
                    left = until - time.monotonic()
                    if left <= 0 or api.stopping:
                        self.end_stream()
                        return
                    api.lock.wait(min(left, 0.5))
            self.chunk(json.dumps(event).encode() + b"\n")
            if event["type"] == "ERROR":
                self.end_stream()
                return

    def _log(self, pod: str, query: dict[str, str]) -> None:
        api = self.api
        with api.lock:
            lines = api.logs.get((pod, query.get("container", "")))
            if lines is None and ("pods", "builder", pod) in api.objects:
                self.status(400, "BadRequest", f'container "{query.get("container")}" in pod "{pod}" is waiting to start')
                return
        if lines is None:
            self.status(404, "NotFound", f'pods "{pod}" not found')
            return
        self.start_stream("text/plain")
        sent = 0
        while True:
            with api.lock:
                while sent >= len(lines) and not api.stopping:
                    api.lock.wait(0.5)
                line = None if api.stopping else lines[sent]
                sent += 1
            if line is None:
                self.end_stream()
                return
            self.chunk(line + b"\n")

    # Answers.

    def json(self, code: int, value: Json, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        for key, text in ({"Content-Type": "application/json", "Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(key, text)
        self.end_headers()
        self.wfile.write(data)

    def status(self, code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.json(code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
                         "message": message}, headers)

    def start_stream(self, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Breaks the connection without another byte."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            # Through TLS, shutdown() of the wrapped socket alone would say goodbye politely.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)


@contextlib.contextmanager
def running(**options: Any) -> Iterator[ApiServer]:
    server = ApiServer(**options)
    try:
        yield server
    finally:
        server.stop()
