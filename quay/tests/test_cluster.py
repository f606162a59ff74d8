"""What every adapter of the cluster port has to do, held against a server that can be made to fail.

With SLIPWAY_TEST_API (address), SLIPWAY_TEST_API_TOKEN and SLIPWAY_TEST_API_CA the tests of class TestContract run against
that API server too: a real one, with a namespace `builder` in which the token may do what deploy/rbac.yaml grants.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import threading
import time
import uuid
from dataclasses import replace
from typing import Any

import apiserver
import pytest
from conftest import settings_for

from slipway_quay.cluster import (
    POD,
    SECRET,
    TASKRUN,
    AlreadyExists,
    Cluster,
    ClusterError,
    ErrorKind,
    EventType,
    Gone,
    NotFound,
)
from slipway_quay.cluster.api import pages
from slipway_quay.cluster.connect import connect
from slipway_quay.config import Api

REAL = os.environ.get("SLIPWAY_TEST_API")


def secret(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "stringData": {"a": "b"}}


def fresh() -> str:
    return f"contract-{uuid.uuid4().hex[:10]}"


class TestContract:
    @pytest.fixture(params=["rest", "openshift", *(["rest-real", "openshift-real"] if REAL else [])])
    def cluster(self, request: pytest.FixtureRequest, server: apiserver.ApiServer) -> Cluster:
        access, _, real = str(request.param).partition("-")
        if access == "openshift":
            pytest.importorskip("openshift_client", reason="openshift-client is not installed")
            if shutil.which("kubectl") is None:
                pytest.skip("kubectl is not installed")
        if not real:
            return connect(settings_for(server, access))
        return connect(
            Api(
                access=access,
                server=str(REAL),
                token=os.environ["SLIPWAY_TEST_API_TOKEN"],
                ca=os.environ.get("SLIPWAY_TEST_API_CA"),
                client_path="kubectl",
            )
        )

    def test_what_was_created_can_be_read_and_is_gone_once_deleted(self, cluster: Cluster) -> None:
        name = fresh()
        created = cluster.create(SECRET, secret(name))
        assert created["metadata"]["uid"]
        assert cluster.get(SECRET, name)["metadata"]["uid"] == created["metadata"]["uid"]
        cluster.delete(SECRET, name)
        with pytest.raises(NotFound):
            cluster.get(SECRET, name)

    def test_deleting_what_is_gone_is_no_error(self, cluster: Cluster) -> None:
        cluster.delete(SECRET, fresh())

    def test_creating_twice_is_already_exists(self, cluster: Cluster) -> None:
        name = fresh()
        cluster.create(SECRET, secret(name))
        with pytest.raises(AlreadyExists) as refused:
            cluster.create(SECRET, secret(name))
        assert refused.value.kind is ErrorKind.CONFLICT
        cluster.delete(SECRET, name)

    def test_a_patch_merges_and_null_removes(self, cluster: Cluster) -> None:
        name = fresh()
        cluster.create(SECRET, secret(name, kept="1", dropped="2"))
        text = "it's $(x) \"3\"\n"
        changes = {"labels": {"dropped": None, "new": "2"}, "annotations": {"text": text}}
        patched = cluster.patch(SECRET, name, {"metadata": changes})
        assert patched["metadata"]["labels"] == {"kept": "1", "new": "2"}
        assert patched["metadata"]["annotations"]["text"] == text
        cluster.delete(SECRET, name)

    def test_a_patch_of_another_version_is_a_conflict(self, cluster: Cluster) -> None:
        name = fresh()
        old = cluster.create(SECRET, secret(name))["metadata"]["resourceVersion"]
        cluster.patch(SECRET, name, {"metadata": {"labels": {"a": "1"}}})
        with pytest.raises(ClusterError) as refused:
            cluster.patch(SECRET, name, {"metadata": {"resourceVersion": old, "labels": {"a": "2"}}})
        assert refused.value.kind is ErrorKind.CONFLICT
        cluster.delete(SECRET, name)

    def test_a_patch_of_what_is_not_there_is_not_found(self, cluster: Cluster) -> None:
        with pytest.raises(NotFound):
            cluster.patch(SECRET, fresh(), {"metadata": {"labels": {"a": "1"}}})

    def test_a_list_holds_what_the_selector_matches(self, cluster: Cluster) -> None:
        run = fresh()
        for number in range(3):
            cluster.create(SECRET, secret(f"{run}-{number}", run=run))
        cluster.create(SECRET, secret(f"{run}-other"))
        items, version = cluster.list(SECRET, f"run={run}")
        assert [item["metadata"]["name"] for item in items] == [f"{run}-0", f"{run}-1", f"{run}-2"]
        assert version
        for name in ("0", "1", "2", "other"):
            cluster.delete(SECRET, f"{run}-{name}")

    def test_a_watch_tells_what_happened_since_the_list(self, cluster: Cluster) -> None:
        run = fresh()
        _, version = cluster.list(SECRET, f"run={run}")
        cluster.create(SECRET, secret(run, run=run))
        cluster.patch(SECRET, run, {"metadata": {"labels": {"more": "1"}}})
        cluster.delete(SECRET, run)
        events = cluster.watch(SECRET, f"run={run}", version, 20)
        seen = list(itertools.islice((event for event in events if event.type is not EventType.BOOKMARK), 3))
        assert [event.type for event in seen] == [EventType.ADDED, EventType.MODIFIED, EventType.DELETED]
        assert all(event.object["metadata"]["name"] == run for event in seen)
        versions = [int(event.version) for event in seen]
        assert versions == sorted(versions)

    def test_a_watch_goes_on_from_the_version_of_its_last_event(self, cluster: Cluster) -> None:
        run = fresh()
        _, version = cluster.list(SECRET, f"run={run}")
        for number in range(2):
            cluster.create(SECRET, secret(f"{run}-{number}", run=run))
        first = next(event for event in cluster.watch(SECRET, f"run={run}", version, 20) if event.type is EventType.ADDED)
        second = next(event for event in cluster.watch(SECRET, f"run={run}", first.version, 20) if event.type is EventType.ADDED)
        assert [event.object["metadata"]["name"] for event in (first, second)] == [f"{run}-0", f"{run}-1"]
        for number in range(2):
            cluster.delete(SECRET, f"{run}-{number}")

    def test_a_quiet_watch_ends_by_itself(self, cluster: Cluster) -> None:
        _, version = cluster.list(SECRET, "run=nothing")
        assert [e for e in cluster.watch(SECRET, "run=nothing", version, 1) if e.type is not EventType.BOOKMARK] == []

    def test_the_log_of_no_pod_is_not_found(self, cluster: Cluster) -> None:
        with pytest.raises(NotFound):
            list(cluster.pod_log(fresh(), "step-build", timeout=5))

    def test_a_name_that_would_be_another_path_is_refused(self, cluster: Cluster) -> None:
        for name in ("", ".", "..", "a/b"):
            with pytest.raises(ClusterError):
                cluster.get(SECRET, name)


def test_a_list_joins_its_pages(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.page = 2
    for number in range(5):
        server.put("secrets", secret(f"s{number}"))
    items, _ = cluster.list(SECRET, "")
    assert [item["metadata"]["name"] for item in items] == [f"s{number}" for number in range(5)]


def test_a_list_without_an_end_is_given_up() -> None:
    endless = {"items": [secret("s")], "metadata": {"continue": "more"}}
    with pytest.raises(ClusterError) as refused:
        pages(SECRET, "builder", "", "list secrets", lambda path: endless)
    assert refused.value.kind is ErrorKind.SERVER


def test_log_lines_come_while_the_container_runs(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.put("pods", {"metadata": {"name": "p"}})
    server.log("p", "step-build", b"one", "zwei ü".encode())
    lines = cluster.pod_log("p", "step-build", timeout=20)
    assert next(lines) == b"one"
    assert next(lines) == "zwei ü".encode()
    server.log("p", "step-build", b"three", None)
    assert list(lines) == [b"three"]


def test_a_line_without_end_comes_in_pieces(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.put("pods", {"metadata": {"name": "p"}})
    server.log("p", "c", b"x" * 200_000, b"short", None)
    lines = list(cluster.pod_log("p", "c", timeout=20))
    assert max(map(len, lines)) <= 64 * 1024
    assert b"".join(lines) == b"x" * 200_000 + b"short"


def test_the_log_of_a_container_that_has_not_started_is_refused(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.put("pods", {"metadata": {"name": "p"}})
    with pytest.raises(ClusterError) as refused:
        list(cluster.pod_log("p", "step-build", timeout=5))
    assert refused.value.kind is ErrorKind.INVALID


def test_a_silent_log_ends_after_its_time(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.put("pods", {"metadata": {"name": "p"}})
    server.log("p", "c", b"one")
    assert list(cluster.pod_log("p", "c", timeout=1)) == [b"one"]


def test_a_log_that_is_cut_ends(cluster: Cluster, server: apiserver.ApiServer) -> None:
    def cut(handler: apiserver.Handler) -> None:
        handler.start_stream("text/plain")
        handler.chunk(b"one\ntw")
        handler.cut()

    server.fault("GET", "/log", cut)
    assert list(cluster.pod_log("p", "c", timeout=10)) == [b"one", b"tw"]


def test_a_watch_that_is_cut_ends_without_half_an_event(cluster: Cluster, server: apiserver.ApiServer) -> None:
    def cut(handler: apiserver.Handler) -> None:
        handler.start_stream("application/json")
        handler.chunk(b'{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"7"}}}\n{"type":"MODIF')
        handler.cut()

    server.fault("GET", "watch=1", cut)
    events = list(cluster.watch(TASKRUN, "", "1", 5))
    assert [(event.type, event.version) for event in events] == [(EventType.ADDED, "7")]


@pytest.mark.parametrize("how", ["event", "status"])
def test_a_version_that_is_too_old_is_gone(cluster: Cluster, server: apiserver.ApiServer, how: str) -> None:
    if how == "event":
        server.forget_history()
    else:
        server.fault("GET", "watch=1", lambda handler: handler.status(410, "Expired", "too old"))
    with pytest.raises(Gone):
        list(cluster.watch(TASKRUN, "", "5", 5))


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", ErrorKind.INVALID),
        (403, "Forbidden", ErrorKind.FORBIDDEN),
        (409, "Conflict", ErrorKind.CONFLICT),
        (422, "Invalid", ErrorKind.INVALID),
        (429, "TooManyRequests", ErrorKind.THROTTLED),
        (500, "InternalError", ErrorKind.SERVER),
        (503, "ServiceUnavailable", ErrorKind.SERVER),
        (504, "Timeout", ErrorKind.SERVER),
    ],
)
def test_what_the_server_refuses_has_its_kind(
    cluster: Cluster, server: apiserver.ApiServer, code: int, reason: str, kind: ErrorKind
) -> None:
    server.fault("POST", "/taskruns", lambda handler: handler.status(code, reason, "the server's\nown  words"))
    with pytest.raises(ClusterError) as refused:
        cluster.create(TASKRUN, {"metadata": {"name": "x"}})
    assert refused.value.kind is kind
    assert "the server's own words" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.transient == (kind in (ErrorKind.THROTTLED, ErrorKind.SERVER))


def test_credentials_that_are_not_accepted(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.token = "another"
    with pytest.raises(ClusterError) as refused:
        cluster.list(TASKRUN, "")
    assert refused.value.kind is ErrorKind.UNAUTHORIZED


def test_no_server(cluster: Cluster, server: apiserver.ApiServer) -> None:
    server.stop()
    for attempt in (lambda: cluster.list(TASKRUN, ""), lambda: list(cluster.pod_log("p", "c", timeout=2))):
        with pytest.raises(ClusterError) as refused:
            attempt()
        assert refused.value.kind is ErrorKind.NETWORK


def test_an_answer_that_is_not_kubernetes(cluster: Cluster, server: apiserver.ApiServer) -> None:
    def page(handler: apiserver.Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"<html>")

    server.fault("GET", "/taskruns", page)
    with pytest.raises(ClusterError) as refused:
        cluster.list(TASKRUN, "")
    assert refused.value.kind is ErrorKind.SERVER


class TestRest:
    @pytest.fixture
    def rest(self, server: apiserver.ApiServer) -> Cluster:
        return connect(settings_for(server))

    def test_the_server_says_when_to_come_again(self, rest: Cluster, server: apiserver.ApiServer) -> None:
        server.fault("GET", "/taskruns", lambda h: h.status(429, "TooManyRequests", "slow down", {"Retry-After": "7"}))
        with pytest.raises(ClusterError) as refused:
            rest.list(TASKRUN, "")
        assert refused.value.retry_after == 7

    def test_no_redirect_is_followed(self, rest: Cluster, server: apiserver.ApiServer) -> None:
        server.fault("GET", "/taskruns", lambda h: h.json(302, {}, {"Location": "http://127.0.0.1:1/elsewhere"}))
        with pytest.raises(ClusterError, match="redirects") as refused:
            rest.list(TASKRUN, "")
        assert refused.value.kind is ErrorKind.SERVER

    def test_a_token_file_is_read_anew(self, server: apiserver.ApiServer, tmp_path: Any) -> None:
        file = tmp_path / "token"
        file.write_text("first\n")
        cluster = connect(Api(server=server.address, ca=server.certificate, token_file=str(file), timeout=10))
        server.token = "first"
        cluster.list(TASKRUN, "")
        server.token = "second"
        file.write_text("second\n")
        cluster.list(TASKRUN, "")

    def test_a_netrc_does_not_take_the_tokens_place(
        self, rest: Cluster, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        rest.list(TASKRUN, "")

    def test_a_server_that_accepts_and_says_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            cluster = connect(Api(server=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1))
            with pytest.raises(ClusterError) as refused:
                cluster.list(TASKRUN, "")
        assert refused.value.kind is ErrorKind.NETWORK

    def test_an_answer_that_drips_has_a_time_limit(self, server: apiserver.ApiServer) -> None:
        over = threading.Event()

        def drip(handler: apiserver.Handler) -> None:
            handler.start_stream("application/json")
            while not over.wait(0.2):
                handler.chunk(b" ")

        server.fault("GET", "/taskruns", drip)
        cluster = connect(Api(server=server.address, ca=server.certificate, token=server.token, timeout=1))
        with pytest.raises(ClusterError) as refused:
            cluster.list(TASKRUN, "")
        over.set()
        assert refused.value.kind is ErrorKind.NETWORK

    def test_many_logs_at_once(self, rest: Cluster, server: apiserver.ApiServer) -> None:
        for number in range(40):
            server.put("pods", {"metadata": {"name": f"p{number}"}})
            server.log(f"p{number}", "c", b"%d" % number, None)
        got: dict[int, list[bytes]] = {}
        threads = [
            threading.Thread(target=lambda n=number: got.update({n: list(rest.pod_log(f"p{n}", "c", timeout=20))}))
            for number in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == {number: [b"%d" % number] for number in range(40)}

    def test_no_token_in_any_log_of_the_process(
        self, rest: Cluster, server: apiserver.ApiServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(0)
        rest.create(SECRET, {"metadata": {"name": "x"}, "stringData": {"a": "very-secret"}})
        rest.list(POD, "")
        assert str(server.token) not in caplog.text
        assert "very-secret" not in caplog.text


class TestOpenShift:
    def test_words_of_the_client_that_quote_an_object_are_left_out(self, openshift: Cluster, server: apiserver.ApiServer) -> None:
        server.put("secrets", {"metadata": {"name": "x"}, "data": {"a": "very-secret"}})  # no kind: kubectl can't read it
        with pytest.raises(ClusterError) as refused:
            openshift.patch(SECRET, "x", {"data": {"b": "also-secret"}})
        assert "secret\"" not in str(refused.value)
        assert "very-secret" not in str(refused.value)

    @pytest.fixture
    def openshift(self, server: apiserver.ApiServer) -> Cluster:
        pytest.importorskip("openshift_client", reason="openshift-client is not installed")
        if shutil.which("kubectl") is None:
            pytest.skip("kubectl is not installed")
        return connect(settings_for(server, "openshift"))

    def test_nothing_secret_is_an_argument_of_a_process(self, server: apiserver.ApiServer, tmp_path: Any) -> None:
        pytest.importorskip("openshift_client", reason="openshift-client is not installed")
        real = shutil.which("kubectl")
        if real is None:
            pytest.skip("kubectl is not installed")
        wrapper, record = tmp_path / "kubectl", tmp_path / "arguments"
        wrapper.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{record}\nexec {real} "$@"\n')
        wrapper.chmod(0o755)
        cluster = connect(replace(settings_for(server, "openshift"), client_path=str(wrapper)))
        cluster.create(SECRET, {"metadata": {"name": "x"}, "stringData": {"a": "very-secret"}})
        cluster.patch(SECRET, "x", {"stringData": {"b": "also-secret"}})
        cluster.list(SECRET, "")
        said = record.read_text()
        assert "--kubeconfig=" in said
        assert not any(word in said for word in (str(server.token), "very-secret", "also-secret"))

    def test_the_kubeconfig_is_private_and_goes_away(self, openshift: Any, server: apiserver.ApiServer) -> None:
        path = openshift._kubeconfig
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
        openshift._home.cleanup()
        assert not os.path.exists(path)

    def test_a_client_that_is_not_there(self, server: apiserver.ApiServer) -> None:
        cluster = connect(Api(access="openshift", server=server.address, token="x", client_path="/nowhere/oc"))
        with pytest.raises(ClusterError, match="cannot run /nowhere/oc"):
            cluster.list(TASKRUN, "")

    def test_a_stopped_stream_leaves_no_process(self, openshift: Cluster, server: apiserver.ApiServer) -> None:
        server.put("pods", {"metadata": {"name": "p"}})
        server.log("p", "c", b"one")
        lines = openshift.pod_log("p", "c", timeout=60)
        assert next(lines) == b"one"
        before = time.monotonic()
        lines.close()  # type: ignore[attr-defined]
        assert time.monotonic() - before < 10
