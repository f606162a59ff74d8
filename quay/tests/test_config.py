"""Every key of the executor's configuration: what it may be, what is said when it isn't."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from slipway_quay import config
from slipway_quay.config import ConfigError, label_of, load

TOKEN = "eyJhbGciOi.secret-of-the-account.x"
SMALLEST = {"EXECUTOR": "tekton", "K8S_API_SERVER": "api.example.com:6443", "SERVICE_ACCOUNT_TOKEN": TOKEN}


def problems(**entry: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(SMALLEST | entry)
    return refused.value.problems


def test_the_smallest_entry_is_enough() -> None:
    config = load(SMALLEST)
    assert config.api.server == "https://api.example.com:6443"
    assert config.api.namespace == "builder"
    assert config.task_ref == {"kind": "Task", "name": "slipway"}
    assert config.service_account == "quay-builder-sa"
    assert config.pod_template == {"automountServiceAccountToken": False, "enableServiceLinks": False}
    assert (config.name, config.max_job_time, config.retention) == ("TektonExecutor", 7200, 120)


def test_an_entry_of_quays_kubernetes_executor_is_taken_over_by_one_changed_line() -> None:
    config = load(
        {
            "EXECUTOR": "tekton",
            "NAME": "openshift",
            "BUILDER_NAMESPACE": "quay-builds",
            "SETUP_TIME": 180,
            "MINIMUM_RETRY_THRESHOLD": 0,
            "NAMESPACE_WHITELIST": ["team"],
            "BUILDER_CONTAINER_IMAGE": "quay.io/projectquay/quay-builder:latest",
            "K8S_API_SERVER": "api.example.com:6443",
            "K8S_API_TIMEOUT": 10,
            "SERVICE_ACCOUNT_NAME": "builds",
            "SERVICE_ACCOUNT_TOKEN": TOKEN,
            "IMAGE_PULL_SECRET_NAME": "pull",
            "KUBERNETES_DISTRIBUTION": "openshift",
            "CONTAINER_MEMORY_REQUEST": "1Gi",
            "CONTAINER_MEMORY_LIMITS": "5120Mi",
            "CONTAINER_CPU_REQUEST": "500m",
            "CONTAINER_CPU_LIMITS": "1000m",
            "NODE_SELECTOR_LABEL_KEY": "pool",
            "NODE_SELECTOR_LABEL_VALUE": "builds",
            "DNS_POLICY": "Default",
            "MAXIMUM_JOB_TIME": 3600,
            "RETENTION_AFTER_FINISHED": 60,
            "HTTPS_PROXY": "http://user:password@proxy:3128",
            "DEBUG": False,
        }
    )
    assert (config.name, config.api.namespace, config.max_job_time, config.retention) == ("openshift", "quay-builds", 3600, 60)
    assert config.pod_template["nodeSelector"] == {"pool": "builds"}
    assert config.pod_template["imagePullSecrets"] == [{"name": "pull"}]
    assert config.pod_template["dnsPolicy"] == "Default"
    assert config.step_resources == [
        {
            "name": "build",
            "computeResources": {
                "requests": {"memory": "1Gi", "cpu": "500m"},
                "limits": {"memory": "5120Mi", "cpu": "1000m"},
            },
        }
    ]
    assert config.proxies == {"HTTPS_PROXY": "http://user:password@proxy:3128"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("K8S_API_SERVER", "https://api/with/path", "has to be host"),
        ("K8S_API_SERVER", "a b", "has to be host"),
        ("K8S_API_SERVER", "http://api.example.com", "plain http"),
        ("K8S_API_SERVER", 5, "has to be text, and is a number"),
        ("SERVICE_ACCOUNT_TOKEN", "two words", "printable text"),
        ("SERVICE_ACCOUNT_TOKEN_FILE", "/nowhere/token", "there is no file"),
        ("K8S_API_TLS_CA", "/nowhere/ca", "there is no file"),
        ("K8S_API_TIMEOUT", 0, "a number from 1 to 25"),
        ("K8S_API_TIMEOUT", True, "a number"),
        ("BUILDER_NAMESPACE", "Not_A_Name", "the name of a namespace"),
        ("SERVICE_ACCOUNT_NAME", "-", "the name of a ServiceAccount"),
        ("CONTAINER_MEMORY_REQUEST", "lots", "a quantity"),
        ("STORAGE_SIZE", "10GB", "a quantity"),
        ("MAXIMUM_JOB_TIME", 1, "a number from 60"),
        ("START_TIMEOUT", 30, "a number from 5 to 28"),
        ("CLUSTER_ACCESS", "ssh", "rest or openshift"),
        ("KUBECONFIG", "/nowhere", "there is no file"),
        ("DEBUG", "yes", "true or false"),
        ("POD_TEMPLATE", {"volumes": []}, "volumes can't be set here"),
        ("POD_TEMPLATE", {"hostUsers": "no"}, "hostUsers has to be true or false"),
        ("POD_TEMPLATE", [], "a mapping"),
        ("DNS_POLICY", "Mine", "a dnsPolicy"),
        ("TASK", {"name": "Not a name"}, "has to be {name: NAME}"),
        ("TASK", {"resolver": "ftp"}, "has to be one of bundles"),
        ("TASK", {"resolver": "bundles", "bundle": "x"}, "resolver bundles needs name"),
        ("TASK", {"resolver": "hub", "name": "slipway", "version": "1", "colour": "red"}, "resolver hub has no colour"),
        ("TASK", {"resolver": "git", "pathInRepo": "a", "revision": "b"}, "needs url, or org and repo"),
        ("TASK", {"resolver": "git", "url": 1, "pathInRepo": "a", "revision": "b"}, "url has to be text"),
        ("TASK_PARAMS", {"url": "https://elsewhere"}, "url is set for every build anew"),
        ("TASK_PARAMS", {"LABELS": [1]}, "LABELS has to be text"),
        ("CA_CERT", "not one", "PEM certificates"),
        ("EXTRA_CA_CERTS", ["nowhere.crt"], "cannot read"),
        ("BUILDER_NAMESPCE", "x", "BUILDER_NAMESPACE is"),
        ("K8S_API_TLS_CERT", __file__, "belong together"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_that_names_its_key(key: str, value: Any, said: str) -> None:
    found = problems(**{key: value})
    assert any(key.removesuffix("_FILE") in line and said in line for line in found), found
    assert all("\n" not in line for line in found)
    assert TOKEN not in "".join(found)


def test_everything_wrong_is_said_at_once() -> None:
    assert len(problems(DEBUG="x", K8S_API_TIMEOUT=-1, TASK={"resolver": "x"}, NONSENSE=1)) == 4


def test_no_credentials_for_another_machine_are_missed_at_start() -> None:
    with pytest.raises(ConfigError, match="SERVICE_ACCOUNT_TOKEN: or"):
        load({"K8S_API_SERVER": "api.example.com"})


def test_an_api_on_this_machine_needs_none() -> None:
    assert load({"EXECUTOR": "tekton"}).api.server == "http://localhost:8080"


def test_an_empty_value_is_none() -> None:
    assert load(SMALLEST | {"BUILDER_NAMESPACE": "", "NODE_SELECTOR_LABEL_VALUE": ""}).api.namespace == "builder"


@pytest.mark.parametrize(
    ("task", "reference"),
    [
        ({"name": "mine"}, {"kind": "Task", "name": "mine"}),
        (
            {"resolver": "bundles", "bundle": "quay.io/slipway/tasks:0.1", "name": "slipway", "kind": "task"},
            {
                "resolver": "bundles",
                "params": [
                    {"name": "bundle", "value": "quay.io/slipway/tasks:0.1"},
                    {"name": "kind", "value": "task"},
                    {"name": "name", "value": "slipway"},
                ],
            },
        ),
        (
            {"resolver": "git", "url": "https://x/y.git", "revision": "v1", "pathInRepo": "tasks/slipway.yaml"},
            {
                "resolver": "git",
                "params": [
                    {"name": "pathInRepo", "value": "tasks/slipway.yaml"},
                    {"name": "revision", "value": "v1"},
                    {"name": "url", "value": "https://x/y.git"},
                ],
            },
        ),
        (
            {"resolver": "hub", "name": "slipway", "version": "0.1.0", "catalog": "c"},
            {
                "resolver": "hub",
                "params": [
                    {"name": "catalog", "value": "c"},
                    {"name": "name", "value": "slipway"},
                    {"name": "version", "value": "0.1.0"},
                ],
            },
        ),
    ],
)
def test_the_task_may_be_named_or_resolved(task: dict[str, str], reference: dict[str, Any]) -> None:
    assert load(SMALLEST | {"TASK": task}).task_ref == reference


def test_no_secret_is_in_a_configurations_text() -> None:
    text = repr(load(SMALLEST | {"HTTP_PROXY": "http://u:proxy-password@p"}))
    assert TOKEN not in text
    assert "proxy-password" not in text


def test_every_key_is_in_the_guide() -> None:
    source = Path(config.__file__).read_text(encoding="utf-8")
    keys = set(re.findall(r'(?:read\.\w+|quantity)\("([A-Z0-9_]+)"', source)) | {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
    guide = (Path(config.__file__).parents[2] / "docs/quay.md").read_text(encoding="utf-8")
    assert len(keys) > 35
    assert {key for key in keys if f"`{key}`" not in guide} == set()


def test_certificates_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
    (tmp_path / "extra.crt").write_text(pem.format("b"))
    monkeypatch.setenv("QUAYCONF", str(tmp_path))
    bundle = load(SMALLEST | {"CA_CERT": pem.format("a"), "EXTRA_CA_CERTS": ["extra.crt"]}).ca_bundle
    assert bundle == pem.format("a") + "\n" + pem.format("b") + "\n"


def test_names_that_are_no_labels_become_different_labels() -> None:
    assert label_of("openshift") == "openshift"
    names = ["Unser Cluster", "Unser-Cluster", "x" * 100, "x" * 101, "ü", ""]
    labels = [label_of(name) for name in names]
    assert len(set(labels)) == len(names)
    assert all(0 < len(label) <= 63 and label.isascii() and " " not in label for label in labels)
