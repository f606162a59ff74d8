"""Quay's own build manager, servicer, tokens, orchestrators and build logs, with its database, web app and configuration stubbed.

Needs a checkout of github.com/quay/quay: QUAY_SOURCE names it. Nothing of it is kept here. What is stubbed is what those
modules import and these tests don't look at; what the manager asks of the database is answered from memory.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import sys
import types
from concurrent import futures
from pathlib import Path
from typing import Any

import fakeredis
import google.protobuf
import grpc
from cryptography.hazmat.primitives.asymmetric import rsa

SOURCE = os.environ.get("QUAY_SOURCE", "")
REGISTRY, MANAGER = "quay.example.com", "builds.example.com"


class InvalidRepositoryBuildException(Exception):
    pass


class Record(types.SimpleNamespace):
    """A row, or what the code under test takes for one."""


class Database:
    """Builds and the queue, as far as the manager asks."""

    def __init__(self) -> None:
        self.builds: dict[str, Record] = {}
        self.queue: list[tuple[str, Any]] = []  # what the manager did to it
        self.notifications: list[tuple[str, dict[str, Any]]] = []

    def add(self, build_id: str, private_key: str | None = "PRIVATE-KEY-TEXT", **job_config: Any) -> None:
        config = {
            "docker_tags": ["latest", "v1"],
            "context": "/",
            "build_subdir": "/Dockerfile",
            "trigger_metadata": {"git_url": "git@git.example.com:team/app.git", "commit": "0123456789abcdef"},
        } | job_config
        key = None if private_key is None else Record(decrypt=lambda: private_key)
        repository = Record(name="app", namespace_user=Record(username="team"))
        trigger = Record(id=1, uuid="t", secure_private_key=key, service=Record(name="github"))
        self.builds[build_id] = Record(
            uuid=build_id,
            id=len(self.builds) + 1,
            phase="waiting",
            repository=repository,
            trigger=trigger,
            job_config=json.dumps(config),
            resource_key=None if private_key else "userfile",
            access_token=Record(get_code=lambda: "WRITE-TOKEN"),
            display_name="a build",
        )

    def get_repository_build(self, build_id: str) -> Record:
        if build_id not in self.builds:
            raise InvalidRepositoryBuildException(build_id)
        return Record(**vars(self.builds[build_id]))

    def update_phase_then_close(self, build_id: str, phase: str) -> bool:
        build = self.builds.get(build_id)
        if build is None or build.phase == "cancelled":
            return False
        build.phase = phase
        return True


class Queue:
    def __init__(self, database: Database) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        def record(item: Any, **options: Any) -> bool:
            self._database.queue.append((name, options))
            return True

        return record


class InstanceKeys:
    service_name = "quay"
    local_key_id = "a-key"

    def __init__(self) -> None:
        self.local_private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def get_service_key_public_key(self, kid: str) -> Any:
        return self.local_private_key.public_key() if kid == self.local_key_id else None


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent and parent in sys.modules:
        setattr(sys.modules[parent], child, module)
    return module


def _phases() -> type:
    """The phases as Quay's own module has them; importing it would want a database library."""
    tree = ast.parse(Path(SOURCE, "data/database.py").read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "BUILD_PHASE")
    scope: dict[str, Any] = {}
    exec(compile(ast.Module([found], []), "BUILD_PHASE", "exec"), scope)
    return scope["BUILD_PHASE"]  # type: ignore[no-any-return]


class Loaded:
    """Quay's modules over one database. Made once a process."""

    def __init__(self) -> None:
        sys.path.insert(0, SOURCE)
        self.database = Database()
        self.instance_keys = InstanceKeys()
        self.redis = fakeredis.FakeServer()
        self.config: dict[str, Any] = {"SERVER_HOSTNAME": REGISTRY, "BUILDMAN_HOSTNAME": MANAGER}
        self._stub()
        import data.buildlogs
        from buildman.buildman_pb import buildman_pb2, buildman_pb2_grpc
        from buildman.buildmanagerservicer import BuildManagerServicer
        from buildman.manager.ephemeral import EphemeralBuilderManager

        self.build_logs = data.buildlogs.RedisBuildLogs({})
        self.build_logs._redis_client = fakeredis.FakeStrictRedis(server=self.redis)
        sys.modules["app"].build_logs = self.build_logs  # type: ignore[attr-defined]
        self.Manager, self.Servicer = EphemeralBuilderManager, BuildManagerServicer
        self.pb2, self.pb2_grpc = buildman_pb2, buildman_pb2_grpc

    def _stub(self) -> None:
        database = self.database

        @contextlib.contextmanager
        def nothing(_: Any) -> Any:
            yield

        # Generated code of an older protobuf asks whether this one will do.
        runtime = _module("google.protobuf.runtime_version", Domain=Record(PUBLIC=0))
        runtime.ValidateProtobufRuntimeVersion = lambda *_: None  # type: ignore[attr-defined]
        google.protobuf.runtime_version = runtime  # type: ignore[attr-defined]
        app = Record(config=self.config)
        _module("app", app=app, instance_keys=self.instance_keys, userfiles=None, dockerfile_build_queue=Queue(database),
                OVERRIDE_CONFIG_DIRECTORY=SOURCE)
        _module("_init", OVERRIDE_CONFIG_DIRECTORY=SOURCE + "/", ROOT_DIR=SOURCE, CONF_DIR=str(Path(SOURCE, "conf")))
        _module("features", BUILD_SUPPORT=True)
        _module("notifications", spawn_notification=lambda repo, kind, data, **_: database.notifications.append((kind, data)))
        _module("data").__path__ = [str(Path(SOURCE, "data"))]
        _module("data.database", BUILD_PHASE=_phases(), UseThenDisconnect=nothing, CloseForLongOperation=nothing)
        _module("data.model", InvalidRepositoryBuildException=InvalidRepositoryBuildException)
        _module("data.model.build", get_repository_build=database.get_repository_build,
                update_phase_then_close=database.update_phase_then_close, update_trigger_disable_status=lambda *_: None)
        _module("data.registry_model", registry_model=Record())
        _module("data.registry_model.datatypes", RepositoryReference=Record())
        _module("release", GIT_HEAD="none")
        _module("sentry_sdk", init=lambda **_: None)
        _module("sentry_sdk.integrations")
        for name, member in (("flask", "Flask"), ("sqlalchemy", "Sqlalchemy"), ("logging", "Logging"), ("stdlib", "Stdlib")):
            _module(f"sentry_sdk.integrations.{name}", **{f"{member}Integration": Record})
        _module("util.saas.exceptionlog", _sentry_before_send_ignore_known=None)

    def manager(self) -> Any:
        user_files = Record(get_file_url=lambda key, *_, **__: f"https://{REGISTRY}/userfiles/{key}?signature=SIGNED-QUERY")
        return self.Manager(REGISTRY, MANAGER, Queue(self.database), self.build_logs, user_files, self.instance_keys)

    @contextlib.contextmanager
    def serving(self, manager: Any) -> Any:
        """Its gRPC server, with as many threads as Quay gives it; yields the address."""
        server = grpc.server(futures.ThreadPoolExecutor(10))
        self.pb2_grpc.add_BuildManagerServicer_to_server(self.Servicer(manager), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None)

    def entries(self, build_id: str) -> list[tuple[str | None, str]]:
        _, entries = self.build_logs.get_log_entries(build_id, 0)
        return [(entry.get("type"), entry["message"]) for entry in entries]


_loaded: Loaded | None = None


def load() -> Loaded:
    global _loaded
    if _loaded is None:
        _loaded = Loaded()
    return _loaded
