"""The cluster through openshift-client-python, which runs `oc`, or `kubectl` by its path setting.

Credentials reach the client in a kubeconfig file only: the configured one, or a private one written for the token. Nothing
secret is ever an argument, since process lists show those; manifests go by standard input. Requests are made by path
(`--raw`), so both adapters ask the API the same questions; patches, which have no such form, need the API's discovery.

Each request is a process of about 50 ms and 40 MiB: good for tens of builds at a time, not for hundreds. Tried with kubectl;
`oc` shares the code of these commands and is untested.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from slipway_quay.cluster import MAX_LOG_LINE, ClusterError, ErrorKind, Event, Json, Kind, NotFound, api
from slipway_quay.config import Api

_FROM_SERVER = re.compile(r"(?:Error from server|error:.*?) ?\((\w+)\):? ?(.*)", re.DOTALL)
_LOGGED_OUT = re.compile(r"must be logged in|\(Unauthorized\)|Unauthorized")
_INVALID = re.compile(r"^The (?:request|\w+ \"[^\"]*\") is invalid: (.*)", re.MULTILINE | re.DOTALL)
_UNREACHABLE = re.compile(
    r"connection to the server .* was refused|Unable to connect|dial tcp|i/o timeout|no such host|TLS handshake|EOF|x509"
    r"|timed out"
)


class OpenShiftCluster:
    def __init__(self, settings: Api) -> None:
        import openshift_client

        self._oc: Any = openshift_client
        self._settings = settings
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._kubeconfig = settings.kubeconfig or self._write_kubeconfig()

    @property
    def namespace(self) -> str:
        return self._settings.namespace

    def get(self, kind: Kind, name: str) -> Json:
        doing = f"get {kind.name} {name}"
        return api.object_of(self._run("get", ["--raw", api.path(kind, self.namespace, name)], doing), doing)

    def create(self, kind: Kind, manifest: Json) -> Json:
        doing = f"create {kind.name}"
        arguments = ["--raw", api.path(kind, self.namespace), "-f", "-"]
        return api.object_of(self._run("create", arguments, doing, stdin=json.dumps(manifest)), doing)

    def delete(self, kind: Kind, name: str) -> None:
        doing = f"delete {kind.name} {name}"
        with contextlib.suppress(NotFound):
            self._run("delete", ["--raw", api.path(kind, self.namespace, name, propagationPolicy="Background")], doing)

    def patch(self, kind: Kind, name: str, patch: Json) -> Json:
        doing = f"patch {kind.name} {name}"
        api.path(kind, self.namespace, name)  # refuses what is no name
        arguments = [f"--namespace={self.namespace}", "--type=merge", "--patch-file=/dev/stdin", "--output=json"]
        return api.object_of(self._run("patch", [kind.full, *arguments, "--", name], doing, stdin=json.dumps(patch)), doing)

    def list(self, kind: Kind, selector: str) -> tuple[list[Json], str]:
        doing = f"list {kind.plural}"

        def get(path: str) -> Json:
            return api.object_of(self._run("get", ["--raw", path], doing), doing)

        return api.pages(kind, self.namespace, selector, doing, get)

    def watch(self, kind: Kind, selector: str, version: str, timeout: float) -> Iterator[Event]:
        doing = f"watch {kind.plural}"
        path = api.watch_path(kind, self.namespace, selector, version, timeout)
        lines = api.split_lines(self._stream(path, doing, timeout + self._settings.timeout), api.MAX_EVENT, pieces=False)
        return api.events(lines, doing)

    def pod_log(self, pod: str, container: str, *, since: str | None = None, timeout: float) -> Iterator[bytes]:
        path = api.log_path(self.namespace, pod, container, since)
        return api.split_lines(self._stream(path, f"log of pod {pod}", timeout), MAX_LOG_LINE, pieces=True)

    def _write_kubeconfig(self) -> str:
        """A kubeconfig of what is configured key by key, readable by this user only, gone with this object."""
        settings = self._settings
        cluster = {"server": settings.server} | ({"certificate-authority": os.path.abspath(settings.ca)} if settings.ca else {})
        user: Json = {}
        if settings.token_file:
            user["tokenFile"] = os.path.abspath(settings.token_file)
        elif settings.token:
            user["token"] = settings.token
        if settings.client_cert and settings.client_key:
            user["client-certificate"] = os.path.abspath(settings.client_cert)
            user["client-key"] = os.path.abspath(settings.client_key)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "builds", "cluster": cluster}],
            "users": [{"name": "quay", "user": user}],
            "contexts": [{"name": "builds", "context": {"cluster": "builds", "user": "quay", "namespace": settings.namespace}}],
            "current-context": "builds",
        }
        self._home = tempfile.TemporaryDirectory(prefix="slipway-quay-")  # 0700
        path = os.path.join(self._home.name, "kubeconfig")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return path

    def _run(self, verb: str, arguments: Sequence[str], doing: str, stdin: str | None = None) -> bytes:
        # The library's context belongs to the thread. Without tracking it keeps no copy of what went in and came out.
        oc = self._oc
        with oc.client_path(self._settings.client_path), oc.api_server(kubeconfig_path=self._kubeconfig), oc.no_tracking():
            context = oc.cur_context()
            with oc.timeout(self._settings.timeout):
                try:
                    done = oc.oc_action(context, verb, cmd_args=[*arguments], no_namespace=True, stdin_str=stdin)
                except OSError as error:
                    raise ClusterError(ErrorKind.INVALID, f"{doing}: cannot run {self._settings.client_path}") from error
        if done.timeout:
            raise ClusterError(ErrorKind.NETWORK, f"{doing}: no answer within {self._settings.timeout:g} s")
        if done.status != 0:
            raise _refused(str(done.err), doing)
        return str(done.out).encode()

    def _stream(self, path: str, doing: str, silence: float) -> Iterator[bytes]:
        """The library waits for a command's end, so what streams is run beside it, with the same client and file."""
        argv = [self._settings.client_path, "get", f"--kubeconfig={self._kubeconfig}", "--raw", path]
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise ClusterError(ErrorKind.INVALID, f"{doing}: cannot run {self._settings.client_path}") from error
        watchdog = _Watchdog(process, silence)
        first = watchdog.read()
        if first:
            return _chunks(watchdog, first)
        message = watchdog.close()
        if process.returncode != 0 and not watchdog.barked:
            raise _refused(message, doing)
        return iter(())


class _Watchdog:
    """Reads a client's output and ends it after so many seconds without a byte."""

    def __init__(self, process: subprocess.Popen[bytes], silence: float) -> None:
        self._process, self._silence = process, silence
        self.barked = False
        self._errors = bytearray()
        self._drain = threading.Thread(target=self._read_errors, daemon=True)
        self._drain.start()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while chunk := self._process.stderr.read(4096):
            if len(self._errors) < 65536:
                self._errors += chunk

    def read(self) -> bytes:
        def bark() -> None:
            self.barked = True
            self._process.kill()

        assert self._process.stdout is not None
        timer = threading.Timer(self._silence, bark)
        timer.daemon = True
        timer.start()
        try:
            return self._process.stdout.read(65536) or b""
        finally:
            timer.cancel()

    def close(self) -> str:
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._drain.join(5)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return self._errors.decode(errors="replace")


def _chunks(watchdog: _Watchdog, first: bytes) -> Iterator[bytes]:
    try:
        chunk = first
        while chunk:
            yield chunk
            chunk = watchdog.read()
    finally:
        watchdog.close()


def _refused(message: str, doing: str) -> ClusterError:
    """What the client's words mean: it passes on a Status' reason and message, but no status code."""
    matched = _FROM_SERVER.search(message)
    if _LOGGED_OUT.search(message):
        return api.error_of(401, {"message": "the credentials are not accepted"}, doing)
    if matched is not None and matched[1] in api.BY_REASON:
        return api.error_of(api.BY_REASON[matched[1]], {"reason": matched[1], "message": matched[2]}, doing)
    if invalid := _INVALID.search(message):
        return api.error_of(422, {"message": invalid[1]}, doing)
    if _UNREACHABLE.search(message):
        return ClusterError(ErrorKind.NETWORK, f"{doing}: cannot reach the API server ({api.one_line(message)})")
    # Its other words may quote the object it was given, which may be a Secret.
    words = api.one_line(message.partition("{")[0])
    return ClusterError(ErrorKind.SERVER, f"{doing}: {words or 'the client failed without a word'}")
