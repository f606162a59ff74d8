"""`TektonExecutor`: what Quay's build manager loads under the key `tekton`. Imports Quay; loaded by Quay or the launcher only.

The manager makes one object per entry of EXECUTORS when it starts, and calls it from its own threads. A configuration that is
wrong ends the manager's start with a line for each problem.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

from buildman.manager.executor import (  # type: ignore[import-not-found]
    BuilderExecutor,
    ExecutorException,
    build_start_duration,
    observe,
    persist_for_debugging,
)

from slipway_quay import config as configuration
from slipway_quay.cluster import Cluster, ClusterError
from slipway_quay.cluster.connect import connect
from slipway_quay.executor import Builds, Followers, StartError, Supervisor
from slipway_quay.inside import InsideQuay, Quay
from slipway_quay.job import BuildJob
from slipway_quay.registration import GrpcRegistrar

logger = logging.getLogger(__name__)


class TektonExecutor(BuilderExecutor):  # type: ignore[misc]
    def __init__(
        self,
        executor_config: dict[str, Any],
        registry_hostname: str,
        manager_hostname: str,
        *,
        quay: Quay | None = None,
        followers: Followers | None = None,
        background: bool = True,
    ) -> None:
        super().__init__(executor_config, registry_hostname, manager_hostname)
        self.config = configuration.load(executor_config or {})
        cluster = connect(self.config.api)
        # What Quay waits for gets several tries within the time Quay waits.
        impatient = connect(replace(self.config.api, timeout=min(self.config.api.timeout, self.config.start_timeout / 4)))
        quay = quay or InsideQuay(manager_hostname)
        registrar = GrpcRegistrar(self.config.follow.manager_address)
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        followers = followers or self._follower(cluster, quay)
        self._builds = Builds(self.config, impatient, registrar, followers, quay)
        self._supervisor = Supervisor(Builds(self.config, cluster, registrar, followers, quay), self.config.poll_interval)
        if background:
            for thread in self._threads:
                thread.start()
            self._supervisor.start()

    def shutdown(self) -> None:
        """Ends this executor's threads; what they know is in the TaskRuns. Quay never calls it: they end with the process."""
        self._stop.set()
        self._supervisor.stop(30)
        for thread in self._threads:
            thread.join(30)

    @property
    def name(self) -> str:
        return self.config.name

    @observe(build_start_duration, "tekton")  # type: ignore[untyped-decorator]
    def start_builder(self, token: str, build_uuid: str) -> str:
        try:
            return self._builds.start(token, build_uuid)
        except StartError as error:
            raise ExecutorException(str(error)) from None

    @persist_for_debugging  # type: ignore[untyped-decorator]
    def stop_builder(self, builder_id: str) -> None:
        self._builds.stop(builder_id)

    @property
    def running_builders_count(self) -> int:
        try:
            return self._builds.running()
        except ClusterError as error:
            raise ExecutorException(f"running builds can't be counted: {error}") from None

    def _follower(self, cluster: Cluster, quay: Quay) -> Followers:
        from slipway_quay.follower import Follower
        from slipway_quay.publisher import Connections

        def token(job: BuildJob) -> str:
            return job.token or quay.job_token(job.build_id, job.job_id, self.config.max_job_time)

        connections = Connections(self.config.follow.manager_address, token)
        follower = Follower(cluster, connections, self.config.follow, quay=quay, executor=self.config.label)
        self._threads.append(threading.Thread(target=self._follow, args=(follower,), name="slipway-follower", daemon=True))
        return follower  # type: ignore[no-any-return, unused-ignore]

    def _follow(self, follower: Any) -> None:
        """Begins anew whatever happens: without a follower every build would end as an internal error."""
        while not self._stop.is_set():
            try:
                follower.run(self._stop)
            except Exception:
                logger.exception("the follower begins anew")
            self._stop.wait(5)
