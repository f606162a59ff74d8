"""What preflight says of a cluster, and what install does to one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import apiserver
import pytest
import yaml
from conftest import settings_for

from slipway_quay import __main__ as program
from slipway_quay.cluster.connect import connect
from slipway_quay.config import load
from slipway_quay.install import OPERATOR, InstallError, Plan, builder_manifests, client, install
from slipway_quay.preflight import FAILED, LEFT_OUT, NEEDED, OK, PARAMS, STEPS, WORKSPACES, Finding, Preflight

TASK = {
    "params": [{"name": name} for name in sorted(PARAMS)],
    "workspaces": [{"name": name} for name in sorted(WORKSPACES)],
    "volumes": [{"name": "work", "emptyDir": {}}],
    "steps": [
        {"name": name, "image": "i:1", "command": ["/usr/bin/slipway"], "args": [name], "securityContext": {"runAsUser": 0}}
        for name in STEPS
    ],
}


class Cluster:
    """A server on which everything is well, and TaskRuns end at once."""

    def __init__(self, server: apiserver.ApiServer) -> None:
        self.server = server
        self.outcome = ("True", "Succeeded", "")
        self.log: list[bytes | None] = [None]
        self.taskruns: list[Any] = []
        server.put("tasks", {"metadata": {"name": "slipway"}, "spec": TASK})
        server.put("serviceaccounts", {"metadata": {"name": "quay-builder-sa"}})
        server.put("configmaps", {"metadata": {"name": "pipelines-info"}, "data": {"version": "v1.15.0"}}, "tekton-pipelines")
        server.on_create = self.created

    def created(self, plural: str, item: Any) -> None:
        if plural != "taskruns":
            return
        self.taskruns.append(item)
        name, (status, reason, message) = item["metadata"]["name"], self.outcome
        if not status:
            return
        pod = f"{name}-pod"
        self.server.put("pods", {"metadata": {"name": pod}})
        self.server.log(pod, "step-build", *self.log)
        condition = {"type": "Succeeded", "status": status, "reason": reason, "message": message}
        step = "doctor" if "taskSpec" in item["spec"] else "build"
        steps = [{"name": step, "container": "step-build"}]
        self.server.update(
            "taskruns", name, lambda run: run.update(status={"conditions": [condition], "podName": pod, "steps": steps})
        )

    def findings(self, **entry: Any) -> dict[str, Finding]:
        settings = settings_for(self.server)
        config = load(
            {"K8S_API_SERVER": settings.server, "SERVICE_ACCOUNT_TOKEN": settings.token, "K8S_API_TLS_CA": settings.ca} | entry
        )
        found = list(Preflight(config, connect, wait=3, sleep=lambda _: None).run())
        assert all("\n" not in finding.says for finding in found)
        return {finding.check: finding for finding in found}

    def left(self) -> list[str]:
        return self.server.names("taskruns") + self.server.names("secrets")


@pytest.fixture
def cluster(server: apiserver.ApiServer) -> Cluster:
    return Cluster(server)


def test_all_is_well(cluster: Cluster) -> None:
    found = cluster.findings()
    assert {finding.verdict for finding in found.values()} == {OK}, found
    assert found["Tekton is new enough"].says == "v1.15.0"
    assert cluster.left() == []


def test_the_trial_runs_as_builds_do(cluster: Cluster) -> None:
    cluster.findings(POD_TEMPLATE={"hostUsers": False}, TASK_PARAMS={"SKIP_PUSH": "true"})
    trial, doctor = cluster.taskruns
    assert trial["spec"]["taskRef"] == {"kind": "Task", "name": "slipway"}
    assert {"name": "SKIP_PUSH", "value": "true"} in trial["spec"]["params"]
    for run in (trial, doctor):
        assert run["spec"]["podTemplate"]["hostUsers"] is False
        assert run["spec"]["serviceAccountName"] == "quay-builder-sa"
    [step] = doctor["spec"]["taskSpec"]["steps"]
    assert (step["args"][0], step["securityContext"]) == ("doctor", {"runAsUser": 0})


def test_no_api(cluster: Cluster) -> None:
    cluster.server.stop()
    found = list(cluster.findings().values())
    assert [finding.verdict for finding in found] == [FAILED] + [LEFT_OUT] * 6
    assert "K8S_API_SERVER" in found[0].hint


def test_a_token_that_is_not_accepted(cluster: Cluster) -> None:
    found = cluster.findings(SERVICE_ACCOUNT_TOKEN="another")["the API answers"]
    assert found.verdict == FAILED
    assert "SERVICE_ACCOUNT_TOKEN" in found.hint


def test_no_tekton(cluster: Cluster) -> None:
    cluster.server.fault("GET", "/taskruns", lambda handler: handler.status(404, "NotFound", "no such resource"))
    found = cluster.findings()["the API answers"]
    assert (found.verdict, "install --tekton" in found.hint) == (FAILED, True)


@pytest.mark.parametrize(("version", "verdict"), [("v0.65.2", FAILED), ("v1.0.0", OK), ("v2.0", OK), ("devel", OK)])
def test_tektons_version(cluster: Cluster, version: str, verdict: str) -> None:
    cluster.server.update("configmaps", "pipelines-info", lambda it: it["data"].update(version=version), "tekton-pipelines")
    assert cluster.findings()["Tekton is new enough"].verdict == verdict


def test_openshifts_tekton_is_elsewhere(cluster: Cluster) -> None:
    cluster.server.remove("configmaps", "pipelines-info", "tekton-pipelines")
    assert cluster.findings()["Tekton is new enough"].verdict == LEFT_OUT
    info = {"metadata": {"name": "pipelines-info"}, "data": {"version": "v1.9.1"}}
    cluster.server.put("configmaps", info, "openshift-pipelines")
    assert cluster.findings()["Tekton is new enough"].says == "v1.9.1"


def test_rights_that_lack_are_named(cluster: Cluster) -> None:
    cluster.server.denied = {("patch", "taskruns"), ("get", "pods/log")}
    found = cluster.findings()
    assert found["rights of the build manager"].says == "may not patch taskruns, get pods/log"
    assert found["a build of two lines"].verdict == LEFT_OUT


def test_the_manifests_grant_what_is_needed() -> None:
    role = next(each for each in builder_manifests("builder", "quay-builder-sa") if each["kind"] == "Role")
    granted = {
        (group, resource, verb)
        for rule in role["rules"] for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
    }
    needed = {(group, resource, verb) for group, resource, verbs in NEEDED for verb in verbs}
    more = {("tekton.dev", "tasks", "get"), ("", "serviceaccounts", "get")}
    assert granted == needed | more


def test_no_service_account(cluster: Cluster) -> None:
    assert "there is no other" in cluster.findings(SERVICE_ACCOUNT_NAME="other")["the builds' service account"].says


def test_an_accounts_secrets_are_mentioned(cluster: Cluster) -> None:
    cluster.server.update("serviceaccounts", "quay-builder-sa", lambda it: it.update(secrets=[{"name": "git-key"}]))
    assert "mounted into every step of every build: git-key" in cluster.findings()["the builds' service account"].says


def test_no_task(cluster: Cluster) -> None:
    found = cluster.findings(TASK={"name": "other"})
    assert found["the Task"].verdict == FAILED
    assert found["a build of two lines"].verdict == LEFT_OUT


def test_another_task(cluster: Cluster) -> None:
    cluster.server.update("tasks", "slipway", lambda it: it["spec"].update(steps=[{"name": "x"}], params=[]))
    says = cluster.findings()["the Task"].says
    assert "steps are x" in says
    assert "no parameter CONTEXT, DOCKERFILE, IMAGE" in says


def test_parameters_of_the_configuration_that_the_task_has_not(cluster: Cluster) -> None:
    assert cluster.findings(TASK_PARAMS={"COLOUR": "red"})["the Task"].says == "no parameter COLOUR"


def test_a_resolved_task_is_looked_at_once_the_trial_has_resolved_it(cluster: Cluster) -> None:
    task = {"resolver": "bundles", "bundle": "r/b:1", "name": "slipway"}
    assert cluster.findings(TASK=task)["what a build step's pod allows"].verdict == LEFT_OUT
    old = cluster.created

    def resolved(plural: str, item: Any) -> None:
        old(plural, item)
        if plural == "taskruns":
            cluster.server.update("taskruns", item["metadata"]["name"], lambda run: run["status"].update(taskSpec=TASK))

    cluster.server.on_create = resolved
    assert cluster.findings(TASK=task)["what a build step's pod allows"].verdict == OK


def test_a_failed_trial_says_what_the_step_said(cluster: Cluster) -> None:
    cluster.outcome = ("False", "StepFailed", '"step-build" exited with code 14')
    error = {"code": "podforbids", "message": "no user namespace", "hint": "grant SETUID, SETGID"}
    cluster.log = [b"foreign", json.dumps({"slipway": 1, "kind": "error", "error": error}, separators=(",", ":")).encode(), None]
    found = cluster.findings()["a build of two lines"]
    assert (found.verdict, found.says, found.hint) == (FAILED, "podforbids: no user namespace", "grant SETUID, SETGID")
    assert cluster.left() == []


def test_what_doctor_says_is_passed_on(cluster: Cluster) -> None:
    cluster.log = [b"This pod can build: recipe A, chroot isolation, overlay storage", b"", b"Who we are", b"  user 0", None]
    assert "recipe A" in cluster.findings()["what a build step's pod allows"].says


def test_a_trial_tekton_refuses_says_why(cluster: Cluster) -> None:
    cluster.outcome = ("False", "TaskRunResolutionFailed", "no such bundle")
    assert cluster.findings()["a build of two lines"].says == "TaskRunResolutionFailed: no such bundle"


def test_a_trial_that_never_ends_is_deleted(cluster: Cluster) -> None:
    cluster.outcome = ("", "", "")
    assert "not over within 3 s" in cluster.findings()["a build of two lines"].says
    assert cluster.left() == []


class TestInstall:
    def plan(self, **options: Any) -> list[tuple[list[str], str | None]]:
        calls: list[tuple[list[str], str | None]] = []
        install(Plan("builds", "builder-sa", **options), lambda argv, stdin: calls.append((argv, stdin)) or "", lambda _: None)
        return calls

    def test_tekton_comes_first_and_is_waited_for(self) -> None:
        calls = self.plan(tekton="release.yaml", tasks=["task.yaml"])
        assert [argv[0] if argv[0] == "apply" else argv[2] for argv, _ in calls] == ["apply", "wait", "apply", "apply"]
        assert calls[0][0][-1] == "release.yaml"
        assert calls[-1][0][-2:] == ["-f", "task.yaml"]
        assert all("--server-side" in argv for argv, _ in calls if argv[0] == "apply")

    def test_openshifts_operator(self) -> None:
        calls = self.plan(tekton=OPERATOR)
        assert "openshift-pipelines-operator-rh" in str(calls[0][1])
        assert [argv[0] for argv, _ in calls] == ["apply", "wait", "wait", "apply"]

    def test_a_folder_is_a_kustomization(self, tmp_path: Path) -> None:
        assert self.plan(tasks=[str(tmp_path)])[-1][0][-2:] == ["-k", str(tmp_path)]

    def test_namespace_and_account_are_put_into_every_manifest(self) -> None:
        found = builder_manifests("builds", "builder-sa")
        text = json.dumps(found)
        assert "quay-builder-sa" not in text
        assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in found} == {"builds"}
        assert found[-1]["subjects"][0]["namespace"] == "builds"

    def test_as_it_stands_the_file_is_for_the_defaults(self) -> None:
        file = Path(program.__file__).parent / "deploy/builder.yaml"
        assert list(yaml.safe_load_all(file.read_text())) == builder_manifests("builder", "quay-builder-sa")

    def test_what_the_client_says_is_passed_on(self, tmp_path: Path) -> None:
        fake = tmp_path / "kubectl"
        fake.write_text('#!/bin/sh\necho "$@" >"$0.arguments"; cat >"$0.stdin"; echo "no rights" >&2; exit 1\n')
        fake.chmod(0o755)
        with pytest.raises(InstallError, match="no rights"):
            client(str(fake), "/k")(["apply", "-f", "-"], "text")
        assert (tmp_path / "kubectl.arguments").read_text().split() == ["--kubeconfig=/k", "apply", "-f", "-"]
        assert (tmp_path / "kubectl.stdin").read_text() == "text"
        with pytest.raises(InstallError, match="cannot run"):
            client("/nowhere/kubectl", None)([], None)


class TestCommand:
    def config(self, tmp_path: Path, *entries: Any) -> str:
        file = tmp_path / "config.yaml"
        file.write_text(yaml.safe_dump({"BUILD_MANAGER": ["ephemeral", {"EXECUTORS": list(entries)}]}))
        return str(file)

    def test_check(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert program.main(["check", "--config", self.config(tmp_path, {"EXECUTOR": "kubernetes"}, {"EXECUTOR": "tekton"})]) == 0
        assert program.main(["check", "--config", self.config(tmp_path, {"EXECUTOR": "tekton", "DEBUG": "x", "Y": 1})]) == 1
        assert "DEBUG: has to be true or false\nY: is not a key" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "entries", [[], [{"EXECUTOR": "popen"}], [{"EXECUTOR": "tekton"}, {"EXECUTOR": "tekton", "NAME": "b"}]]
    )
    def test_no_one_executor(self, tmp_path: Path, entries: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
        assert program.main(["check", "--config", self.config(tmp_path, *entries)]) == 2
        assert "executors of kind tekton" in capsys.readouterr().err

    def test_one_of_several_is_named(self, tmp_path: Path) -> None:
        path = self.config(tmp_path, {"EXECUTOR": "tekton"}, {"EXECUTOR": "tekton", "NAME": "b"})
        assert program.main(["check", "--config", path, "--executor", "b"]) == 0

    @pytest.mark.parametrize("text", ["", "a: [", "BUILD_MANAGER: x", "[]"])
    def test_files_that_are_no_configuration(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "c.yaml").write_text(text)
        assert program.main(["check", "--config", str(tmp_path / "c.yaml")]) == 2
        assert program.main(["check", "--config", str(tmp_path / "nowhere.yaml")]) == 2

    def test_preflight_fails_when_a_check_does(
        self, tmp_path: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server = cluster.server
        entry = {
            "EXECUTOR": "tekton",
            "K8S_API_SERVER": server.address,
            "SERVICE_ACCOUNT_TOKEN": server.token,
            "K8S_API_TLS_CA": server.certificate,
        }
        argv = ["preflight", "--config", self.config(tmp_path, entry), "--wait", "20"]
        assert program.main(argv) == 0
        server.denied = {("create", "taskruns")}
        assert program.main(argv) == 1
        said = capsys.readouterr().out
        assert "FAILED   rights of the build manager: may not create taskruns" in said
        assert str(server.token) not in said
        assert os.path.basename(str(server.certificate)) not in said
