"""Starting, stopping, counting and tidying up, against an API server that fails where it hurts."""

from __future__ import annotations

import concurrent.futures
import json
import threading
import time
from collections.abc import Callable
from concurrent import futures
from dataclasses import replace
from typing import Any

import apiserver
import grpc
import pytest
from conftest import settings_for
from quayfakes import BUILD, GIT_PACK, Clock, Followers, Quay, Registrar, token

from slipway_quay import inside, rpc, taskrun
from slipway_quay.cluster import SECRET, TASKRUN, ClusterError, ErrorKind
from slipway_quay.cluster.connect import connect
from slipway_quay.config import load
from slipway_quay.executor import Builds, StartError, Supervisor, job_of_token
from slipway_quay.inside import QuayError
from slipway_quay.job import BuildJob
from slipway_quay.registration import GrpcRegistrar

OTHER = "11111111-2222-3333-4444-555555555555"


class Scene:
    """Builds, with everything around them."""

    def __init__(self, server: apiserver.ApiServer, **entry: Any) -> None:
        self.server = server
        self.config = load({"NAME": "tekton"} | entry)
        self.cluster = connect(settings_for(server))
        self.registrar, self.followers, self.quay, self.clock = Registrar(), Followers(), Quay(), Clock(time.time())
        self.builds = Builds(self.config, self.cluster, self.registrar, self.followers, self.quay, self.clock)

    def start(self, build: str = BUILD, attempt: int = 1, phase: str = inside.SCHEDULED) -> str:
        name = self.builds.start(token(build, attempt), build)
        self.quay.phases[build] = phase
        return name

    def taskrun(self, name: str) -> Any:
        found = self.server.find("taskruns", name)
        assert found is not None
        return found

    def is_cancelled(self, name: str) -> bool:
        return bool(self.taskrun(name)["spec"].get("status") == "TaskRunCancelled")

    def finish(self, name: str, ok: bool = True) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.time))
        condition = {"type": "Succeeded", "status": "True" if ok else "False", "lastTransitionTime": now}
        self.server.update("taskruns", name, lambda run: run.update(status={"conditions": [condition], "completionTime": now}))


@pytest.fixture
def scene(server: apiserver.ApiServer) -> Scene:
    return Scene(server)


def refuse(code: int, reason: str) -> Callable[[apiserver.Handler], None]:
    return lambda handler: handler.status(code, reason, "no")


def stored_but_lost(server: apiserver.ApiServer) -> Callable[[apiserver.Handler], None]:
    """The server does what was asked, but its answer never arrives."""

    def answer(handler: apiserver.Handler) -> None:
        body = json.loads(handler.body)
        server.put("taskruns", body)
        handler.cut()

    return answer


class TestStart:
    def test_a_build_has_a_taskrun_a_secret_it_owns_and_a_follower(self, scene: Scene) -> None:
        name = scene.start()
        run, secret = scene.taskrun(name), scene.server.find("secrets", name)
        assert secret is not None
        assert secret["metadata"]["ownerReferences"][0]["uid"] == run["metadata"]["uid"]
        [followed] = scene.followers.adopted
        assert (followed.taskrun, followed.uid, followed.token) == (name, run["metadata"]["uid"], "JOB-TOKEN")
        assert followed.job_id == f"building/{BUILD}"
        assert scene.registrar.tokens == [token()]

    def test_the_registration_token_goes_nowhere_else(self, scene: Scene) -> None:
        scene.start()
        assert token() not in str(scene.server.bodies)
        assert token().split(".")[1] not in str(scene.server.bodies)

    @pytest.mark.parametrize("code", [429, 500, 503])
    def test_what_passes_by_itself_is_tried_again(self, scene: Scene, code: int) -> None:
        scene.server.fault("POST", "/secrets", refuse(code, "x"))
        scene.server.fault("POST", "/taskruns", refuse(code, "x"), times=2)
        assert scene.server.find("taskruns", scene.start())

    def test_an_answer_that_was_lost_makes_no_second_build(self, scene: Scene) -> None:
        scene.server.fault("POST", "/taskruns", stored_but_lost(scene.server))
        name = scene.start()
        assert scene.server.names("taskruns") == [name]
        assert scene.followers.adopted[0].uid == scene.taskrun(name)["metadata"]["uid"]

    @pytest.mark.parametrize(("code", "reason"), [(401, "Unauthorized"), (403, "Forbidden"), (422, "Invalid")])
    def test_a_refusal_leaves_nothing_behind(self, scene: Scene, code: int, reason: str) -> None:
        scene.server.fault("POST", "/taskruns", refuse(code, reason))
        with pytest.raises(StartError, match="no"):
            scene.start()
        assert scene.server.names("taskruns") == scene.server.names("secrets") == []
        assert scene.followers.adopted == []
        assert scene.clock.waited == []

    def test_an_outage_is_given_up_within_the_time_quay_waits(self, scene: Scene) -> None:
        before = scene.clock.time
        scene.server.fault("POST", "/taskruns", refuse(503, "x"), times=50)
        with pytest.raises(StartError):
            scene.start()
        assert scene.clock.time - before < scene.config.start_timeout
        assert scene.server.names("secrets") == []

    def test_a_server_that_wants_to_be_asked_too_late_is_not_waited_for(self, scene: Scene) -> None:
        scene.server.fault("POST", "/secrets", lambda h: h.status(429, "TooManyRequests", "no", {"Retry-After": "60"}))
        with pytest.raises(StartError):
            scene.start()
        assert scene.clock.waited == []

    def test_a_registration_that_is_refused_starts_nothing(self, scene: Scene) -> None:
        scene.registrar.failing = StartError("no such job")
        with pytest.raises(StartError, match="no such job"):
            scene.start()
        assert scene.server.requests == []

    def test_what_cannot_be_built_is_told_to_its_author(self, scene: Scene) -> None:
        scene.registrar.pack = replace(GIT_PACK, tags=("not a tag",))
        with pytest.raises(StartError):
            scene.start()
        [(build, message, kind, data)] = scene.quay.log
        assert (build, kind) == (BUILD, "error")
        assert "not a tag" in message
        assert data["base_error"] == message
        assert data["error_code"].startswith("io.quay.builder.")
        assert scene.server.requests == []

    @pytest.mark.parametrize("bad", ["", "x", "a.b.c", "a.e30.c", "a." + "W10" + ".c"])
    def test_a_token_that_is_none_is_refused(self, scene: Scene, bad: str) -> None:
        with pytest.raises(StartError):
            scene.builds.start(bad, BUILD)
        assert scene.registrar.tokens == []

    def test_a_secret_without_owner_and_a_follower_without_thread_do_not_stop_a_build(self, scene: Scene) -> None:
        scene.server.fault("PATCH", "/secrets", refuse(500, "x"))
        scene.followers.failing = True
        name = scene.start()
        scene.followers.failing = False
        scene.builds.tend()
        scene.followers.adopted.clear()
        scene.clock.time += 200
        scene.builds.tend()
        secret = scene.server.find("secrets", name)
        assert secret is not None
        assert secret["metadata"]["ownerReferences"]
        assert [followed.taskrun for followed in scene.followers.adopted] == [name]


class TestStop:
    def test_a_running_build_is_cancelled_and_its_secret_gone(self, scene: Scene) -> None:
        name = scene.start()
        scene.builds.stop(name)
        assert scene.is_cancelled(name)
        assert scene.server.find("secrets", name) is None

    def test_twice_is_as_good_as_once(self, scene: Scene) -> None:
        name = scene.start()
        for _ in range(2):
            scene.builds.stop(name)
        scene.server.remove("taskruns", name)
        scene.builds.stop(name)

    def test_a_finished_build_is_left_as_it_is(self, scene: Scene) -> None:
        name = scene.start()
        scene.finish(name)
        scene.builds.stop(name)
        assert "status" not in scene.taskrun(name)["spec"]

    def test_without_retention_it_is_deleted_at_once(self, server: apiserver.ApiServer) -> None:
        scene = Scene(server, RETENTION_AFTER_FINISHED=0)
        name = scene.start()
        scene.builds.stop(name)
        assert server.names("taskruns") == server.names("secrets") == []

    def test_another_process_that_knows_only_the_id_can_stop(self, scene: Scene) -> None:
        name = scene.start()
        Scene(scene.server).builds.stop(name)
        assert scene.is_cancelled(name)

    @pytest.mark.parametrize("what", ["", "x", "../../secrets", "build-", None, 5, "ab12c", "build-a/b-00000000"])
    def test_an_id_that_is_none_asks_for_nothing(self, scene: Scene, what: Any) -> None:
        scene.builds.stop(what)
        assert scene.server.requests == []

    @pytest.mark.parametrize("code", [401, 403, 409, 422, 500, 503])
    def test_it_never_raises(self, scene: Scene, code: int) -> None:
        name = scene.start()
        for method, path in (("GET", "/taskruns"), ("PATCH", "/taskruns"), ("DELETE", "/secrets")):
            scene.server.fault(method, path, refuse(code, "x"), times=20)
        scene.builds.stop(name)

    def test_it_never_raises_without_a_server(self, scene: Scene) -> None:
        name = scene.start()
        scene.server.stop()
        before = scene.clock.time
        scene.builds.stop(name)
        assert scene.clock.time - before < 15

    def test_what_could_not_be_stopped_is_found_again(self, scene: Scene) -> None:
        name = scene.start()
        scene.quay.phases[BUILD] = inside.ERROR
        scene.server.fault("GET", "/taskruns", refuse(403, "Forbidden"))
        scene.builds.stop(name)
        assert not scene.is_cancelled(name)
        scene.builds.tend()
        assert scene.is_cancelled(name)


class TestCount:
    def test_what_runs_is_counted(self, scene: Scene) -> None:
        names = [scene.start(), scene.start(OTHER), scene.start(OTHER, attempt=2)]
        assert scene.builds.running() == 3
        scene.finish(names[0])
        scene.builds.stop(names[1])
        assert scene.builds.running() == 1

    def test_other_executors_builds_are_not(self, scene: Scene) -> None:
        Scene(scene.server, NAME="another").start()
        scene.server.put("taskruns", {"metadata": {"name": "somebody-elses"}})
        assert scene.builds.running() == 0

    def test_an_outage_of_a_moment_is_not_noticed(self, scene: Scene) -> None:
        scene.start()
        scene.server.fault("GET", "/taskruns", refuse(503, "x"), times=3)
        assert scene.builds.running() == 1

    def test_an_outage_raises(self, scene: Scene) -> None:
        scene.server.fault("GET", "/taskruns", refuse(503, "x"), times=30)
        with pytest.raises(ClusterError) as failed:
            scene.builds.running()
        assert failed.value.kind is ErrorKind.SERVER


class TestTend:
    def test_a_cancelled_builds_taskrun_is_cancelled(self, scene: Scene) -> None:
        name = scene.start()
        scene.quay.phases[BUILD] = inside.CANCELLED
        scene.builds.tend()
        assert scene.is_cancelled(name)
        assert scene.taskrun(name)["spec"]["statusMessage"] == "the build was cancelled"

    def test_a_running_build_is_left_alone_and_adopted_again(self, scene: Scene) -> None:
        name = scene.start()
        for phase in (inside.SCHEDULED, "unpacking", "pulling", "building", "pushing"):
            scene.quay.phases[BUILD] = phase
            scene.clock.time += 100
            scene.builds.tend()
        assert not scene.is_cancelled(name)
        assert {followed.uid for followed in scene.followers.adopted} == {scene.taskrun(name)["metadata"]["uid"]}
        assert len(scene.followers.adopted) == 6

    def test_after_a_restart_running_builds_are_adopted_without_a_token(self, scene: Scene) -> None:
        name = scene.start()
        restarted = Scene(scene.server)
        restarted.quay.phases[BUILD] = "building"
        restarted.builds.tend()
        [followed] = restarted.followers.adopted
        assert (followed.taskrun, followed.job_id, followed.token) == (name, f"building/{BUILD}", None)

    @pytest.mark.parametrize("phase", [inside.WAITING, inside.INTERNAL_ERROR, None])
    def test_a_build_quay_failed_to_schedule_is_ended_but_not_too_soon(self, scene: Scene, phase: str | None) -> None:
        name = scene.start(phase=str(phase))
        if phase is None:
            del scene.quay.phases[BUILD]
        for _ in range(2):
            scene.builds.tend()
            assert not scene.is_cancelled(name)
            scene.clock.time += 60
        scene.builds.tend()
        assert scene.is_cancelled(name)

    def test_a_manager_whose_clock_is_ahead_ends_nothing_that_another_is_starting(self, scene: Scene) -> None:
        name = scene.start(phase=inside.WAITING)
        scene.server.update("secrets", name, lambda it: it["metadata"].pop("ownerReferences"))
        scene.server.remove("taskruns", name)
        other = scene.start(OTHER, phase=inside.WAITING)
        ahead = Scene(scene.server)
        ahead.clock.time += 3600
        ahead.quay.phases = scene.quay.phases
        for _ in range(2):
            ahead.builds.tend()
            ahead.clock.time += 50
        assert not scene.is_cancelled(other)
        assert name in scene.server.names("secrets")

    def test_an_earlier_attempt_is_ended_when_a_later_one_runs(self, scene: Scene) -> None:
        first = scene.start()
        scene.clock.time += 30
        second = scene.start(attempt=2)
        scene.builds.tend()
        assert scene.is_cancelled(first)
        assert not scene.is_cancelled(second)

    def test_a_build_past_its_time_limit_is_ended(self, scene: Scene) -> None:
        name = scene.start(phase="building")
        scene.clock.time += scene.config.max_job_time + 200
        scene.builds.tend()
        assert not scene.is_cancelled(name)
        scene.clock.time += 200
        scene.builds.tend()
        assert scene.is_cancelled(name)

    def test_a_finished_build_is_deleted_after_its_retention(self, scene: Scene) -> None:
        name = scene.start()
        scene.finish(name)
        scene.quay.phases[BUILD] = inside.COMPLETE
        scene.builds.tend()
        assert scene.server.names("taskruns") == [name]
        scene.clock.time += 130
        scene.builds.tend()
        assert scene.server.names("taskruns") == scene.server.names("secrets") == []

    def test_a_finished_build_that_was_not_told_yet_is_kept_and_followed(self, scene: Scene) -> None:
        name = scene.start(phase="pushing")
        scene.finish(name)
        scene.clock.time += 300
        scene.builds.tend()
        assert scene.server.names("taskruns") == [name]
        assert len(scene.followers.adopted) == 2
        scene.clock.time += 900
        scene.builds.tend()
        assert scene.server.names("taskruns") == []

    def test_a_secret_of_a_start_that_was_cut_short_is_deleted(self, scene: Scene) -> None:
        made = taskrun.manifests(GIT_PACK, job(), scene.config)
        scene.cluster.create(SECRET, made.secret)
        scene.builds.tend()
        assert len(scene.server.names("secrets")) == 1
        scene.clock.time += 200
        scene.builds.tend()
        assert scene.server.names("secrets") == []

    def test_a_taskrun_without_its_annotations_is_ended(self, scene: Scene) -> None:
        name = scene.start()
        scene.cluster.patch(TASKRUN, name, {"metadata": {"annotations": None}})
        scene.builds.tend()
        assert scene.is_cancelled(name)

    def test_one_that_fails_does_not_hold_up_the_others(self, scene: Scene) -> None:
        names = [scene.start(), scene.start(OTHER)]
        scene.quay.phases = dict.fromkeys((BUILD, OTHER), inside.CANCELLED)
        scene.server.fault("PATCH", names[0], refuse(403, "Forbidden"))
        scene.server.fault("PATCH", names[1], refuse(500, "x"))
        scene.builds.tend()
        assert [scene.is_cancelled(name) for name in names] == [False, True]

    def test_what_is_not_ours_is_never_touched(self, scene: Scene) -> None:
        scene.server.put("taskruns", {"metadata": {"name": "theirs"}, "spec": {}})
        scene.server.put("secrets", {"metadata": {"name": "theirs", "creationTimestamp": "2020-01-01T00:00:00Z"}})
        Scene(scene.server, NAME="another").start()
        scene.clock.time += 100_000
        scene.builds.tend()
        assert len(scene.server.names("taskruns")) == len(scene.server.names("secrets")) == 2
        assert {method for method, _ in scene.server.requests if method in ("DELETE", "PATCH")} == {"PATCH"}  # of the start


def job() -> Any:
    return BuildJob(BUILD, taskrun.name_of(BUILD, token()), "", "building/x", 0.0)


def test_many_builds_start_at_once(scene: Scene) -> None:
    builds = [f"00000000-0000-0000-0000-{number:012d}" for number in range(50)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        names = list(pool.map(scene.start, builds))
    assert len(set(names)) == 50
    assert scene.server.names("taskruns") == sorted(names)
    assert scene.builds.running() == 50


class TestSupervisor:
    def test_it_survives_everything(self, scene: Scene) -> None:
        seen = threading.Semaphore(0)
        errors: list[Exception] = [ClusterError(ErrorKind.NETWORK, "x"), QuayError("x"), KeyError("x"), QuayError("x")]

        class Failing:
            def tend(self) -> None:
                seen.release()
                if errors:
                    raise errors.pop()

        supervisor = Supervisor(Failing(), 0.01)  # type: ignore[arg-type]
        supervisor.start()
        for _ in range(8):
            assert seen.acquire(timeout=10)
        supervisor.stop()


class TestRegistration:
    """Against a gRPC server, with the rules of Quay's."""

    @pytest.fixture
    def manager(self) -> Any:
        class Servicer:
            code: grpc.StatusCode | None = None
            seen: list[str] = []  # noqa: RUF012

            def RegisterBuildJob(self, request: Any, context: Any) -> Any:
                self.seen.append(request.register_jwt)
                if self.code is not None:
                    context.abort(self.code, "words that hold secrets")
                return rpc.new("BuildPack", job_jwt="JOB", package_url="https://x", tag_names=["latest"])

            def __getattr__(self, name: str) -> Any:
                return lambda request, context: None

        servicer = Servicer()
        started = grpc.server(futures.ThreadPoolExecutor(2))
        started.add_generic_rpc_handlers((rpc.handlers(servicer),))
        servicer.address = f"127.0.0.1:{started.add_insecure_port('127.0.0.1:0')}"  # type: ignore[attr-defined]
        started.start()
        yield servicer
        started.stop(None)

    def test_the_build_pack_comes_back(self, manager: Any) -> None:
        pack = GrpcRegistrar(manager.address).register("the-token", 10)
        assert (pack.job_token, pack.package_url, pack.git) == ("JOB", "https://x", None)
        assert manager.seen[-1] == "the-token"

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            (grpc.StatusCode.UNAUTHENTICATED, "does not accept the registration token"),
            (grpc.StatusCode.INTERNAL, "no such job"),
            (grpc.StatusCode.UNKNOWN, "source"),
            (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
        ],
    )
    def test_refusals_are_said_in_our_own_words(self, manager: Any, code: grpc.StatusCode, said: str) -> None:
        manager.code = code
        with pytest.raises(StartError, match=said) as refused:
            GrpcRegistrar(manager.address).register("t", 10)
        assert "secrets" not in str(refused.value)

    def test_no_manager_is_given_up_in_time(self) -> None:
        with pytest.raises(StartError, match="gRPC server"):
            GrpcRegistrar("127.0.0.1:1").register("t", 0.5)


def test_the_job_is_what_the_token_names() -> None:
    assert job_of_token(token()) == f"building/{BUILD}"
