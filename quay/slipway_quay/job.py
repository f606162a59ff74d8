"""A build that runs: what executor, follower and a restarted manager must agree on, kept in its TaskRun.

Labels and annotations hold nothing secret: a job token of Quay is never among them, since whoever may read TaskRuns
could set phases with it. A follower gets its token from the executor that registered the build, or, having adopted
a running TaskRun, has Quay's own code issue one (`inside.Quay.job_token`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from slipway_quay.cluster import Json

DOMAIN = "slipway.dev"
LABEL_APP = "app.kubernetes.io/managed-by"
APP = "slipway-quay"
LABEL_BUILD = f"{DOMAIN}/build"
LABEL_EXECUTOR = f"{DOMAIN}/executor"  # the executor's NAME, made fit for a label
ANNOTATION_JOB = f"{DOMAIN}/quay-job"
ANNOTATION_CREATED = f"{DOMAIN}/created"
ANNOTATION_REPOSITORY = f"{DOMAIN}/repository"
# Annotations that begin so are the follower's own; nobody else reads or writes them.
FOLLOW_PREFIX = f"follow.{DOMAIN}/"


@dataclass(frozen=True)
class BuildJob:
    """One attempt at one build of Quay, running as one TaskRun."""

    build_id: str  # Quay's build uuid
    taskrun: str  # name of the TaskRun, and the execution id Quay knows
    uid: str  # metadata.uid of the TaskRun: another one of that name is not this attempt. Frames have it as `build_id`
    job_id: str  # key of the job in Quay's orchestrator, as its tokens name it
    created: float  # seconds since the epoch, by the manager's clock
    repository: str = ""  # namespace/name, for messages only
    token: str | None = None  # Quay's job token; None after adoption. In memory only

    def __repr__(self) -> str:
        return f"BuildJob({self.build_id}, taskrun={self.taskrun})"

    def annotations(self) -> dict[str, str]:
        return {
            ANNOTATION_JOB: self.job_id,
            ANNOTATION_CREATED: repr(self.created),
            ANNOTATION_REPOSITORY: self.repository,
        }

    def labels(self, executor: str) -> dict[str, str]:
        return {LABEL_APP: APP, LABEL_BUILD: self.build_id, LABEL_EXECUTOR: executor}

    def with_uid(self, uid: str) -> BuildJob:
        return replace(self, uid=uid)

    @staticmethod
    def of_taskrun(taskrun: Json) -> BuildJob | None:
        """The job a TaskRun carries, or None if it is none of ours or was tampered with beyond use."""
        metadata: dict[str, Any] = taskrun.get("metadata") or {}
        labels = metadata.get("labels") or {}
        annotations = metadata.get("annotations") or {}
        build_id, job_id = labels.get(LABEL_BUILD), annotations.get(ANNOTATION_JOB)
        if labels.get(LABEL_APP) != APP or not build_id or not job_id:
            return None
        try:
            created = float(annotations.get(ANNOTATION_CREATED, ""))
        except ValueError:
            return None
        return BuildJob(
            build_id=str(build_id),
            taskrun=str(metadata.get("name", "")),
            uid=str(metadata.get("uid", "")),
            job_id=str(job_id),
            created=created,
            repository=str(annotations.get(ANNOTATION_REPOSITORY, "")),
        )


def selector(executor: str) -> str:
    """Label selector of every TaskRun of the executor of that name."""
    return f"{LABEL_APP}={APP},{LABEL_EXECUTOR}={executor}"
