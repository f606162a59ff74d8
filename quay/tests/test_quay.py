"""TektonExecutor within Quay's own build manager: its scheduling, tokens, servicer, phases and expiry. Needs QUAY_SOURCE."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import apiserver
import grpc
import pytest
from quayfakes import Followers

if not os.environ.get("QUAY_SOURCE"):
    pytest.skip("QUAY_SOURCE names no checkout of Quay", allow_module_level=True)
pytest.importorskip("fakeredis", reason="fakeredis is not installed")

import fakeredis
import quaysource
from quaysource import MANAGER, REGISTRY, Loaded, Record

from slipway_quay import launcher, rpc
from slipway_quay.config import ConfigError
from slipway_quay.inside import InsideQuay, QuayError


@pytest.fixture(scope="session")
def quay() -> Loaded:
    return quaysource.load()


class Scene:
    def __init__(self, quay: Loaded, server: apiserver.ApiServer) -> None:
        self.quay, self.server = quay, server
        self.followers = Followers()
        self.build = str(uuid.uuid4())
        self.manager = quay.manager()
        quay.database.add(self.build)
        quay.database.queue.clear()
        quay.database.notifications.clear()

    def initialize(self, address: str, **entry: Any) -> None:
        from slipway_quay.tekton import TektonExecutor

        followers = self.followers

        class Executor(TektonExecutor):
            """As Quay loads it, but for its threads."""

            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, followers=followers, background=False)

        self.quay.Manager.EXECUTORS["tekton"] = Executor
        executor = {
            "EXECUTOR": "tekton",
            "K8S_API_SERVER": self.server.address,
            "SERVICE_ACCOUNT_TOKEN": self.server.token,
            "K8S_API_TLS_CA": self.server.certificate,
            "BUILDMAN_GRPC": address,
        }
        self.manager.initialize(
            {"EXECUTORS": [executor | entry], "ORCHESTRATOR": {"MEM_CONFIG": None}, "ALLOWED_WORKER_COUNT": 2}
        )

    @property
    def executor(self) -> Any:
        return self.manager._ordered_executors[0]

    def schedule(self, build: str | None = None) -> tuple[bool, Any]:
        build = build or self.build
        item = Record(body=json.dumps({"build_uuid": build, "pull_credentials": ROBOT}), retries_remaining=2, id=1)
        self.manager.create_job(build, {"job_queue_item": vars(item)})
        return self.manager.schedule(build)  # type: ignore[no-any-return]

    def phase(self) -> str:
        return str(self.quay.database.builds[self.build].phase)

    def taskrun(self) -> Any:
        [name] = self.server.names("taskruns")
        return self.server.find("taskruns", name)

    def set_phase(self, stub: Any, token: str, phase: str) -> bool:
        message = rpc.new("SetPhaseRequest", job_jwt=token, sequence_number=1, phase=phase)
        return bool(stub.SetPhase(message, timeout=10).success)


ROBOT = {"username": "team+robot", "password": "ROBOT-PASSWORD"}


@pytest.fixture
def scene(quay: Loaded, server: apiserver.ApiServer) -> Iterator[Scene]:
    made = Scene(quay, server)
    with quay.serving(made.manager) as address:
        made.initialize(address)
        with grpc.insecure_channel(address) as channel:
            made.stub = rpc.BuildManagerStub(channel)  # type: ignore[attr-defined]
            yield made


def test_a_build_is_scheduled_registered_and_running_as_a_taskrun(scene: Scene) -> None:
    assert scene.schedule() == (True, None)
    assert scene.phase() == "build-scheduled"
    run = scene.taskrun()
    job = json.loads(scene.manager._orchestrator.get_key(scene.manager._job_key(scene.build)))
    assert (job["executor_name"], job["execution_id"]) == ("TektonExecutor", run["metadata"]["name"])
    params = {param["name"]: param["value"] for param in run["spec"]["params"]}
    assert params == {
        "url": "git@git.example.com:team/app.git",
        "revision": "0123456789abcdef",
        "CONTEXT": "",
        "DOCKERFILE": "Dockerfile",
        "IMAGE": f"{REGISTRY}/team/app:latest",
        "TAGS": ["v1"],
    }
    assert not any(secret in json.dumps(run) for secret in ("WRITE-TOKEN", "ROBOT-PASSWORD", "PRIVATE-KEY-TEXT"))
    assert scene.executor.running_builders_count == 1


def test_no_phase_is_set_before_quay_has_scheduled_the_job(scene: Scene) -> None:
    scene.schedule()
    assert [message for kind, message in scene.quay.entries(scene.build) if kind == "phase"] == ["build-scheduled"]


def test_an_uploaded_archive_goes_by_the_secret(scene: Scene) -> None:
    scene.quay.database.add(scene.build, private_key=None)
    assert scene.schedule() == (True, None)
    assert "SIGNED-QUERY" not in json.dumps(scene.taskrun())
    [secret] = scene.server.names("secrets")
    assert "env.SLIPWAY_ARCHIVE" in scene.server.find("secrets", secret)["data"]  # type: ignore[index]


@pytest.mark.parametrize(("phase", "queue"), [("COMPLETE", "complete"), ("ERROR", "complete")])
def test_the_end_of_a_build_stops_it_within_quays_own_call(scene: Scene, phase: str, queue: str) -> None:
    scene.schedule()
    token = scene.followers.adopted[0].token
    assert token
    stub = scene.stub  # type: ignore[attr-defined]
    for step in ("UNPACKING", "PULLING", "BUILDING", "PUSHING", phase):
        assert scene.set_phase(stub, token, step)
    assert scene.phase() == phase.lower()
    assert scene.taskrun()["spec"]["status"] == "TaskRunCancelled"
    assert scene.server.names("secrets") == []
    assert queue in [name for name, _ in scene.quay.database.queue]
    assert not scene.set_phase(stub, token, "BUILDING"), "the job is over"
    assert scene.executor.running_builders_count == 0


def test_an_api_that_is_gone_does_not_break_the_end_of_a_build(scene: Scene) -> None:
    scene.schedule()
    scene.server.stop()
    stub = scene.stub  # type: ignore[attr-defined]
    assert scene.set_phase(stub, str(scene.followers.adopted[0].token), "COMPLETE")
    with pytest.raises(KeyError):
        scene.manager._orchestrator.get_key(scene.manager._job_key(scene.build))


def test_an_api_that_refuses_gives_the_build_back(scene: Scene) -> None:
    scene.server.fault("POST", "/taskruns", lambda handler: handler.status(403, "Forbidden", "quota"))
    scheduled, pause = scene.schedule()
    assert not scheduled
    assert pause
    assert scene.server.names("taskruns") == scene.server.names("secrets") == []
    assert scene.phase() == "waiting"


def test_no_more_builds_than_allowed(scene: Scene) -> None:
    others = [str(uuid.uuid4()) for _ in range(2)]
    for other in others:
        scene.quay.database.add(other)
        assert scene.schedule(other) == (True, None)
    assert scene.schedule()[0] is False
    assert len(scene.server.names("taskruns")) == 2


def test_an_expired_build_is_stopped(scene: Scene) -> None:
    from buildman.orchestrator import KeyChange, KeyEvent  # type: ignore[import-not-found]

    scene.schedule()
    key = scene.manager._job_key(scene.build)
    scene.manager._job_expired_callback(KeyChange(KeyEvent.EXPIRE, key, scene.manager._orchestrator.get_key(key)))
    assert scene.phase() == "internalerror"
    assert scene.taskrun()["spec"]["status"] == "TaskRunCancelled"
    assert ("incomplete", {"restore_retry": False, "retry_after": 30}) in scene.quay.database.queue


def test_a_cancelled_build_is_found_by_its_phase(scene: Scene) -> None:
    scene.schedule()
    scene.quay.database.builds[scene.build].phase = "cancelled"
    scene.executor._supervisor._builds.tend()
    assert scene.taskrun()["spec"]["status"] == "TaskRunCancelled"


def test_a_token_issued_after_a_restart_is_taken_by_quays_servicer(scene: Scene) -> None:
    scene.schedule()
    inside = InsideQuay(MANAGER)
    token = inside.job_token(scene.build, scene.followers.adopted[0].job_id, 600)
    stub = scene.stub  # type: ignore[attr-defined]
    assert scene.set_phase(stub, token, "BUILDING")
    assert next(iter(stub.Heartbeat(iter([rpc.new("HeartbeatRequest", job_jwt=token)]), timeout=10))).reply
    with pytest.raises(grpc.RpcError) as refused:
        stub.SetPhase(rpc.new("SetPhaseRequest", job_jwt=token + "x", phase="BUILDING"), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_what_cannot_be_built_is_in_the_builds_log(scene: Scene) -> None:
    scene.quay.database.add(scene.build, docker_tags=["not a tag"])
    assert scene.schedule()[0] is False
    [(kind, message)] = [entry for entry in scene.quay.entries(scene.build) if entry[0] == "error"]
    assert kind == "error"
    assert "'not a tag' is not a tag" in message


def test_what_only_quays_process_can_do(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = InsideQuay(MANAGER)
    assert inside.phase(scene.build) == "waiting"
    assert inside.phase("no-such-build") is None
    inside.append_log(scene.build, "it failed", "error", {"base_error": "it failed"})
    inside.set_status(scene.build, {"total_commands": 3})
    assert scene.quay.entries(scene.build)[-1] == ("error", "it failed")
    assert scene.quay.build_logs.get_status(scene.build) == {"total_commands": 3}
    inside.notify(scene.build, "build_failure", error_message="why")
    kind, data = scene.quay.database.notifications[-1]
    assert (kind, data["error_message"]) == ("build_failure", "why")

    def broken(_: str) -> None:
        raise OSError("password=secret")

    monkeypatch.setattr(sys.modules["data.model.build"], "get_repository_build", broken)
    with pytest.raises(QuayError) as failed:
        inside.phase(scene.build)
    assert "secret" not in str(failed.value)


def test_an_attempt_is_ended_by_quays_own_expiry(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    redis = fakeredis.FakeStrictRedis(server=scene.quay.redis)
    monkeypatch.setattr("redis.StrictRedis", lambda **_: redis)
    scene.quay.config["BUILD_MANAGER"] = ["ephemeral", {"ORCHESTRATOR": {"REDIS_HOST": "x"}}]
    inside = InsideQuay(MANAGER)
    job_id = f"building/{scene.build}"
    assert inside.retries_remaining(job_id) is None
    assert inside.expire(job_id) is False
    redis.set(job_id, json.dumps({"job_queue_item": {"retries_remaining": 2}}))
    redis.set(f"{job_id}/expiring", "", ex=60)
    assert inside.retries_remaining(job_id) == 2
    assert inside.expire(job_id) is True
    assert 0 < redis.pttl(f"{job_id}/expiring") <= 1000
    assert redis.get(job_id), "Quay reads the job's value when its key expires"


def test_a_wrong_configuration_ends_the_managers_start(quay: Loaded, server: apiserver.ApiServer) -> None:
    with pytest.raises(ConfigError, match="START_TIMEOUT"):
        Scene(quay, server).initialize("127.0.0.1:1", START_TIMEOUT=60)


def test_what_quay_asks_of_every_executor(quay: Loaded, server: apiserver.ApiServer) -> None:
    scene = Scene(quay, server)
    scene.initialize("127.0.0.1:1", NAME="openshift", SETUP_TIME=180, MINIMUM_RETRY_THRESHOLD=1, NAMESPACE_WHITELIST=["team"])
    executor = scene.executor
    assert (executor.name, executor.setup_time, executor.minimum_retry_threshold) == ("openshift", 180, 1)
    assert executor.allowed_for_namespace("team")
    assert not executor.allowed_for_namespace("others")


def test_debugging_keeps_builds(quay: Loaded, server: apiserver.ApiServer) -> None:
    scene = Scene(quay, server)
    scene.initialize("127.0.0.1:1", DEBUG=True)
    server.put("taskruns", {"metadata": {"name": "build-x-00000000"}, "spec": {}})
    scene.executor.stop_builder("build-x-00000000")
    assert "status" not in scene.taskrun()["spec"]


def test_the_launcher_starts_quays_own_manager_with_the_executor_known(
    quay: Loaded, server: apiserver.ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import buildman.server as buildman_server  # type: ignore[import-not-found]

    from slipway_quay.tekton import TektonExecutor

    seen: list[Any] = []
    monkeypatch.setattr(buildman_server.BuilderServer, "run", lambda self, *_: seen.append(self._lifecycle_manager_config))
    monkeypatch.setattr("logging.config.fileConfig", lambda *_, **__: None)
    quay.config["BUILD_MANAGER"] = ["ephemeral", {"EXECUTORS": [{"EXECUTOR": "tekton"}]}]
    monkeypatch.setattr(quay.Manager, "EXECUTORS", dict(quay.Manager.EXECUTORS))
    launcher.main()
    assert quay.Manager.EXECUTORS["tekton"] is TektonExecutor
    assert set(quay.Manager.EXECUTORS) == {"popen", "ec2", "kubernetes", "kubernetesPodman", "tekton"}
    assert seen == [{"EXECUTORS": [{"EXECUTOR": "tekton"}]}]


@pytest.mark.skipif(not hasattr(InsideQuay, "remember"), reason="there is no follower")
def test_two_executors_in_one_process_both_hand_over_how_a_build_ended(scene: Scene) -> None:
    """Quay's notifier is made to carry it once for the whole process, whoever remembers."""
    from buildman.jobutil.buildjob import BuildJobNotifier  # type: ignore[import-not-found]

    for number in range(2):
        InsideQuay(MANAGER).remember(scene.build, f"why {number}", None, [])
        BuildJobNotifier(scene.build).send_notification("build_failure")
        _, data = scene.quay.database.notifications[-1]
        assert data.get("error_message") == f"why {number}"
