"""The Pipeline for several platforms, run by Tekton's controller: its matrix, its results, and what the registry holds then."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

import pytest
import yaml
from plane import TOP, Plane
from world import NAMESPACE, ROBOT, Servers, eventually

NOTHING_IS_RUN = "FROM scratch\nCOPY README /README\n"


@pytest.fixture(scope="module")
def ready(installed: Plane, servers: Servers) -> Plane:
    """The Tasks, and a Secret for each workspace; the account is what kube-controller-manager makes elsewhere."""
    for name in ("slipway", "slipway-index", "slipway-images"):
        task = yaml.safe_load((TOP / f"tasks/{name}.yaml").read_text())
        task["metadata"]["namespace"] = NAMESPACE
        installed.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(task))
    login = base64.b64encode(":".join(ROBOT).encode()).decode()
    secrets = {
        "platforms-git": {"id_ed25519": servers.private_key, "known_hosts": servers.known_hosts},
        "platforms-registry": {"config.json": json.dumps({"auths": {servers.registry: {"auth": login}}})},
        "platforms-ca": {"ca.crt": servers.ca},
    }
    installed.apply(
        {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE},
            "automountServiceAccountToken": False,  # no step asks the API for anything
        },
        *(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": data}
            for name, data in secrets.items()
        ),
    )
    return installed


def runs(plane: Plane, servers: Servers, name: str, dockerfile: str, **params: Any) -> dict[str, Any]:
    """tasks/samples/platforms.yaml with this repository, to its end; the PipelineRun then."""
    url, commit = servers.repository(dockerfile)
    sample = yaml.safe_load((TOP / "tasks/samples/platforms.yaml").read_text())
    sample["metadata"] = {"name": name, "namespace": NAMESPACE}
    values = {"url": url, "revision": commit, "IMAGE": f"{servers.registry}/team/platforms:{name}", **params}
    given = {one["name"]: one["value"] for one in sample["spec"]["params"]} | values
    sample["spec"]["params"] = [{"name": key, "value": value} for key, value in given.items()]
    secrets = {"ssh-directory": "platforms-git", "dockerconfig": "platforms-registry", "sslcertdir": "platforms-ca"}
    sample["spec"]["workspaces"] = [{"name": key, "secret": {"secretName": secret}} for key, secret in secrets.items()]
    plane.apply(sample)

    def over() -> dict[str, Any] | None:
        run = plane.get("pipelinerun", name, NAMESPACE)
        assert run is not None
        return run if (condition(run) or {}).get("status") in ("True", "False") else None

    return dict(eventually(over, f"PipelineRun {name} ends", 300))


def condition(of: dict[str, Any]) -> dict[str, Any] | None:
    return next((one for one in of.get("status", {}).get("conditions", []) if one["type"] == "Succeeded"), None)


def taskruns(plane: Plane, name: str) -> list[dict[str, Any]]:
    text = plane.kubectl("-n", NAMESPACE, "get", "taskruns", "-l", f"tekton.dev/pipelineRun={name}", "-o", "json")
    return list(json.loads(text)["items"])


def ends(plane: Plane, name: str) -> list[Any]:
    return [(one["spec"].get("params"), condition(one), one["status"].get("results")) for one in taskruns(plane, name)]


def manifest(servers: Servers, reference: str) -> dict[str, Any]:
    argv = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"--creds={':'.join(ROBOT)}",
            f"docker://{servers.registry}/team/platforms{reference}"]
    return dict(json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))


def test_an_image_for_two_platforms_is_built_in_parallel_and_joined(ready: Plane, servers: Servers) -> None:
    run = runs(ready, servers, "two", NOTHING_IS_RUN)
    assert (condition(run) or {})["status"] == "True", [(condition(run) or {}).get("message"), *ends(ready, "two")]
    results = {one["name"]: one["value"] for one in run["status"]["results"]}
    assert results == {
        "IMAGE_URL": f"{servers.registry}/team/platforms:two",
        "IMAGE_DIGEST": servers.digest("team/platforms", "two"),
    }
    index = manifest(servers, ":two")
    platforms = [f"{one['platform']['os']}/{one['platform']['architecture']}" for one in index["manifests"]]
    assert sorted(platforms) == ["linux/amd64", "linux/arm64"]
    built = {
        result["value"].rpartition("@")[2]
        for one in taskruns(ready, "two")
        for result in one["status"].get("results", [])
        if result["name"] == "IMAGE_REF"
    }
    assert {one["digest"] for one in index["manifests"]} == built
    assert len(taskruns(ready, "two")) == 3


def test_one_platform_that_fails_leaves_no_index_and_says_why(ready: Plane, servers: Servers) -> None:
    run = runs(ready, servers, "half", NOTHING_IS_RUN, PLATFORMS=["linux/amd64", "linux/nothing/at/all"])
    assert (condition(run) or {})["status"] == "False"
    assert servers.digest("team/platforms", "half") == ""
    assert len(ends(ready, "half")) == 2, ends(ready, "half")
    failed = [one for one in taskruns(ready, "half") if (condition(one) or {}).get("status") == "False"]
    results = {one["name"]: one["value"] for one in failed[0]["status"]["results"]}
    assert results["error-reason"] == "missingorinvalidargument"
    assert "linux/nothing/at/all" in results["error-message"]
