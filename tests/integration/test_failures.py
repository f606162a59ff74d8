"""Bad input of every kind: each has its own code, class and exit status, and exactly one `end`.

What fails in git, in parsing and in a RUN stands in test_fetch, test_resolve and test_build.
"""

import socket

import pytest
import servers
from conftest import auth_file

PLAIN = "--tls-verify=false"
SCRATCH = {"Dockerfile": "FROM scratch\nCOPY data /data\n", "data": "data\n"}


@pytest.fixture
def dead_port():
    """A port that refuses connections for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def resolve(slipway, sources):
    def run(dockerfile, *options):
        return slipway("resolve", f"--source={sources({'Dockerfile': dockerfile})}", PLAIN, "--retries=1", *options)

    return run


@pytest.fixture
def push(slipway, resolved, fake_buildah):
    """push(image reference) of an image that the scripted buildah made."""
    resolved(SCRATCH)
    slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=A", "--storage=vfs").succeeded()

    def run(image, *options):
        return slipway("push", f"--image={image}", PLAIN, "--retries=1", *options)

    return run


# Base images


@pytest.mark.parametrize("missing", ["base/nothing:1", "base/small:no-such-tag", "base/small@sha256:" + "0" * 64])
def test_a_missing_base_image_is_the_authors(resolve, registry, base, missing):
    done = resolve(f"FROM scratch AS a\nFROM {registry.address}/{missing}\n").failed("build", "cannotpullbaseimage")
    assert done.error["where"]["line"] == 2
    assert missing.split("@")[0].split(":")[0] in done.error["message"]


def test_a_base_image_for_another_platform_is_the_authors(resolve, registry):
    registry.put_image("base/other", "1", *servers.image.layer(), {}, platform=("linux", "s390x"))
    done = resolve(f"FROM {registry.address}/base/other:1\n").failed("build", "cannotpullbaseimage")
    assert "s390x" in done.error["message"] + done.error.get("cause", "") + done.error["hint"]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_base_image_whose_registry_is_ill_is_the_registrys(resolve, relay, status):
    relay.rule = lambda method, path: status if "manifests" in path else None
    done = resolve(f"FROM {relay.address}/base/small:1\n").failed("registry", "cannotpullbaseimage")
    assert str(status) in done.error["message"] + done.error.get("cause", "")
    assert len([path for _, path in relay.requests if "manifests" in path]) == 2, "one retry was asked for"
    assert done.of("warning")[0]["code"] == "retry"


def test_a_base_image_of_an_unknown_host_is_the_network(resolve):
    done = resolve("FROM no-such-host.invalid/a/b:1\n").failed("network", "network")
    assert "no-such-host.invalid" in done.error["message"]


def test_a_base_image_of_a_closed_port_is_the_network(resolve, dead_port):
    resolve(f"FROM 127.0.0.1:{dead_port}/a/b:1\n").failed("network", "network")


def test_a_base_image_without_credentials_is_a_matter_of_auth(resolve, private_registry, tmp_path):
    resolve(f"FROM {private_registry.address}/a/b:1\n").failed("auth", "registryauth")
    wrong = auth_file(tmp_path / "auth.json", private_registry.address, "ada", "wr-o-ng")
    done = resolve(f"FROM {private_registry.address}/a/b:1\n", f"--authfile={wrong}").failed("auth", "registryauth")
    assert b"wr-o-ng" not in done.out + done.err


def test_a_reference_nobody_can_read_is_the_authors(resolve):
    done = resolve("FROM some/UPPER:1\n").failed("build", "dockerfileissue")
    assert done.error["where"]["line"] == 1


def test_an_unreadable_auth_file_says_so(resolve, tmp_path):
    (tmp_path / "auth.json").write_text("{ this is no JSON")
    done = resolve("FROM 127.0.0.1:1/a/b:1\n", f"--authfile={tmp_path / 'auth.json'}")
    assert done.exit in (2, 11), done.story()
    assert "auth.json" in done.error["message"] + done.error.get("cause", "")


# Push


def test_a_read_only_registry_refuses(push, read_only_registry):
    done = push(f"{read_only_registry.address}/some/image:1").failed("registry", "pushissue")
    assert "405" in done.error["message"]


def test_wrong_credentials_are_refused(push, private_registry, tmp_path):
    image = f"{private_registry.address}/some/image:1"
    push(image).failed("auth")
    wrong = auth_file(tmp_path / "auth.json", private_registry.address, "ada", "wr-o-ng")
    done = push(image, f"--authfile={wrong}").failed("auth")
    assert done.error["code"] in ("pushissue", "registryauth")
    assert b"wr-o-ng" not in done.out + done.err
    right = private_registry.auth_file(tmp_path / "auth.json")
    push(image, f"--authfile={right}").succeeded()


def test_a_push_that_is_denied(push, relay):
    relay.rule = lambda method, path: 403 if method == "POST" else None
    push(f"{relay.address}/denied/image:1").failed("auth", "pushissue")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_registry_that_is_ill_while_pushing(push, relay, status):
    relay.rule = lambda method, path: status if method in ("POST", "PUT", "PATCH") else None
    push(f"{relay.address}/ill/image:1").failed("registry", "pushissue")


def test_a_registry_that_recovers_gets_the_image(push, relay, registry):
    faults = [503, "reset", 500]
    relay.rule = lambda method, path: faults.pop() if method != "GET" and faults else None
    done = push(f"{relay.address}/recovers/image:1", "--retries=4").succeeded()
    assert done.results["IMAGE_DIGEST"] == registry.digest("recovers/image", "1")
    assert not faults


def test_an_unknown_host_to_push_to(push):
    push("no-such-host.invalid/some/image:1").failed("network", "network")


def test_a_closed_port_to_push_to(push, dead_port):
    push(f"127.0.0.1:{dead_port}/some/image:1").failed("network", "network")


def test_one_tag_that_fails_is_told(push, relay, registry):
    relay.rule = lambda method, path: 500 if method == "PUT" and path.endswith("/manifests/bad") else None
    done = push(f"{relay.address}/tags/image:good", "--tag=bad").failed("registry", "tagissue")
    assert "bad" in done.error["message"]
    assert registry.digest("tags/image", "good") == done.handoff("image")["manifest-digest"]


# Full disks. Mounted small by whoever starts the container: SLIPWAY_SMALL names directories.


def test_a_fetch_that_fills_the_disk(slipway, make_repository, git_server, small):
    import os

    make_repository(files={"Dockerfile": "FROM scratch\n", "big": os.urandom(12 << 20)})
    slipway.state = small
    done = slipway("fetch", f"--url={git_server.url}/project.git", "--retries=3").failed("resource", "outofdisk")
    assert done.error["hint"]
    assert "retry" not in [warning["code"] for warning in done.of("warning")], "a full disk does not empty itself"


def test_a_run_that_fills_the_disk(slipway, planned, small):
    planned("ARG BASE\nFROM ${BASE}\nRUN dd if=/dev/zero of=/big bs=65536 count=1000\n")
    slipway.work = small
    done = slipway("build", PLAIN).failed("resource", "outofdisk")
    assert done.error["where"]["line"] == 3
    assert not [path for path in small.rglob("*") if not path.is_dir()], "the storage was not cleaned up"


def test_a_base_image_that_fills_the_disk(slipway, planned, registry, small):
    import gzip
    import io
    import os
    import tarfile

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        entry = tarfile.TarInfo("big")
        entry.size = 40 << 20
        archive.addfile(entry, io.BytesIO(os.urandom(1 << 20) * 40))
    registry.put_image("base/big", "1", gzip.compress(plain.getvalue(), 1), plain.getvalue(), {})
    planned(f"FROM {registry.address}/base/big:1\nLABEL a=b\n")
    slipway.work = small
    slipway("build", PLAIN).failed("resource", "outofdisk")


def test_an_image_that_does_not_fit_into_the_hand_off_directory(slipway, planned, small):
    planned("ARG BASE\nFROM ${BASE}\nCOPY random /random\n", {"random": "x"})
    import os
    import shutil

    (slipway.state.parent / "source" / "random").write_bytes(os.urandom(30 << 20))
    for file in slipway.state.iterdir():
        shutil.copy(file, small)
    slipway.state = small
    slipway("build", PLAIN).failed("resource", "outofdisk")


def test_a_hand_off_directory_that_is_full_already(slipway, sources, small):
    with open(small / "filler", "wb") as file:
        try:
            while file.write(b"x" * 65536):
                pass
        except OSError:
            pass
    slipway.state = small
    slipway("resolve", f"--source={sources(SCRATCH)}").failed("resource", "outofdisk")
