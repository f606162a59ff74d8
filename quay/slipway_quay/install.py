"""Puts into a cluster what builds need, with the rights of whoever runs it: Tekton, namespace, accounts and rights, the Task.

Everything is applied by `kubectl` or `oc` on the server's side, so that a second run changes nothing and a newer version
only what differs. Credentials are those of the client's own configuration (KUBECONFIG, or --kubeconfig); none is an argument.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

OPERATOR = "openshift-operator"
TEKTON_NAMESPACE = "tekton-pipelines"
WEBHOOK = "tekton-pipelines-webhook"


class InstallError(Exception):
    """One line of what failed, the client's own words below."""


@dataclass(frozen=True)
class Plan:
    namespace: str
    service_account: str
    tekton: str | None = None  # path or URL of a release manifest, or OPERATOR
    tasks: Sequence[str] = field(default_factory=tuple)  # paths or URLs of manifests, or folders with a kustomization


Run = Callable[[list[str], str | None], str]


def client(path: str, kubeconfig: str | None) -> Run:
    def run(arguments: list[str], stdin: str | None) -> str:
        argv = [path, *([f"--kubeconfig={kubeconfig}"] if kubeconfig else []), *arguments]
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        except OSError as error:
            raise InstallError(f"cannot run {path}: {error.strerror}") from None
        if done.returncode != 0:
            raise InstallError(f"`{path} {' '.join(arguments)}` failed\n{done.stderr.strip()}")
        return done.stdout

    return run


def builder_manifests(namespace: str, service_account: str) -> list[dict[str, Any]]:
    """deploy/builder.yaml for this namespace and service account."""
    text = resources.files("slipway_quay").joinpath("deploy/builder.yaml").read_text(encoding="utf-8")
    found = [each for each in yaml.safe_load_all(text) if each]
    for each in found:
        metadata = each["metadata"]
        if each["kind"] == "Namespace":
            metadata["name"] = namespace
            continue
        metadata["namespace"] = namespace
        if metadata["name"] == "quay-builder-sa":
            metadata["name"] = service_account
        for rule in each.get("rules", []):
            if rule.get("resourceNames") == ["quay-builder-sa"]:
                rule["resourceNames"] = [service_account]
        for subject in each.get("subjects", []):
            subject["namespace"] = namespace
    return found


def install(plan: Plan, run: Run, say: Callable[[str], None], *, wait: int = 300) -> None:
    """Raises InstallError at the first step that fails; a second run goes on from there."""
    if plan.tekton == OPERATOR:
        say("OpenShift Pipelines, by its operator")
        text = resources.files("slipway_quay").joinpath("deploy/openshift-pipelines.yaml").read_text(encoding="utf-8")
        run([*_APPLY, "-f", "-"], text)
        for condition in ("create", "condition=Established"):
            run(["wait", f"--for={condition}", "customresourcedefinition/taskruns.tekton.dev", f"--timeout={wait}s"], None)
    elif plan.tekton is not None:
        say(f"Tekton, {plan.tekton}")
        run([*_APPLY, "-f", plan.tekton], None)
        # A Task is refused while the webhook that looks at it is not there yet.
        deployment = f"deployment/{WEBHOOK}"
        run(["--namespace", TEKTON_NAMESPACE, "wait", "--for=condition=Available", deployment, f"--timeout={wait}s"], None)
    say(f"namespace {plan.namespace}, service accounts, rights")
    run([*_APPLY, "-f", "-"], yaml.safe_dump_all(builder_manifests(plan.namespace, plan.service_account), sort_keys=False))
    for task in plan.tasks:
        say(f"Task, {task}")
        option = "-k" if _is_folder(task) else "-f"
        run([*_APPLY, "--namespace", plan.namespace, option, task], None)
    say(
        f"""done. For Quay's config.yaml:
  SERVICE_ACCOUNT_TOKEN   from: kubectl -n {plan.namespace} create token quay-build-manager --duration=8760h
  BUILDER_NAMESPACE       {plan.namespace}
  SERVICE_ACCOUNT_NAME    {plan.service_account}
then: python -m slipway_quay preflight --config config.yaml"""
    )


_APPLY = ("apply", "--server-side", "--field-manager=slipway-quay")


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)
