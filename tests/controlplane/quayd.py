"""Quay's build manager as a process of its own: its manager, servicer, tokens, orchestrator and build logs over a real redis.

usage: quayd.py SETTINGS.json

Its database and web app are stubbed as in quay/tests/quaysource.py; what a database would keep beyond the process is kept in
redis under test/, where tests read and write it. Prints a line {"grpc": ADDRESS} once it serves, then answers one JSON
line of standard input with one of standard output: {"schedule": BUILD, "retries": N} and {"cancel": BUILD}.
Ends with its standard input.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "quay"), str(TOP / "quay/tests")]

import quaysource  # noqa: E402
import redis  # noqa: E402
from quaysource import Record  # noqa: E402

ROBOT = {"username": "team+robot", "password": "ROBOT-PASSWORD"}


class Told(list[Any]):
    """A list that is in redis as well."""

    def __init__(self, client: Any, name: str) -> None:
        super().__init__()
        self._client, self._name = client, name

    def append(self, entry: Any) -> None:
        super().append(entry)
        self._client.rpush(self._name, json.dumps(entry, default=str))


def kept(client: Any) -> type[quaysource.Database]:
    class Kept(quaysource.Database):
        def __init__(self) -> None:
            super().__init__()
            self.queue, self.notifications = Told(client, "test/queue"), Told(client, "test/notifications")

        def get_repository_build(self, build_id: str) -> Record:
            if (text := client.hget("test/builds", build_id)) is None:
                raise quaysource.InvalidRepositoryBuildException(build_id)
            told = json.loads(text)
            self.add(build_id, told["private_key"], **told["job_config"])
            build = self.builds[build_id]
            build.access_token = Record(get_code=lambda: told["token"])
            build.phase = (client.hget("test/phases", build_id) or b"waiting").decode()
            return super().get_repository_build(build_id)

        def update_phase_then_close(self, build_id: str, phase: str) -> bool:
            self.get_repository_build(build_id)
            done = super().update_phase_then_close(build_id, phase)
            if done:
                client.hset("test/phases", build_id, phase)
            return done

    return Kept


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    client = redis.StrictRedis(host="127.0.0.1", port=settings["redis"])
    quaysource.REGISTRY = settings["registry"]
    quaysource.Database = kept(client)  # type: ignore[misc]
    quay = quaysource.load()

    from data.buildlogs import RedisBuildLogs

    quay.build_logs = RedisBuildLogs({"host": "127.0.0.1", "port": settings["redis"]})
    sys.modules["app"].build_logs = quay.build_logs  # type: ignore[attr-defined]

    from buildman.manager.orchestrator_canceller import OrchestratorCanceller

    from slipway_quay import launcher

    launcher.register()
    manager = quay.manager()
    with quay.serving(manager) as address:
        orchestrator = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": settings["redis"]}
        config = {
            "EXECUTORS": [settings["executor"] | {"BUILDMAN_GRPC": address}],
            "ORCHESTRATOR": orchestrator,
            "ALLOWED_WORKER_COUNT": 20,
        }
        quay.config["BUILD_MANAGER"] = ["ephemeral", config]
        manager.initialize(config)
        print(json.dumps({"grpc": address}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            if "schedule" in asked:
                build = asked["schedule"]
                body = json.dumps({"build_uuid": build, "pull_credentials": ROBOT})
                item = Record(body=body, retries_remaining=asked["retries"], id=1)
                manager.create_job(build, {"job_queue_item": vars(item)})
                answer: Any = manager.schedule(build)
            else:
                # As Quay's API does: the phase first, then the key.
                client.hset("test/phases", asked["cancel"], "cancelled")
                answer = OrchestratorCanceller(config).try_cancel_build(asked["cancel"])
            print(json.dumps({"answer": answer}), flush=True)
        with contextlib.suppress(Exception):
            for executor in manager._ordered_executors:
                executor.shutdown()


if __name__ == "__main__":
    main()
