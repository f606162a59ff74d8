"""The cluster by plain REST through `requests`, as Quay's own executors reach it. The default adapter.

Reads the token from its file for every request, so that a rotated one is used. Follows no redirect, decodes no more than
MAX_ANSWER bytes, and never logs. Proxies come from the environment, as in Quay.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from slipway_quay.cluster import MAX_LOG_LINE, ClusterError, ErrorKind, Event, Json, Kind, NotFound, api
from slipway_quay.config import Api

_CHUNK = 65536
_LOG_CONNECTIONS = 256
_STREAM_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class _Bearer(AuthBase):
    """As an auth object, because requests lets a .netrc overwrite a mere header."""

    def __init__(self, settings: Api) -> None:
        self._settings = settings

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        token = self._settings.token
        if self._settings.token_file is not None:
            try:
                with open(self._settings.token_file, encoding="ascii") as file:
                    token = file.read(65536).strip()
            except (OSError, UnicodeError) as error:
                raise ClusterError(ErrorKind.UNAUTHORIZED, "cannot read SERVICE_ACCOUNT_TOKEN_FILE") from error
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request


class RestCluster:
    def __init__(self, settings: Api) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.auth = _Bearer(settings)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=_LOG_CONNECTIONS, max_retries=0))
        self._verify: str | bool = settings.ca or True
        self._cert = (settings.client_cert, settings.client_key) if settings.client_cert and settings.client_key else None

    @property
    def namespace(self) -> str:
        return self._settings.namespace

    def get(self, kind: Kind, name: str) -> Json:
        return self._call("GET", api.path(kind, self.namespace, name), f"get {kind.name} {name}")

    def create(self, kind: Kind, manifest: Json) -> Json:
        return self._call("POST", api.path(kind, self.namespace), f"create {kind.name}", body=manifest)

    def delete(self, kind: Kind, name: str) -> None:
        path = api.path(kind, self.namespace, name, propagationPolicy="Background")
        with contextlib.suppress(NotFound):
            self._call("DELETE", path, f"delete {kind.name} {name}")

    def patch(self, kind: Kind, name: str, patch: Json) -> Json:
        path = api.path(kind, self.namespace, name)
        return self._call("PATCH", path, f"patch {kind.name} {name}", body=patch, media_type="application/merge-patch+json")

    def list(self, kind: Kind, selector: str) -> tuple[list[Json], str]:
        doing = f"list {kind.plural}"
        return api.pages(kind, self.namespace, selector, doing, lambda path: self._call("GET", path, doing))

    def watch(self, kind: Kind, selector: str, version: str, timeout: float) -> Iterator[Event]:
        doing = f"watch {kind.plural}"
        path = api.watch_path(kind, self.namespace, selector, version, timeout)
        # The server ends the watch; the limit here is for one that has gone away silently.
        chunks = self._stream(path, doing, silence=timeout + self._settings.timeout, total=timeout + self._settings.timeout)
        return api.events(api.split_lines(chunks, api.MAX_EVENT, pieces=False), doing)

    def pod_log(self, pod: str, container: str, *, since: str | None = None, timeout: float) -> Iterator[bytes]:
        path = api.log_path(self.namespace, pod, container, since)
        chunks = self._stream(path, f"log of pod {pod}", silence=timeout, total=None)
        return api.split_lines(chunks, MAX_LOG_LINE, pieces=True)

    def _call(
        self, method: str, path: str, doing: str, *, body: Json | None = None, media_type: str = "application/json"
    ) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({"Content-Type": media_type} if data is not None else {})
        response = self._send(method, path, doing, data=data, headers=headers, timeout=self._settings.timeout)
        try:
            content = bytearray()
            deadline = time.monotonic() + self._settings.timeout
            for chunk in response.iter_content(_CHUNK):
                content += chunk
                if len(content) > api.MAX_ANSWER:
                    raise ClusterError(ErrorKind.SERVER, f"{doing}: an answer of more than {api.MAX_ANSWER} bytes")
                if time.monotonic() > deadline:
                    raise ClusterError(ErrorKind.NETWORK, f"{doing}: no whole answer within {self._settings.timeout:g} s")
        except _STREAM_ERRORS as error:
            raise _network(error, doing) from None
        finally:
            response.close()
        if response.status_code // 100 != 2:
            raise _refused(response, bytes(content), doing)
        return api.object_of(bytes(content), doing)

    def _stream(self, path: str, doing: str, *, silence: float, total: float | None) -> Iterator[bytes]:
        """Bytes as they come; the first request is made at once, so that its refusal is raised here."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        response = self._send("GET", path, doing, headers=headers, timeout=(self._settings.timeout, silence))
        if response.status_code != 200:
            try:
                content = response.raw.read(_CHUNK)
            except _STREAM_ERRORS:
                content = b""
            finally:
                response.close()
            raise _refused(response, content, doing)
        return _chunks(response, total)

    def _send(self, method: str, path: str, doing: str, **options: Any) -> requests.Response:
        try:
            return self._session.request(
                method,
                self._settings.server + path,
                verify=self._verify,
                cert=self._cert,
                allow_redirects=False,
                stream=True,
                **options,
            )
        except _STREAM_ERRORS as error:
            raise _network(error, doing) from None


def _chunks(response: requests.Response, total: float | None) -> Iterator[bytes]:
    deadline = None if total is None else time.monotonic() + total
    raw = response.raw
    try:
        # read1() gives what is there; stream() does so for chunked answers only, which Kubernetes' are.
        source = raw.stream(_CHUNK) if getattr(raw, "chunked", False) else iter(lambda: raw.read1(_CHUNK), b"")
        for chunk in source:
            yield chunk
            if deadline is not None and time.monotonic() > deadline:
                return
    except _STREAM_ERRORS:
        return  # a stream that breaks has ended; what is missing shows in what it held
    finally:
        response.close()


def _refused(response: requests.Response, content: bytes, doing: str) -> ClusterError:
    try:
        status = json.loads(content)
    except (ValueError, RecursionError):
        status = None
    if 300 <= response.status_code < 400:
        return ClusterError(ErrorKind.SERVER, f"{doing}: the server redirects elsewhere; K8S_API_SERVER is not a Kubernetes API")
    header = response.headers.get("Retry-After", "")
    retry_after = float(header) if header.isascii() and header.isdigit() and len(header) < 5 else None
    return api.error_of(response.status_code, status, doing, retry_after)


def _network(error: Exception, doing: str) -> ClusterError:
    """Of the library's own words only the kind: they quote addresses and objects."""
    if isinstance(error, requests.exceptions.SSLError):
        what = f"TLS with the API server failed ({_reason(error)}); see K8S_API_TLS_CA"
    elif isinstance(error, requests.exceptions.ProxyError):
        what = "the proxy does not lead to the API server; see HTTPS_PROXY and NO_PROXY"
    elif isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        what = "no answer of the API server in time"
    elif isinstance(error, requests.exceptions.ConnectionError):
        what = "cannot reach the API server"
    else:
        what = f"request failed ({type(error).__name__})"
    return ClusterError(ErrorKind.NETWORK, f"{doing}: {what}")


def _reason(error: Exception) -> str:
    text = str(error)
    for word in ("certificate verify failed", "hostname", "expired", "self-signed", "unknown ca", "wrong version number"):
        if word in text.lower():
            return word
    return "handshake"
