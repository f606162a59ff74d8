"""index: images of several platforms under one name, in real registries."""

import json

import pytest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def put(registry, name, platform, tag="1"):
    """A small image for that platform; its reference by digest."""
    import gzip

    plain = b"\0" * 10240 + platform[1].encode().ljust(512, b"\0")
    digest = registry.put_image(name, tag, gzip.compress(plain, mtime=0), plain, {"Labels": {"for": platform[1]}}, platform)
    return f"{registry.address}/{name}@{digest}"


def join(slipway, image, *members, options=()):
    return slipway("index", f"--image={image}", *(f"--from={member}" for member in members), "--tls-verify=false", *options)


def listed(registry, name, tag):
    headers, body = registry.get(f"{name}/manifests/{tag}")
    return headers["Content-Type"], json.loads(body)


def test_two_images_of_one_repository_become_a_list(slipway, registry):
    members = [put(registry, "index/app", ("linux", "amd64"), "a"), put(registry, "index/app", ("linux", "arm64"), "b")]
    image = f"{registry.address}/index/app"
    done = join(slipway, f"{image}:2", *members, options=["--tag=latest", "--tag=2"]).succeeded()
    kind, index = listed(registry, "index/app", "2")
    assert kind == index["mediaType"] == OCI_INDEX
    assert [one["platform"] for one in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux"}]
    assert [f"{image}@{one['digest']}" for one in index["manifests"]] == members
    digest = registry.digest("index/app", "2")
    assert digest == registry.digest("index/app", "latest")
    assert done.results == {"IMAGE_URL": f"{image}:2", "IMAGE_DIGEST": digest, "IMAGE_REF": f"{image}@{digest}",
                            "IMAGES": f"{image}:2@{digest},{image}:latest@{digest}"}
    assert {frame["step"] for frame in done.frames} == {"index"}


def test_the_list_is_what_resolve_then_builds_on(slipway, registry, sources):
    members = [put(registry, "index/base", ("linux", name), name) for name in ("amd64", "arm64")]
    join(slipway, f"{registry.address}/index/base:1", *members).succeeded()
    source = sources({"Dockerfile": f"FROM {registry.address}/index/base:1\n"})
    for platform, member in zip(("linux/amd64", "linux/arm64"), members, strict=True):
        done = slipway("resolve", f"--source={source}", f"--platform={platform}", "--tls-verify=false").succeeded()
        assert done.handoff("plan")["images"][0]["pinned"] == member


def test_the_same_images_are_the_same_list(slipway, registry):
    members = [put(registry, "index/same", ("linux", name), name) for name in ("amd64", "arm64")]
    digests = {join(slipway, f"{registry.address}/index/same:{tag}", *members).succeeded().results["IMAGE_DIGEST"]
               for tag in ("x", "y")}
    assert len(digests) == 1


@pytest.mark.parametrize("elsewhere", ["another repository", "another registry"])
def test_images_from_elsewhere_are_brought_along(slipway, registry, private_registry, tmp_path, elsewhere):
    name = f"index/from-{elsewhere.split()[1]}"
    member = put(registry, name, ("linux", "amd64"))
    target, options = registry, []
    if elsewhere == "another registry":
        target = private_registry
        options = [f"--authfile={private_registry.auth_file(tmp_path / 'auth.json')}"]
    done = join(slipway, f"{target.address}/index/to:{name[-4:]}", member, options=options).succeeded()
    _, index = listed(target, "index/to", name[-4:])
    manifest, _ = target.image("index/to", index["manifests"][0]["digest"])
    for layer in manifest["layers"]:
        assert target.get(f"index/to/blobs/{layer['digest']}")[1] == registry.get(f"{name}/blobs/{layer['digest']}")[1]
    assert done.results["IMAGE_DIGEST"] == target.digest("index/to", name[-4:])


def test_what_slipway_built_and_pushed_is_joined(slipway, built, registry):
    built("FROM scratch\nCOPY data /data\n", {"data": "x"}, "--format=docker").succeeded()
    pushed = slipway("push", f"--image={registry.address}/index/docker:1", "--tls-verify=false").succeeded()
    member = pushed.results["IMAGE_REF"]
    join(slipway, f"{registry.address}/index/docker:list", member).succeeded()
    assert listed(registry, "index/docker", "list")[0] == DOCKER_LIST
    join(slipway, f"{registry.address}/index/docker:oci", member, options=["--format=oci"]).succeeded()
    assert listed(registry, "index/docker", "oci")[0] == OCI_INDEX


def test_what_cannot_be_joined_is_refused(slipway, registry):
    image = f"{registry.address}/index/refused"
    amd64, arm64 = (put(registry, "index/refused", ("linux", name), name) for name in ("amd64", "arm64"))
    other = put(registry, "index/refused-other", ("linux", "amd64"))
    done = join(slipway, f"{image}:1", amd64, other).failed("usage", "missingorinvalidargument")
    assert "linux/amd64" in done.error["message"]
    assert "tag" in join(slipway, f"{image}:1", f"{image}:amd64").failed("usage").error["message"]
    listing = join(slipway, f"{image}:list", amd64, arm64).succeeded().results["IMAGE_REF"]
    assert "list of images" in join(slipway, f"{image}:2", listing).failed("usage").error["message"]
    assert "OCI image" in join(slipway, f"{image}:2", amd64, options=["--format=docker"]).failed("usage").error["message"]
    join(slipway, f"{image}@sha256:{'0' * 64}", amd64).failed("usage")
    join(slipway, f"{image}:1", amd64, options=["--tag=no tag"]).failed("usage")
    slipway("index", f"--image={image}:1").failed("usage")
    slipway("index", f"--from={amd64}").failed("usage")


def test_an_image_that_is_not_there_is_said(slipway, registry):
    done = join(slipway, f"{registry.address}/index/absent:1", f"{registry.address}/index/absent@sha256:{'0' * 64}")
    done.failed("build", "pushissue")
    assert "index/absent" in done.error["message"]


def test_a_registry_that_refuses_the_list_is_said(slipway, registry, read_only_registry, private_registry):
    member = put(registry, "index/denied", ("linux", "amd64"))
    assert join(slipway, f"{read_only_registry.address}/index/x:1", member, options=["--retries=0"]).exit in (11, 13)
    join(slipway, f"{private_registry.address}/index/x:1", member, options=["--retries=0"]).failed("auth")
