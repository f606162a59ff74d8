"""Whom fetch believes under TLS: authorities, names, addresses, dates, versions. None of it is tried again."""

import socket
import ssl

import pytest
import servers

LIMITS = ("--connect-timeout=30s", "--stall-timeout=30s", "--timeout=60s")


@pytest.fixture
def https(make_repository, git_root, slipway):
    """https(certificate and key, *options) → how a fetch of https://127.0.0.1 (or `host`) ended; `asked`: how often."""
    make_repository()

    def run(tls, *options, host="127.0.0.1", change=None, environment=None):
        with servers.GitHttp(git_root, tls=tls) as server:
            if change:
                change(server.context)
            done = slipway("fetch", f"--url=https://{host}:{server.port}/project.git", *LIMITS, *options,
                           environment=environment)
            run.asked = len(server.requests)
        return done

    return run


def refused(done, https, *words):
    done.failed("network", "gitfailure")
    said = done.error["message"] + done.error.get("cause", "") + done.error["hint"]
    assert all(word in said for word in words), done.story()
    assert not done.of("warning"), "tried again"
    assert https.asked == 0, "a request was made of somebody who is not trusted"


@pytest.mark.parametrize(("subjects", "host"), [
    (["IP:127.0.0.1"], "127.0.0.1"), (["IP:127.0.0.1", "IP:10.0.0.1"], "127.0.0.1"), (["DNS:localhost"], "localhost")])
def test_a_certificate_for_the_name_or_address_asked(https, authority, subjects, host):
    https(authority.issue("right", subjects), f"--ca-file={authority.certificate}", host=host).succeeded()


@pytest.mark.parametrize(("subjects", "host"), [
    (["IP:10.0.0.1"], "127.0.0.1"), (["DNS:127.0.0.1"], "127.0.0.1"), (["DNS:other.test"], "localhost"),
    (["IP:127.0.0.1"], "localhost"), (["DNS:local*"], "localhost")])
def test_a_certificate_for_another(https, authority, subjects, host):
    done = https(authority.issue("other", subjects), f"--ca-file={authority.certificate}", host=host)
    refused(done, https, "another name")
    https(authority.issue("other", subjects), "--tls-verify=false", host=host).succeeded()


def test_ssl_cert_file_is_believed(https, authority):
    https(authority.issue("plain"), environment={"SSL_CERT_FILE": str(authority.certificate)}).succeeded()


def test_an_authority_nobody_knows(https, authority, tmp_path):
    stranger = servers.Authority(tmp_path / "stranger", "A stranger")
    refused(https(stranger.issue(), f"--ca-file={authority.certificate}"), https, "known authority", "--ca-file")


def test_a_certificate_signed_by_itself(https, authority, tmp_path):
    alone = servers.Authority(tmp_path / "alone", "127.0.0.1")
    refused(https((alone.certificate, tmp_path / "alone" / "ca.key"), f"--ca-file={authority.certificate}"), https,
            "known authority")


def test_a_certificate_that_has_expired(https, authority):
    refused(https(authority.issue("expired", days=0), f"--ca-file={authority.certificate}"), https, "expired")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
def test_a_server_of_old_tls_only(https, authority):
    def old(context):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")

    refused(https(authority.issue("old"), f"--ca-file={authority.certificate}", change=old), https, "TLS")


def test_a_bundle_that_is_none(https, authority, tmp_path):
    (tmp_path / "none.pem").write_text("this is no certificate\n")
    https(authority.issue("plain"), f"--ca-file={tmp_path / 'none.pem'}").failed("usage", "missingorinvalidargument")
    https(authority.issue("plain"), "--ca-file=/nowhere.pem").failed("usage", "missingorinvalidargument")


@pytest.mark.parametrize(("host", "shown"), [("localhost", "localhost"), ("127.0.0.1", None)])
def test_the_server_is_told_its_name_and_no_address(https, authority, host, shown):
    names = []

    def listen(context):
        context.sni_callback = lambda _, name, __: names.append(name)

    https(authority.issue("named"), f"--ca-file={authority.certificate}", host=host, change=listen).succeeded()
    assert set(names) == {shown}


def test_a_server_that_speaks_no_tls(slipway, make_repository, git_server, authority):
    make_repository()
    done = slipway("fetch", f"--url=https://{git_server.address}/project.git", f"--ca-file={authority.certificate}",
                   *LIMITS).failed("network", "gitfailure")
    assert "TLS" in done.error["message"] and "http" in done.error["hint"] and not done.of("warning")


def test_a_server_that_never_reads(slipway, authority):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        done = slipway("fetch", f"--url=https://127.0.0.1:{deaf.getsockname()[1]}/project.git", "--retries=0",
                       f"--ca-file={authority.certificate}", "--stall-timeout=1s", "--timeout=60s")
    assert "sent nothing" in done.failed("network", "gitfailure").error["message"]
