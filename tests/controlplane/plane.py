"""A Kubernetes control plane on loopback: etcd, kube-apiserver, Tekton's CRDs, rights and controller, and a node.

Programs are those hack/controlplane has built; each gets a free port, a log file, and a signal to its own process id at the
end. Requests are authenticated and authorised (RBAC) as in any cluster; Pod Security is enforced. The node is
tests/tekton/node: a kubelet's and the scheduler's stand-in, with Tekton's own entrypoint in real containers.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

TOP = Path(__file__).resolve().parents[2]
TEKTON = "tekton-pipelines"
ENTRYPOINT = "tekton.example/entrypoint"


class PlaneError(Exception):
    """A program did not come up; its last words are in the text."""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class Program:
    """One process, its log, and its end."""

    def __init__(self, name: str, work: Path, arguments: list[str], environment: dict[str, str] | None = None) -> None:
        self.name, self.log = name, work / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                arguments, stdout=log, stderr=subprocess.STDOUT, env=os.environ | (environment or {}), start_new_session=True
            )

    def wait_until(self, true: Any, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while not true():
            if self.process.poll() is not None or time.monotonic() > until:
                raise PlaneError(f"{self.name} did not come up:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Authority:
    """Signs certificates for this cluster; PEM files below `directory`."""

    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "slipway-test-authority")])
        self.certificate = self.directory / "ca.crt"
        self._write("ca", self._sign(self._name, self._key.public_key(), None), self._key)

    def _sign(self, subject: x509.Name, public_key: Any, usage: Any) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=usage is None, path_length=None), critical=True)
        )
        if usage is not None:
            names = x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            )
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate, key: Any) -> tuple[str, str]:
        pem = serialization.Encoding.PEM
        paths = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(pem))
        paths[1].write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return str(paths[0]), str(paths[1])

    def issue(self, name: str, group: str = "", *, server: bool = False) -> tuple[str, str]:
        """Paths of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
        if group:
            parts.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group))
        usage = x509.ExtendedKeyUsageOID.SERVER_AUTH if server else x509.ExtendedKeyUsageOID.CLIENT_AUTH
        return self._write(name.replace(":", "-"), self._sign(x509.Name(parts), key.public_key(), usage), key)


class Plane:
    """One cluster. `kubectl` acts as its administrator."""

    def __init__(self, work: Path) -> None:
        self.work, self.bin = work, Path(os.environ["SLIPWAY_CONTROLPLANE_BIN"])
        self.authority = Authority(work / "pki")
        self.ca = str(self.authority.certificate)
        self.server = ""
        self.kubeconfig = work / "admin.kubeconfig"
        self._running = contextlib.ExitStack()

    def _start(self, name: str, arguments: list[str], environment: dict[str, str] | None = None) -> Program:
        program = Program(name, self.work, [str(self.bin / name), *arguments], environment)
        self._running.callback(program.stop)
        return program

    def __enter__(self) -> Plane:
        try:
            self._api()
            self._tekton()
            self._node()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    # The API.

    def _api(self) -> None:
        clients, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        etcd = self._start("etcd", [
            f"--data-dir={self.work / 'etcd'}", f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync", "--log-level=warn",
        ])
        etcd.wait_until(lambda: answers(clients))
        accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key = self.work / "pki" / "accounts.key"
        key.write_bytes(accounts.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()))
        certificate, private = self.authority.issue("kube-apiserver", server=True)
        kubelet = self.authority.issue("kube-apiserver-kubelet-client", "system:masters")
        port = free_port()
        self.server = f"https://127.0.0.1:{port}"
        # Reconcilers of the Service `kubernetes` refuse a loopback address, and nothing here asks for that Service.
        api = self._start("kube-apiserver", [
            f"--etcd-servers={clients}", "--bind-address=127.0.0.1", f"--secure-port={port}", "--endpoint-reconciler-type=none",
            "--advertise-address=127.0.0.1", f"--tls-cert-file={certificate}", f"--tls-private-key-file={private}",
            f"--client-ca-file={self.ca}", "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}", f"--kubelet-certificate-authority={self.ca}",
            f"--kubelet-client-certificate={kubelet[0]}", f"--kubelet-client-key={kubelet[1]}",
        ])
        admin = self.authority.issue("admin", "system:masters")
        user = {"client-certificate": admin[0], "client-key": admin[1]}
        self.kubeconfig.write_text(self.config(user))
        api.wait_until(lambda: self._try("get", "--raw=/readyz"), 180)

    def config(self, user: dict[str, str]) -> str:
        """A kubeconfig for this cluster."""
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.server, "certificate-authority": self.ca}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        })

    def _try(self, *arguments: str) -> bool:
        return self._run(arguments, None).returncode == 0

    def _run(self, arguments: tuple[str, ...], stdin: str | None) -> subprocess.CompletedProcess[str]:
        argv = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, timeout=300)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        done = self._run(arguments, stdin)
        if done.returncode != 0:
            raise PlaneError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()[:2000]}")
        return done.stdout

    def apply(self, *objects: dict[str, Any]) -> None:
        everything = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(everything))

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        text = self.kubectl("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text else None

    def token(self, namespace: str, account: str) -> str:
        return self.kubectl("-n", namespace, "create", "token", account, "--duration=3h").strip()

    # Tekton.

    def manifests(self) -> list[dict[str, Any]]:
        """Tekton's release, from its source: namespace, accounts, rights, CRDs, settings. No webhook, and no Deployments."""
        source = Path(os.environ["SLIPWAY_TEKTON_SOURCE"]) / "config"
        found = []
        for path in sorted([*source.glob("*.yaml"), *source.glob("*/*.yaml")]):
            if path.parent.name == "resolvers":
                continue
            for one in yaml.load_all(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                if one and one["kind"] not in ("Deployment", "Service", "HorizontalPodAutoscaler",
                                               "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
                    found.append(one)
        order = ("Namespace", "CustomResourceDefinition")
        return sorted(found, key=lambda one: order.index(one["kind"]) if one["kind"] in order else len(order))

    def _tekton(self) -> None:
        release = self.manifests()
        for one in release:
            if one["kind"] == "CustomResourceDefinition":
                # Without its webhook there is no conversion; everything here is of the stored versions.
                one["spec"].pop("conversion", None)
            if one["metadata"]["name"] == "pipelines-info":
                one["data"]["version"] = os.environ["SLIPWAY_TEKTON_VERSION"]
        self.apply(*(one for one in release if one["kind"] == "Namespace"))
        self.apply(*(one for one in release if one["kind"] == "CustomResourceDefinition"))
        self.kubectl("wait", "--for=condition=Established", "--all", "crd", "--timeout=120s")
        self.apply(*(one for one in release if one["kind"] not in ("Namespace", "CustomResourceDefinition")))
        kubeconfig = self.work / "controller.kubeconfig"
        kubeconfig.write_text(self.config({"token": self.token(TEKTON, "tekton-pipelines-controller")}))
        # Of these only the entrypoint's is ever used: the Tasks have no sidecars, scripts or working directories.
        none = "tekton.example/none"
        images = {"entrypoint-image": ENTRYPOINT, "shell-image-win": none} | {
            f"{name}-image": none for name in ("nop", "sidecarlogresults", "workingdirinit", "shell")}
        health = free_port()
        controller = self._start("controller", [
            f"--kubeconfig={kubeconfig}",
            *(f"--{name}={image}" for name, image in images.items()),
        ], {
            "SYSTEM_NAMESPACE": TEKTON, "KUBERNETES_MIN_VERSION": "v1.28.0", "METRICS_DOMAIN": "tekton.dev/pipeline",
            "CONFIG_DEFAULTS_NAME": "config-defaults", "CONFIG_LOGGING_NAME": "config-logging",
            "CONFIG_OBSERVABILITY_NAME": "config-observability", "CONFIG_FEATURE_FLAGS_NAME": "feature-flags",
            "CONFIG_LEADERELECTION_NAME": "config-leader-election-controller", "CONFIG_SPIRE": "config-spire",
            "PROBES_PORT": str(health), "METRICS_PROMETHEUS_PORT": str(free_port()), "POD_NAME": "controller",
        })
        controller.wait_until(lambda: answers(f"http://127.0.0.1:{health}"))

    def _node(self) -> None:
        certificate, key = self.authority.issue("slipway-node", server=True)
        volumes = self.work / "volumes"
        volumes.mkdir(mode=0o755)
        images = {ENTRYPOINT: os.environ["TEKTON_ENTRYPOINT_IMAGE"], task_image(): os.environ["SLIPWAY_IMAGE"]}
        node = self._start("node", [
            f"--kubeconfig={self.kubeconfig}", f"--certificate={certificate}", f"--key={key}", f"--client-ca={self.ca}",
            f"--port={free_port()}", f"--volumes={volumes}", f"--seccomp={TOP / 'deploy/seccomp'}",
            f"--podman-options={os.environ.get('SLIPWAY_PODMAN_OPTIONS', '')}",
            *(f"--image={name}={local}" for name, local in images.items()),
        ])
        node.wait_until(lambda: "ready" in node.log.read_text())


def task_image() -> str:
    """The image the Tasks name."""
    task = yaml.safe_load((TOP / "tasks/slipway.yaml").read_text())
    return str(task["spec"]["steps"][0]["image"])


def answers(url: str) -> bool:
    host, _, port = url.rpartition("/")[2].partition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False


@contextlib.contextmanager
def redis(work: Path) -> Iterator[int]:
    """Quay's redis; its port."""
    port = free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(work)]
    program = Program("redis", work, ["redis-server", *arguments])
    try:
        program.wait_until(lambda: answers(f"redis/127.0.0.1:{port}"), 30)
        yield port
    finally:
        program.stop()
