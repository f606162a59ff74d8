"""What both adapters share of Kubernetes' API: paths, the meaning of its errors, its streams.

Pure: no input or output. Sizes of answers are bounded by the adapters through MAX_ANSWER.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from slipway_quay.cluster import (
    AlreadyExists,
    ClusterError,
    ErrorKind,
    Event,
    EventType,
    Gone,
    Json,
    Kind,
    NotFound,
)

MAX_ANSWER = 64 * 1024 * 1024  # bytes of one answer; a list page of PAGE TaskRuns is a few MiB
MAX_EVENT = 8 * 1024 * 1024  # etcd keeps objects of 1.5 MiB
PAGE = 250
MAX_PAGES = 400  # of one list: 100,000 objects, where a namespace for builds has hundreds
_MAX_MESSAGE = 400

_BY_CODE = {
    401: ErrorKind.UNAUTHORIZED,
    403: ErrorKind.FORBIDDEN,
    404: ErrorKind.NOT_FOUND,
    409: ErrorKind.CONFLICT,
    410: ErrorKind.GONE,
    429: ErrorKind.THROTTLED,
}

# Reasons of a Status, as kubectl quotes them; what is not here is decided by the code.
BY_REASON = {
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "NotAcceptable": 406,
    "AlreadyExists": 409,
    "Conflict": 409,
    "Gone": 410,
    "Expired": 410,
    "RequestEntityTooLarge": 413,
    "UnsupportedMediaType": 415,
    "Invalid": 422,
    "BadRequest": 400,
    "TooManyRequests": 429,
    "InternalError": 500,
    "ServiceUnavailable": 503,
    "ServerTimeout": 504,
    "Timeout": 504,
}


def path(kind: Kind, namespace: str, name: str | None = None, **query: str | int | None) -> str:
    """Path of a resource or its collection, every part of it quoted."""
    parts = ["api", kind.version] if not kind.group else ["apis", kind.group, kind.version]
    if kind.namespaced:
        parts += ["namespaces", namespace]
    parts.append(kind.plural)
    if name is not None:
        if not name or "/" in name or name in (".", ".."):
            raise ClusterError(ErrorKind.INVALID, "not a resource's name")
        parts.append(name)
    given = {key: value for key, value in query.items() if value is not None}
    return "/" + "/".join(quote(part, safe="") for part in parts) + (f"?{urlencode(given)}" if given else "")


def watch_path(kind: Kind, namespace: str, selector: str, version: str, timeout: float) -> str:
    return path(
        kind,
        namespace,
        labelSelector=selector or None,
        resourceVersion=version,
        watch="1",
        allowWatchBookmarks="true",
        timeoutSeconds=max(1, int(timeout)),
    )


def log_path(namespace: str, pod: str, container: str, since: str | None) -> str:
    base = path(Kind("", "v1", "pods", "Pod"), namespace, pod)
    query = {"container": container, "follow": "true"} | ({"sinceTime": since} if since else {})
    return f"{base}/log?{urlencode(query)}"


def one_line(text: object) -> str:
    """Text of a server for a log or a person: one line, bounded, without control characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + "…"


def error_of(code: int, status: object, doing: str, retry_after: float | None = None) -> ClusterError:
    """The error an HTTP status code and, if there was one, a Status object mean."""
    message, reason = "", ""
    if isinstance(status, dict):
        message, reason = str(status.get("message") or ""), str(status.get("reason") or "")
        details = status.get("details")
        if retry_after is None and isinstance(details, dict):
            seconds = details.get("retryAfterSeconds")
            retry_after = float(seconds) if isinstance(seconds, int) and 0 < seconds < 3600 else None
    text = f"{doing}: {one_line(message or reason or f'HTTP status {code}')}"
    if code == 404:
        return NotFound(text)
    if code == 409 and reason == "AlreadyExists":
        return AlreadyExists(text)
    if code == 410:
        return Gone(text)
    kind = _BY_CODE.get(code) or (ErrorKind.INVALID if 400 <= code < 500 and code != 408 else ErrorKind.SERVER)
    return ClusterError(kind, text, retry_after=retry_after)


def object_of(body: bytes, doing: str) -> Json:
    """A JSON object; anything else is no answer of Kubernetes'."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ClusterError(ErrorKind.SERVER, f"{doing}: the answer is not JSON") from error
    if not isinstance(value, dict):
        raise ClusterError(ErrorKind.SERVER, f"{doing}: the answer is not an object")
    return value


def items_of(page: Json, doing: str) -> tuple[list[Json], str, str]:
    """Items, resourceVersion and continue token of one page of a list."""
    items, metadata = page.get("items"), page.get("metadata")
    if items is None:
        items = []
    if not isinstance(items, list) or not isinstance(metadata, dict):
        raise ClusterError(ErrorKind.SERVER, f"{doing}: the answer is not a list")
    return items, str(metadata.get("resourceVersion") or ""), str(metadata.get("continue") or "")


def pages(kind: Kind, namespace: str, selector: str, doing: str, get: Callable[[str], Json]) -> tuple[list[Json], str]:
    """Every item of a list and the list's resourceVersion; `get` fetches the page at a path."""
    found: list[Json] = []
    token: str | None = None
    for _ in range(MAX_PAGES):
        page = get(path(kind, namespace, labelSelector=selector or None, limit=PAGE, **{"continue": token}))
        items, version, token = items_of(page, doing)
        found += items
        if not token:
            return found, version
    raise ClusterError(ErrorKind.SERVER, f"{doing}: the list has no end")


def split_lines(chunks: Iterable[bytes], limit: int, *, pieces: bool) -> Iterator[bytes]:
    """Lines without their ends from bytes as they come, an unfinished last one too. Past `limit` bytes a line is given out in
    pieces or, without `pieces`, is a SERVER error."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        begin = 0
        while True:
            end = held.find(b"\n", begin)
            while (len(held) if end < 0 else end) - begin > limit:
                if not pieces:
                    raise ClusterError(ErrorKind.SERVER, f"a line of more than {limit} bytes")
                yield bytes(held[begin : begin + limit])
                begin += limit
            if end < 0:
                break
            yield bytes(held[begin:end])
            begin = end + 1
        del held[:begin]
    if held:
        yield bytes(held)


def events(lines: Iterable[bytes], doing: str) -> Iterator[Event]:
    """Events of a watch. An unfinished last line is the stream's end; an ERROR event is raised."""
    for line in lines:
        if not line.strip():
            continue
        try:
            event: Any = json.loads(line)
        except (ValueError, RecursionError):
            return  # cut within an event: watched again from the one before it
        kind, item = (event.get("type"), event.get("object")) if isinstance(event, dict) else (None, None)
        if not isinstance(item, dict):
            raise ClusterError(ErrorKind.SERVER, f"{doing}: not an event")
        if kind == "ERROR":
            code = item.get("code")
            raise error_of(code if isinstance(code, int) else 500, item, doing)
        try:
            known = EventType(kind)
        except ValueError:
            continue  # a kind of event of a newer API
        yield Event(known, item)
