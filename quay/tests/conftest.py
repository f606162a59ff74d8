"""Fixtures shared by every test of this package."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import apiserver
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from slipway_quay.cluster import Cluster
from slipway_quay.cluster.connect import connect
from slipway_quay.config import Api


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[apiserver.ApiServer]:
    """TLS, since kubectl sends no token over anything else."""
    with apiserver.running(certificate=certificate) as started:
        yield started


def settings_for(server: apiserver.ApiServer, access: str = "rest") -> Api:
    settings = Api(access=access, server=server.address, token=server.token, ca=server.certificate, timeout=10)
    return replace(settings, client_path=shutil.which("kubectl") or "kubectl") if access == "openshift" else settings


@pytest.fixture(params=["rest", "openshift"])
def cluster(request: pytest.FixtureRequest, server: apiserver.ApiServer) -> Cluster:
    """One namespace of the small server, through each adapter."""
    if request.param == "openshift":
        pytest.importorskip("openshift_client", reason="openshift-client is not installed")
        if shutil.which("kubectl") is None:
            pytest.skip("kubectl is not installed")
    return connect(settings_for(server, request.param))
