"""Says, before the first build, whether builds can run: with the executor's own configuration and credentials.

Each check is one line: ok, failed or left out, with what to do. A check that can't mean anything because an earlier one failed is
left out. The last two run TaskRuns of their own, which are deleted afterwards.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from slipway_quay.cluster import SECRET, TASK, TASKRUN, Cluster, ClusterError, ErrorKind, Json, Kind, NotFound
from slipway_quay.cluster.api import one_line
from slipway_quay.config import Api, Config
from slipway_quay.executor import finished

SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
ACCESS_REVIEW = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)

TEKTON_NAMESPACES = ("tekton-pipelines", "openshift-pipelines")
LEAST_TEKTON = (1, 0)
# As deploy/builder.yaml grants them: (group, resource, verbs).
NEEDED = (
    ("tekton.dev", "taskruns", ("create", "delete", "get", "list", "patch", "watch")),
    ("", "secrets", ("create", "delete", "get", "list", "patch")),
    ("", "pods", ("get",)),
    ("", "pods/log", ("get",)),
    ("coordination.k8s.io", "leases", ("create", "get", "patch")),
)
PARAMS = frozenset({"url", "revision", "IMAGE", "TAGS", "DOCKERFILE", "CONTEXT", "TLSVERIFY", "SKIP_PUSH"})
WORKSPACES = frozenset({"source", "ssh-directory", "ssl-ca-directory", "sslcertdir", "pull-dockerconfig", "push-dockerconfig"})
STEPS = ("fetch", "resolve", "build", "push")

OK, FAILED, LEFT_OUT = "ok", "FAILED", "left out"


@dataclass(frozen=True)
class Finding:
    check: str
    verdict: str
    says: str = ""
    hint: str = ""

    def __str__(self) -> str:
        says, hint = self.says and f": {self.says}", self.hint and f"\n         {self.hint}"
        return f"{self.verdict:9}{self.check}{says}{hint}"


class _Failed(Exception):
    def __init__(self, says: str, hint: str = "", *, verdict: str = FAILED) -> None:
        super().__init__(says)
        self.says, self.hint, self.verdict = says, hint, verdict


class Preflight:
    def __init__(
        self,
        config: Config,
        connect: Callable[[Api], Cluster],
        *,
        wait: float = 300,
        image: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wait`: seconds for each TaskRun. `image`: what the trial build is based on; without it nothing is pulled or run."""
        self._config, self._connect, self._wait, self._image = config, connect, wait, image
        self._cluster = connect(config.api)
        self._sleep, self._clock = sleep, clock
        self._task: Json | None = None  # the Task's spec, once it is known

    def run(self) -> Iterator[Finding]:
        """Every check, as it is made."""
        checks: tuple[tuple[str, Callable[[], str], bool], ...] = (
            # name, check, whether everything after depends on it
            ("the API answers", self._reachable, True),
            ("Tekton is new enough", self._tekton, False),
            ("rights of the build manager", self._rights, True),
            ("the builds' service account", self._service_account, False),
            ("the Task", self._known_task, True),
            ("a build of two lines", self._trial, False),
            ("what a build step's pod allows", self._doctor, False),
        )
        broken = ""
        for name, check, needed in checks:
            if broken:
                yield Finding(name, LEFT_OUT, f"needs {broken}")
                continue
            try:
                finding = Finding(name, OK, check())
            except _Failed as failed:
                finding = Finding(name, failed.verdict, failed.says, failed.hint)
            except ClusterError as error:
                finding = Finding(name, FAILED, str(error))
            if finding.verdict == FAILED and needed:
                broken = name
            yield finding

    def _reachable(self) -> str:
        try:
            self._cluster.list(TASKRUN, "app.kubernetes.io/managed-by=nobody")
        except NotFound:
            hint = "install Tekton 1.0 or newer: `install --tekton`"
            raise _Failed("the cluster knows no tekton.dev/v1 TaskRuns", hint) from None
        except ClusterError as error:
            hints = {
                ErrorKind.UNAUTHORIZED: "SERVICE_ACCOUNT_TOKEN is wrong or has expired: "
                "`kubectl -n NAMESPACE create token quay-build-manager`",
                ErrorKind.FORBIDDEN: "BUILDER_NAMESPACE is wrong, or deploy/builder.yaml was not applied: `install`",
                ErrorKind.NETWORK: "look at K8S_API_SERVER and K8S_API_TLS_CA",
            }
            raise _Failed(str(error), hints.get(error.kind, "")) from None
        return f"namespace {self._cluster.namespace}"

    def _tekton(self) -> str:
        for namespace in TEKTON_NAMESPACES:
            try:
                info = self._connect(replace(self._config.api, namespace=namespace)).get(CONFIG_MAP, "pipelines-info")
            except ClusterError as error:
                if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.FORBIDDEN):
                    continue
                raise
            version = str((info.get("data") or {}).get("version", ""))
            numbers = re.match(r"v?(\d+)\.(\d+)", version)
            if numbers is None:
                return f"version {version!r}, whatever that means"
            if (int(numbers[1]), int(numbers[2])) < LEAST_TEKTON:
                raise _Failed(f"version {version}", "the Task needs 1.0 or newer")
            return version
        raise _Failed("its version can't be seen", "the configmap pipelines-info can't be read", verdict=LEFT_OUT)

    def _rights(self) -> str:
        lacking = []
        for group, resource, verbs in NEEDED:
            name, _, part = resource.partition("/")
            for verb in verbs:
                asked = {"namespace": self._cluster.namespace, "group": group, "resource": name, "verb": verb}
                review = {
                    "apiVersion": ACCESS_REVIEW.api_version,
                    "kind": ACCESS_REVIEW.name,
                    "spec": {"resourceAttributes": asked | ({"subresource": part} if part else {})},
                }
                if not (self._cluster.create(ACCESS_REVIEW, review).get("status") or {}).get("allowed"):
                    lacking.append(f"{verb} {resource}")
        if lacking:
            raise _Failed(f"may not {', '.join(lacking)}", "apply deploy/builder.yaml: `install`")
        return ""

    def _service_account(self) -> str:
        name = self._config.service_account
        try:
            account = self._cluster.get(SERVICE_ACCOUNT, name)
        except NotFound:
            raise _Failed(f"there is no {name}", "SERVICE_ACCOUNT_NAME, or `install`") from None
        except ClusterError as error:
            if error.kind is not ErrorKind.FORBIDDEN:
                raise
            raise _Failed(f"{name} can't be looked at", verdict=LEFT_OUT) from None
        if account.get("secrets"):
            return f"{name}; its secrets are mounted into every step of every build: {', '.join(_names(account['secrets']))}"
        return name

    def _known_task(self) -> str:
        reference = self._config.task_ref
        if "resolver" in reference:
            return f"from the {reference['resolver']} resolver; the trial build shows whether it can be resolved"
        try:
            self._task = self._cluster.get(TASK, reference["name"])["spec"]
        except NotFound:
            raise _Failed(f"there is no Task {reference['name']}", "TASK, or `install --task FILE`") from None
        return self._suits()

    def _suits(self) -> str:
        assert self._task is not None
        steps = tuple(_names(self._task.get("steps")))
        lacking = sorted((PARAMS | set(self._config.task_params)) - set(_names(self._task.get("params"))))
        missing = sorted(WORKSPACES - set(_names(self._task.get("workspaces"))))
        if steps != STEPS or lacking or missing:
            problem = [f"steps are {', '.join(steps)}"] if steps != STEPS else []
            problem += [f"no parameter {', '.join(lacking)}"] if lacking else []
            problem += [f"no workspace {', '.join(missing)}"] if missing else []
            raise _Failed("; ".join(problem), "it is another Task than Slipway's, or an older one")
        images = {str(step.get("image")) for step in self._task["steps"]}
        return ", ".join(sorted(images))

    def _trial(self) -> str:
        name = f"preflight-build-{uuid.uuid4().hex[:8]}"
        base = f"FROM {self._image}\nRUN true\n" if self._image else "FROM scratch\nLABEL preflight=yes\n"
        data = {"Dockerfile": base64.b64encode(base.encode()).decode()}
        self._cluster.create(SECRET, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
        params = {"IMAGE": "preflight.invalid/preflight:latest", "SKIP_PUSH": "true", **self._config.task_params}
        spec = {
            "taskRef": self._config.task_ref,
            "params": [{"name": key, "value": value} for key, value in params.items()],
            "workspaces": [{"name": "source", "secret": {"secretName": name}}],
        }
        try:
            said, run = self._run(name, spec)
            resolved = (run.get("status") or {}).get("taskSpec")
            if isinstance(resolved, dict):
                self._task = resolved
                self._suits()
            return said
        finally:
            self._cluster.delete(SECRET, name)

    def _doctor(self) -> str:
        if self._task is None:
            raise _Failed("the Task is not known", verdict=LEFT_OUT)
        build = next(step for step in self._task["steps"] if step["name"] == "build")
        kept = ("image", "securityContext", "volumeMounts", "computeResources")
        step = {key: build[key] for key in kept if key in build} | {
            "name": "doctor",
            "command": build["command"],
            "args": ["doctor", "--work=/slipway/work"],
        }
        spec = {"taskSpec": {"steps": [step], "volumes": self._task.get("volumes", [])}}
        said, _ = self._run(f"preflight-doctor-{uuid.uuid4().hex[:8]}", spec)
        return said

    def _run(self, name: str, spec: Json) -> tuple[str, Json]:
        """A TaskRun with the configuration of builds: what it said, and what it was. It is deleted, whatever happens."""
        common: dict[str, Any] = {
            "serviceAccountName": self._config.service_account,
            "podTemplate": self._config.pod_template,
            "timeout": f"{int(self._wait)}s",
        }
        manifest = {
            "apiVersion": TASKRUN.api_version,
            "kind": TASKRUN.name,
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "slipway-quay-preflight"}},
            "spec": common | spec,
        }
        until = self._clock() + self._wait
        try:
            run = self._cluster.create(TASKRUN, manifest)
            while not finished(run):
                if self._clock() > until:
                    raise _Failed(f"not over within {self._wait:g} s: {_why(run)}", "look at its pod's events")
                self._sleep(1)
                run = self._cluster.get(TASKRUN, name)
            return self._outcome(run), run
        finally:
            self._cluster.delete(TASKRUN, name)

    def _said(self, run: Json) -> Finding:
        """What its steps said last: an error frame's words, or a report's first lines (of doctor), if they can still be had."""
        status: Json = run.get("status") or {}
        found = Finding("", FAILED)
        for step in status.get("steps") or []:
            try:
                lines = itertools.islice(
                    self._cluster.pod_log(str(status.get("podName")), str(step.get("container")), timeout=10), 100_000
                )
                for number, line in enumerate(lines):
                    if line.startswith(b'{"slipway":'):
                        error = json.loads(line).get("error") if b'"kind":"error"' in line else None
                        if isinstance(error, dict):
                            says = one_line(f"{error.get('code')}: {error.get('message')}")
                            found = Finding("", FAILED, says, one_line(error.get("hint") or ""))
                    elif step.get("name") == "doctor" and number < 3:
                        words = one_line(line.decode(errors="replace"))
                        found = replace(found, hint=words) if found.says else replace(found, says=words)
            except (ClusterError, ValueError, RecursionError):
                continue
        return found

    def _outcome(self, run: Json) -> str:
        succeeded: Json = next((each for each in run["status"]["conditions"] if each.get("type") == "Succeeded"), {})
        said = self._said(run)
        if succeeded.get("status") == "True":
            return said.says
        raise _Failed(said.says or _why(run), said.hint)


def _names(items: object) -> list[str]:
    return [str(item.get("name")) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _why(run: Json) -> str:
    conditions = (run.get("status") or {}).get("conditions") or [{}]
    return f"{conditions[0].get('reason', 'Tekton has not looked at it yet')}: {conditions[0].get('message', '')}".rstrip(": ")
