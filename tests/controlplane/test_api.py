"""What is applied, asked and granted, against a real API server with Tekton's CRDs: validation, adapters, rights, preflight."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import slipway_quay
from plane import TOP, Plane
from world import NAMESPACE, Servers

KUSTOMIZATIONS = sorted(
    path.parent.relative_to(TOP) for folder in ("tasks", "deploy") for path in (TOP / folder).rglob("kustomization.yaml")
)


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=str)
def test_a_kustomization_is_what_the_crds_know(installed: Plane, folder: Path) -> None:
    """Strict: a field the schema does not have is an error."""
    said = installed.kubectl("apply", "-k", str(TOP / folder), "-n", NAMESPACE, "--server-side", "--dry-run=server",
                             "--validate=strict", "--force-conflicts", "--field-manager=test")
    assert "serverside-applied (server dry run)" in said


def test_a_field_that_tekton_does_not_know_is_refused(installed: Plane) -> None:
    """So that the test above can fail."""
    task = yaml.safe_load((TOP / "tasks/slipway.yaml").read_text())
    task["spec"]["steps"][0]["comand"] = ["x"]
    with pytest.raises(Exception, match="comand"):
        installed.kubectl("apply", "-n", NAMESPACE, "--server-side", "--dry-run=server", "--validate=strict",
                          "--force-conflicts", "--field-manager=test", "-f", "-", stdin=yaml.safe_dump(task))


def versions(plane: Plane) -> dict[str, str]:
    items = json.loads(plane.kubectl("-n", NAMESPACE, "get", "serviceaccounts,roles,rolebindings,tasks", "-o", "json"))["items"]
    return {f"{item['kind']} {item['metadata']['name']}": item["metadata"]["resourceVersion"] for item in items}


def test_a_second_install_changes_nothing(installed: Plane) -> None:
    before = versions(installed)
    done = slipway_quay("install", "--namespace", NAMESPACE, "--kubeconfig", str(installed.kubeconfig),
                        "--task", str(TOP / "tasks/slipway.yaml"))
    assert done.returncode == 0, done.stderr
    assert versions(installed) == before


def test_the_manager_may_do_what_it_needs_and_no_more(installed: Plane) -> None:
    who = f"--as=system:serviceaccount:{NAMESPACE}:quay-build-manager"

    def may(verb: str, what: str, namespace: str = NAMESPACE) -> bool:
        done = installed._run(("auth", "can-i", verb, what, "-n", namespace, who), None)
        return done.stdout.strip() == "yes"

    assert may("create", "taskruns.tekton.dev") and may("get", "pods/log")
    assert not may("create", "pods/exec") and not may("create", "pods")
    assert not may("get", "secrets", "default") and not may("list", "taskruns.tekton.dev", "default")


def test_both_adapters_keep_their_contract(installed: Plane) -> None:
    """quay/tests/test_cluster.py, its cases against this API."""
    installed.kubectl("-n", NAMESPACE, "create", "serviceaccount", "contract")
    installed.kubectl("-n", NAMESPACE, "create", "rolebinding", "contract", "--clusterrole=admin",
                      f"--serviceaccount={NAMESPACE}:contract")
    # What the role `admin` of a cluster has by aggregation, which a controller does that is not here.
    installed.kubectl("-n", NAMESPACE, "create", "role", "contract", "--verb=*", "--resource=secrets,pods,pods/log")
    installed.kubectl("-n", NAMESPACE, "create", "rolebinding", "contract-secrets", "--role=contract",
                      f"--serviceaccount={NAMESPACE}:contract")
    environment = os.environ | {"SLIPWAY_TEST_API": installed.server, "SLIPWAY_TEST_API_CA": installed.ca,
                                "SLIPWAY_TEST_API_TOKEN": installed.token(NAMESPACE, "contract")}
    options = ["-p", "no:cacheprovider", "-k", "real"]
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", *options, "tests/test_cluster.py"], cwd=TOP / "quay",
                          env=environment, capture_output=True, text=True, check=False, timeout=600)
    print(done.stdout[-3000:])
    assert done.returncode == 0
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 20


@pytest.mark.parametrize("access", ["rest", "openshift"])
def test_preflight_finds_everything_right(installed: Plane, servers: Servers, work: Path, access: str) -> None:
    entry = {"EXECUTOR": "tekton", "K8S_API_SERVER": installed.server, "K8S_API_TLS_CA": installed.ca, "CLUSTER_ACCESS": access,
             "SERVICE_ACCOUNT_TOKEN": installed.token(NAMESPACE, "quay-build-manager"), "BUILDER_NAMESPACE": NAMESPACE,
             "CA_CERT": servers.ca}
    if access == "openshift":
        entry["OC_PATH"] = "kubectl"
    config = work / f"preflight-{access}.yaml"
    config.write_text(yaml.safe_dump({"BUILD_MANAGER": ["ephemeral", {"EXECUTORS": [entry]}]}))
    done = slipway_quay("preflight", "--config", str(config), "--wait", "240")
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert len(lines) == 7
