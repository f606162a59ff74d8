"""An executor's configuration: Quay's `EXECUTORS` entry, checked once, as one frozen value.

Keys keep the names Quay's Kubernetes executors gave them wherever they mean the same. ConfigError has one line for each
thing that is wrong, each naming its key and what would be right; no value of a secret key is ever quoted. Times are
seconds, quantities are Kubernetes' own notation. Keys nobody knows are refused: a misspelt one would be silently default.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway_quay.cluster import Json


class ConfigError(Exception):
    """Every problem found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class FollowSettings:
    """How a running TaskRun is followed."""

    manager_address: str = "localhost:50051"  # Quay's gRPC server, plaintext, as it listens within its own container
    scheduling_timeout: float = 600.0  # heartbeats for a TaskRun that has no running step end after that
    freshness: float = 60.0  # and for a step that has said hello, that long after its last frame
    phase_delay: float = 5.0  # before the first SetPhase: Quay marks a job scheduled after start_builder returned
    job_time: float = 7200.0  # a build's longest life, as MAXIMUM_JOB_TIME
    lease_time: float = 15.0  # a follower that did not renew its lease for so long has lost it, and all it followed with it
    heartbeat_interval: float = 10.0  # between signs of life of one build; a log message is one. Quay waits 60
    lapse: float = 50.0  # without one accepted in that time a build is given up: a later one would restore the retry
    flush_interval: float = 1.0  # lines of one build are collected for so long
    status_interval: float = 2.0  # between two updates of one build's progress bar
    checkpoint_interval: float = 30.0  # between two notes of how far a build was told, in its TaskRun's annotations
    outage_timeout: float = 900.0  # a cluster that can't be asked says nothing about the build: heartbeats go on that long
    settle_timeout: float = 120.0  # from the last step's end to the TaskRun's own, and from a container's end to its log's
    killed_timeout: float = 20.0  # the former for a container that ended without a word: Tekton may wait for ever
    tick: float = 1.0  # how often all these are looked at


@dataclass(frozen=True)
class Api:
    """Where the Kubernetes API is and who we are to it."""

    access: str = "rest"  # or "openshift": through oc or kubectl
    server: str = "http://localhost:8080"  # scheme, host, port; no path
    token: str | None = field(default=None, repr=False)
    token_file: str | None = None  # read anew when it changes, as projected tokens do
    client_cert: str | None = None
    client_key: str | None = None
    ca: str | None = None
    timeout: float = 20.0
    kubeconfig: str | None = None
    client_path: str = "oc"
    namespace: str = "builder"


@dataclass(frozen=True)
class Config:
    """`repr` of it shows no secret."""

    name: str
    label: str  # `name` in the form a label takes
    api: Api
    follow: FollowSettings
    task_ref: Json  # TaskRun's spec.taskRef
    task_params: Mapping[str, Any]  # further parameters of the Task, the same for every build
    service_account: str
    pod_template: Json
    step_resources: list[Json]  # TaskRun's spec.stepSpecs
    known_hosts: str | None
    ca_bundle: str | None
    proxies: Mapping[str, str] = field(repr=False)  # variables of every step; they may hold a password
    insecure_registry: bool
    max_job_time: int
    retention: int
    start_timeout: float
    poll_interval: float
    debug: bool


_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SERVER = re.compile(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/?")

# What Quay itself reads from an executor's entry.
_QUAYS = frozenset({"EXECUTOR", "SETUP_TIME", "MINIMUM_RETRY_THRESHOLD", "NAMESPACE_WHITELIST", "STAGED_ROLLOUT"})
# Keys of Quay's Kubernetes executors that have no meaning here, and why: accepted, so that an entry can be changed by one line.
IGNORED = {
    "BUILDER_CONTAINER_IMAGE": "the Task names its image",
    "BUILDER_VM_CONTAINER_IMAGE": "there is no virtual machine",
    "IMAGE_PULL_POLICY": "the Task says it",
    "KUBERNETES_DISTRIBUTION": "there is one way for both",
    "QUAY_PASSWORD": "there is no worker image to pull",
    "QUAY_USERNAME": "there is no worker image to pull",
    "SSH_AUTHORIZED_KEYS": "there is no virtual machine",
    "VM_MEMORY_LIMIT": "there is no virtual machine",
    "VOLUME_SIZE": "see STORAGE_SIZE",
    "WORKER_IMAGE": "the Task names its image",
    "WORKER_TAG": "the Task names its image",
}


class _Reader:
    """Takes keys out of the entry and remembers what was wrong with them."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        self._known: set[str] = set()
        self.problems: list[str] = []

    def wrong(self, key: str, what: str) -> None:
        self.problems.append(f"{key}: {what}")

    def take(self, key: str) -> Any:
        self._known.add(key)
        value = self._entry.get(key)
        return None if value == "" else value

    def text(self, key: str, default: str | None = None, pattern: re.Pattern[str] | None = None, like: str = "") -> str | None:
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(key, f"has to be text, and is {_type(value)}")
            return default
        if pattern is not None and pattern.fullmatch(value) is None:
            self.wrong(key, f"has to be {like}")
            return default
        return value

    def secret(self, key: str) -> str | None:
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, str) or any(ord(c) < 0x21 or ord(c) > 0x7E for c in value):
            self.wrong(key, "has to be printable text without spaces or line ends")
            return None
        return value

    def number(self, key: str, default: float, least: float, most: float) -> float:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.wrong(key, f"has to be a number from {least:g} to {most:g}")
            return default
        return float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, "has to be true or false")
            return default
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.take(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            self.wrong(key, f"has to be a mapping of names to values, and is {_type(value)}")
            return {}
        return dict(value)

    def sequence(self, key: str) -> list[Any]:
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, f"has to be a list, and is {_type(value)}")
            return []
        return value

    def file(self, key: str) -> str | None:
        path = self.text(key)
        if path is not None and not os.path.isfile(path):
            self.wrong(key, f"there is no file {path!r}")
            return None
        return path

    def finish(self) -> None:
        for key in sorted(set(self._entry) - self._known - _QUAYS - set(IGNORED), key=str):
            near = _nearest(str(key), self._known | _QUAYS)
            self.wrong(str(key), "is not a key of this executor" + (f"; {near} is" if near else ""))


def _type(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def _nearest(word: str, known: set[str] | frozenset[str]) -> str | None:
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.75)
    return found[0] if found else None


def label_of(name: str) -> str:
    """A name as a label's value: 1 to 63 letters, digits, '-', '_', '.'. Different names stay different."""
    made = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:63].strip("-_.")
    if made and made == name:
        return made
    return f"{made[:54].rstrip('-_.')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


def _loopback(host: str) -> bool:
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _api(read: _Reader) -> Api:
    access = read.text("CLUSTER_ACCESS", "rest", re.compile("rest|openshift"), "rest or openshift") or "rest"
    token, token_file = read.secret("SERVICE_ACCOUNT_TOKEN"), read.file("SERVICE_ACCOUNT_TOKEN_FILE")
    cert, key, ca = read.file("K8S_API_TLS_CERT"), read.file("K8S_API_TLS_KEY"), read.file("K8S_API_TLS_CA")
    if (cert is None) != (key is None):
        read.wrong("K8S_API_TLS_CERT", "and K8S_API_TLS_KEY belong together")
    if token is not None and token_file is not None:
        read.wrong("SERVICE_ACCOUNT_TOKEN", "or SERVICE_ACCOUNT_TOKEN_FILE, not both")
    named = read.text("K8S_API_SERVER")
    matched = _SERVER.fullmatch(named or "localhost:8080")
    server = "http://localhost:8080"
    kubeconfig = read.file("KUBECONFIG")
    if matched is None:
        read.wrong("K8S_API_SERVER", "has to be host, host:port or https://host:port")
    else:
        credentials = token is not None or token_file is not None or cert is not None
        scheme = matched[1] or ("https" if credentials else "http")
        server = f"{scheme}://{matched[2]}" + (f":{matched[3]}" if matched[3] else "")
        if scheme == "http" and credentials and not _loopback(matched[2]):
            read.wrong("K8S_API_SERVER", "a token or certificate would go over plain http to another machine; use https://")
        elif scheme == "http" and not _loopback(matched[2]) and access == "rest":
            read.wrong("SERVICE_ACCOUNT_TOKEN", "or SERVICE_ACCOUNT_TOKEN_FILE, or K8S_API_TLS_CERT and _KEY, is needed")
        if ca is not None and scheme == "http":
            read.wrong("K8S_API_TLS_CA", "has no meaning with plain http")
    if kubeconfig is not None and access == "rest":
        read.wrong("KUBECONFIG", "is read with CLUSTER_ACCESS: openshift only")
    if kubeconfig is not None and named is not None:
        read.wrong("KUBECONFIG", "or K8S_API_SERVER, not both")
    return Api(
        access=access,
        server=server,
        token=token,
        token_file=token_file,
        client_cert=cert,
        client_key=key,
        ca=ca,
        timeout=read.number("K8S_API_TIMEOUT", 20, 1, 25),
        kubeconfig=kubeconfig,
        client_path=read.text("OC_PATH", "oc") or "oc",
        namespace=read.text("BUILDER_NAMESPACE", "builder", _DNS_LABEL, "the name of a namespace") or "builder",
    )


_RESOLVERS: dict[str, tuple[set[str], set[str]]] = {
    # parameters that must be there, and those that may
    "bundles": ({"bundle", "name"}, {"kind", "secret", "serviceAccount", "cache"}),
    "hub": ({"name", "version"}, {"catalog", "kind", "type", "url"}),
    "git": (
        {"pathInRepo", "revision"},
        {"url", "org", "repo", "token", "tokenKey", "gitToken", "gitTokenKey", "serverURL", "scmType"},
    ),
    "cluster": ({"name"}, {"namespace", "kind"}),
    "http": ({"url"}, {"digest", "http-username", "http-password-secret", "http-password-secret-key"}),
}


def _task_ref(read: _Reader) -> Json:
    given = read.mapping("TASK") or {"name": "slipway"}
    resolver = given.pop("resolver", None)
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            read.wrong("TASK", f"{name} has to be text")
            return {"name": "slipway"}
    if resolver is None:
        if set(given) != {"name"} or _DNS_NAME.fullmatch(given["name"]) is None:
            read.wrong("TASK", "has to be {name: NAME} of a Task in the builder's namespace, or to name a resolver")
            return {"name": "slipway"}
        return {"kind": "Task", "name": given["name"]}
    if resolver not in _RESOLVERS:
        read.wrong("TASK", f"resolver has to be one of {', '.join(sorted(_RESOLVERS))}")
        return {"name": "slipway"}
    needed, possible = _RESOLVERS[resolver]
    for name in sorted(needed - set(given)):
        read.wrong("TASK", f"resolver {resolver} needs {name}")
    for name in sorted(set(given) - needed - possible):
        read.wrong("TASK", f"resolver {resolver} has no {name}")
    if resolver == "git" and not ("url" in given or {"org", "repo"} <= set(given)):
        read.wrong("TASK", "resolver git needs url, or org and repo")
    if resolver == "cluster":
        given.setdefault("kind", "task")
    return {"resolver": resolver, "params": [{"name": name, "value": given[name]} for name in sorted(given)]}


# What of a pod may be chosen here; everything else is the Task's own business.
_POD_TEMPLATE = frozenset(
    {
        "affinity",
        "dnsConfig",
        "dnsPolicy",
        "hostAliases",
        "hostUsers",
        "imagePullSecrets",
        "nodeSelector",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "securityContext",
        "tolerations",
        "topologySpreadConstraints",
    }
)


def _pod_template(read: _Reader) -> Json:
    template = read.mapping("POD_TEMPLATE")
    for name in sorted(set(template) - _POD_TEMPLATE):
        read.wrong("POD_TEMPLATE", f"{name} can't be set here; what can is {', '.join(sorted(_POD_TEMPLATE))}")
    if not isinstance(template.get("hostUsers", False), bool):
        read.wrong("POD_TEMPLATE", "hostUsers has to be true or false")
    secret = read.text("IMAGE_PULL_SECRET_NAME", None, _DNS_NAME, "the name of a Secret")
    if secret is not None:
        template.setdefault("imagePullSecrets", [{"name": secret}])
    dns = read.text("DNS_POLICY", None, re.compile("Default|ClusterFirst(WithHostNet)?|None"), "a dnsPolicy of Kubernetes")
    if dns is not None:
        template.setdefault("dnsPolicy", dns)
    value = read.text("NODE_SELECTOR_LABEL_VALUE")
    key = read.text("NODE_SELECTOR_LABEL_KEY", "beta.kubernetes.io/instance-type")
    if value is not None and value.strip():
        template.setdefault("nodeSelector", {})[key] = value
    # The build needs no access to the API, and other services' addresses are none of its business.
    template["automountServiceAccountToken"] = False
    template["enableServiceLinks"] = False
    return template


def _resources(read: _Reader) -> list[Json]:
    def quantity(key: str) -> str | None:
        return read.text(key, None, _QUANTITY, "a quantity such as 512Mi, 4Gi, 500m or 2")

    wanted = {
        "requests": {"memory": quantity("CONTAINER_MEMORY_REQUEST"), "cpu": quantity("CONTAINER_CPU_REQUEST")},
        "limits": {"memory": quantity("CONTAINER_MEMORY_LIMITS"), "cpu": quantity("CONTAINER_CPU_LIMITS")},
    }
    storage = quantity("STORAGE_SIZE")
    if storage is not None:
        wanted["limits"]["ephemeral-storage"] = storage
        wanted["requests"]["ephemeral-storage"] = storage
    resources = {side: {name: value for name, value in names.items() if value is not None} for side, names in wanted.items()}
    resources = {side: names for side, names in resources.items() if names}
    return [{"name": "build", "computeResources": resources}] if resources else []


def _task_params(read: _Reader, taken: frozenset[str]) -> dict[str, Any]:
    params = read.mapping("TASK_PARAMS")
    for name, value in params.items():
        texts = value if isinstance(value, list) else [value]
        if not all(isinstance(text, str) for text in texts):
            read.wrong("TASK_PARAMS", f"{name} has to be text or a list of texts")
        if name in taken:
            read.wrong("TASK_PARAMS", f"{name} is set for every build anew")
    return params


def _proxies(read: _Reader) -> dict[str, str]:
    given = {name: read.text(name) for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")}
    return {name: value for name, value in given.items() if value is not None}


# Parameters of the Task that a build decides.
OWN_PARAMS = frozenset({"url", "revision", "archive", "IMAGE", "TAGS", "DOCKERFILE", "CONTEXT", "TLSVERIFY"})


def load(entry: Mapping[str, Any]) -> Config:
    """Raises ConfigError."""
    read = _Reader(entry)
    name = read.text("NAME", "TektonExecutor") or "TektonExecutor"
    job_time = read.number("MAXIMUM_JOB_TIME", 7200, 60, 7 * 86400)
    config = Config(
        name=name,
        label=label_of(name),
        api=_api(read),
        follow=FollowSettings(
            manager_address=read.text("BUILDMAN_GRPC", FollowSettings.manager_address) or "",
            scheduling_timeout=read.number("SCHEDULING_TIMEOUT", FollowSettings.scheduling_timeout, 10, 86400),
            freshness=read.number("FRAME_TIMEOUT", FollowSettings.freshness, 30, 3600),
            job_time=job_time,
        ),
        task_ref=_task_ref(read),
        task_params=_task_params(read, OWN_PARAMS),
        service_account=read.text("SERVICE_ACCOUNT_NAME", "quay-builder-sa", _DNS_NAME, "the name of a ServiceAccount") or "",
        pod_template=_pod_template(read),
        step_resources=_resources(read),
        known_hosts=read.text("SSH_KNOWN_HOSTS"),
        ca_bundle=_ca_bundle(read),
        proxies=_proxies(read),
        insecure_registry=read.flag("INSECURE"),
        max_job_time=int(job_time),
        retention=int(read.number("RETENTION_AFTER_FINISHED", 120, 0, 7 * 86400)),
        start_timeout=read.number("START_TIMEOUT", 20, 5, 28),
        poll_interval=read.number("POLL_INTERVAL", 10, 1, 60),
        debug=read.flag("DEBUG"),
    )
    read.finish()
    if read.problems:
        raise ConfigError(read.problems)
    return config


def _ca_bundle(read: _Reader) -> str | None:
    texts = []
    text = read.text("CA_CERT")
    if text is not None:
        texts.append(text)
    for path in read.sequence("EXTRA_CA_CERTS"):
        try:
            with open(os.path.join(os.environ.get("QUAYCONF", "conf/stack"), str(path)), encoding="ascii") as file:
                texts.append(file.read())
        except (OSError, UnicodeError) as error:
            read.wrong("EXTRA_CA_CERTS", f"cannot read {path!r}: {type(error).__name__}")
    for text in texts:
        if "-----BEGIN CERTIFICATE-----" not in text:
            read.wrong("CA_CERT", "and EXTRA_CA_CERTS have to be PEM certificates")
            return None
    return "\n".join(text.strip() for text in texts) + "\n" if texts else None
