"""fetch of OCI artifacts: sources that a registry keeps beside images, as ORAS, Flux and Konflux push them."""

import gzip
import hashlib
import io
import os
import subprocess
import tarfile

import pytest
import servers

DOCKERFILE = b"FROM scratch\nCOPY a /a\n"
FILES = {"Dockerfile": DOCKERFILE, "a": b"data\n", "deep/er/b": b"x" * 100_000}
TAR = "application/vnd.oci.image.layer.v1.tar"
FLUX = "application/vnd.cncf.flux.content.v1.tar+gzip"
TITLE = "org.opencontainers.image.title"
UNPACK = "io.deis.oras.content.unpack"


def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


def zstd(content):
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with servers.Registry(tmp_path_factory.mktemp("registry")) as server:
        yield server


def fetch(slipway, registry, what, *options):
    return slipway("fetch", f"--archive=oci://{registry.address}/{what}", "--fetch-tls-verify=false", *options)


def tree(slipway):
    root = slipway.state / "source"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("pack, media", [(bytes, TAR), (gzip.compress, TAR + "+gzip"), (gzip.compress, FLUX),
                                         (zstd, TAR + "+zstd"), (gzip.compress, "application/octet-stream")])
def test_a_packed_tree_is_unpacked(slipway, registry, pack, media):
    digest = registry.put_artifact("source", "v1", (pack(tar(FILES)), media, {}))
    for name in ("source:v1", f"source@{digest}", f"source:v1@{digest}"):
        done = fetch(slipway, registry, name).succeeded()
        assert tree(slipway) == FILES
        assert done.results == {"url": f"oci://{registry.address}/source@{digest}", "archive-digest": digest}
        source = done.handoff("source")
        assert (source["url"], source["archive-digest"], source["commit"]) == (done.results["url"], digest, "")


def test_files_keep_their_names_and_directories_are_unpacked(slipway, registry):
    """ORAS declares whatever it is told nothing about a tar; a packed directory has an annotation."""
    packed = gzip.compress(tar({"docs/a": b"a"}))
    registry.put_artifact("files", "1", (DOCKERFILE, TAR, {TITLE: "Dockerfile"}), (packed, TAR, {TITLE: "kept.tar.gz"}),
                          (packed, TAR + "+gzip", {TITLE: "docs", UNPACK: "true"}), (b"x", "text/plain", {TITLE: "deep/x"}))
    fetch(slipway, registry, "files:1").succeeded()
    assert tree(slipway) == {"Dockerfile": DOCKERFILE, "kept.tar.gz": packed, "docs/a": b"a", "deep/x": b"x"}


def test_one_archive_that_was_pushed_as_a_file_is_unpacked(slipway, registry):
    registry.put_artifact("lone", "1", (gzip.compress(tar(FILES)), TAR, {TITLE: "source.tar.gz"}))
    fetch(slipway, registry, "lone:1").succeeded()
    assert tree(slipway) == FILES
    registry.put_artifact("lone", "2", (DOCKERFILE, TAR, {TITLE: "Dockerfile"}))
    fetch(slipway, registry, "lone:2").succeeded()
    assert tree(slipway) == {"Dockerfile": DOCKERFILE}


def test_later_layers_win_and_directories_are_shared(slipway, registry):
    registry.put_artifact("layers", "1", (tar({"d/a": b"1", "d/b": b"1"}), TAR, {}), (tar({"d/b": b"2", "d/c": b"2"}), TAR, {}))
    fetch(slipway, registry, "layers:1").succeeded()
    assert tree(slipway) == {"d/a": b"1", "d/b": b"2", "d/c": b"2"}


def test_a_blob_without_a_manifest_is_an_artifact_of_one(slipway, registry):
    """oci:REPOSITORY@DIGEST with the digest of a blob: Konflux's trusted artifacts."""
    digest = registry.put_blob("trusted", gzip.compress(tar(FILES)))
    done = slipway("fetch", f"--archive=oci:{registry.address}/trusted@{digest}", "--fetch-tls-verify=false").succeeded()
    assert tree(slipway) == FILES
    assert done.results == {"url": f"oci:{registry.address}/trusted@{digest}", "archive-digest": digest}
    missing = slipway("fetch", f"--archive=oci:{registry.address}/trusted@sha256:{'0' * 64}", "--fetch-tls-verify=false")
    assert "no such blob" in missing.failed("build", "buildpackissue").error["message"]
    slipway("fetch", f"--archive=oci:{registry.address}/trusted:1").failed("usage", "missingorinvalidargument")


def test_credentials_are_those_of_images(slipway, tmp_path):
    with servers.Registry(tmp_path / "registry", users={"me": "s3cret-word"}) as registry:
        digest = registry.put_artifact("private", "1", (tar(FILES), TAR, {}))
        denied = fetch(slipway, registry, "private:1").failed("auth", "registryauth")
        assert "without credentials" in denied.error["message"]
        login = registry.auth_file(tmp_path / "config.json")
        done = fetch(slipway, registry, "private:1", f"--authfile={login}").succeeded()
        assert done.results["archive-digest"] == digest and b"s3cret-word" not in done.out + done.err


def test_the_digest_is_held_against_the_manifest(slipway, registry):
    digest = registry.put_artifact("pinned", "1", (tar(FILES), TAR, {}))
    fetch(slipway, registry, "pinned:1", f"--archive-digest={digest}").succeeded()
    other = "sha256:" + hashlib.sha256(b"other").hexdigest()
    wrong = fetch(slipway, registry, "pinned:1", f"--archive-digest={other}").failed("build", "cannotextractbuildpack")
    assert digest in wrong.error["cause"] and tree(slipway) == {}


@pytest.mark.parametrize("name, says", [
    ("nothing:1", "no such artifact"), ("source-of-images:1", "container image"), ("empty:1", "holds no files")])
def test_what_is_no_source_is_told(slipway, registry, name, says):
    layer = gzip.compress(tar(FILES))
    registry.put_image("source-of-images", "1", layer, gzip.decompress(layer), {})
    registry.put_artifact("empty", "1", (b"{}", "application/vnd.oci.empty.v1+json", {}))
    refused = fetch(slipway, registry, name).failed("build", "buildpackissue")
    assert says in refused.error["message"] and tree(slipway) == {}


@pytest.mark.parametrize("reference", ["source:v1", "", "127.0.0.1:1/UPPER:1", "127.0.0.1:1/x@sha256:12"])
def test_what_is_no_reference_is_refused(slipway, reference):
    slipway("fetch", f"--archive=oci://{reference}").failed("usage", "missingorinvalidargument")


def test_a_login_in_the_reference_is_refused_and_not_shown(slipway):
    for scheme in ("oci://", "oci:"):
        done = slipway("fetch", f"--archive={scheme}me:s3cret-word@127.0.0.1:1/source:v1").failed("usage")
        assert b"s3cret-word" not in done.out + done.err


def put(registry, *layers, **more):
    registry.put_artifact("hostile", "1", *layers, **more)


HOSTILE = {
    "a name that leads out": (lambda r: put(r, (b"x", "text/plain", {TITLE: "../canary"})), "cannotextractbuildpack"),
    "an absolute name": (lambda r: put(r, (b"x", "text/plain", {TITLE: "/etc/../../canary"})), "cannotextractbuildpack"),
    "the directory itself": (lambda r: put(r, (b"x", "text/plain", {TITLE: "."})), "cannotextractbuildpack"),
    "a tar that leads out": (lambda r: put(r, (tar({"../canary": b"x"}), TAR, {})), "cannotextractbuildpack"),
    "a file through an earlier layer's link":
        (lambda r: put(r, (tar({"out": None}), TAR, {}), (b"x", "text/plain", {TITLE: "out/canary"})), "cannotextractbuildpack"),
    "a tar through an earlier layer's link":
        (lambda r: put(r, (tar({"out": None}), TAR, {}), (tar({"out/canary": b"x"}), TAR, {})), "cannotextractbuildpack"),
    "no archive and no name": (lambda r: put(r, (b"nothing known", TAR, {})), "cannotextractbuildpack"),
    "more than the limit": (lambda r: put(r, (os.urandom(3_000_000), "text/plain", {TITLE: "a"})), "buildpackissue"),
    "more than the limit in all":
        (lambda r: put(r, *((os.urandom(900_000), "text/plain", {TITLE: f"a{n}"}) for n in range(4))), "cannotextractbuildpack"),
    "more entries than the limit in all":
        (lambda r: put(r, *((tar({f"{n}{m}": b"" for m in range(9)}), TAR, {}) for n in range(3))), "cannotextractbuildpack")}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_artifact_is_contained(slipway, registry, name):
    make, code = HOSTILE[name]
    make(registry)
    before = sorted(os.listdir(slipway.state.parent))
    fetch(slipway, registry, "hostile:1", "--unpacked-limit=2M", "--entry-limit=20").failed("build", code)
    assert os.listdir(slipway.state) == ["source"] and os.listdir(slipway.state / "source") == []
    assert sorted(os.listdir(slipway.state.parent)) == before and not os.path.exists("/etc/canary")


def test_a_layer_that_was_changed_in_the_registry_is_refused(slipway, registry):
    content = tar(FILES)
    registry.put_artifact("changed", "1", (content, TAR, {}))
    path = registry.blob_file("sha256:" + hashlib.sha256(content).hexdigest())
    original = path.read_bytes()
    try:
        path.write_bytes(original[:-1] + b"x")
        refused = fetch(slipway, registry, "changed:1", "--fetch-retries=1").failed("registry", "buildpackissue")
        assert "something else" in refused.error["message"] and tree(slipway) == {}
        assert [warning["code"] for warning in refused.of("warning")] == ["retry"]
    finally:
        path.write_bytes(original)


def test_a_size_that_is_not_the_layers_is_refused(slipway, tmp_path):
    """docker-registry holds manifests against what it has, so the blob is cut afterwards and the manifest with it."""
    with servers.Registry(tmp_path / "registry") as registry:
        content = tar(FILES)
        digest = registry.put_artifact("size", "1", (content, TAR, {}))
        path = registry.blob_file(digest)
        lie = path.read_bytes().replace(f'"size": {len(content)}'.encode(), f'"size": {len(content) - 512}'.encode())
        assert lie != path.read_bytes()
        told = "sha256:" + hashlib.sha256(lie).hexdigest()
        registry.blob_file(told).parent.mkdir(parents=True)
        registry.blob_file(told).write_bytes(lie)
        for folder in registry.work.glob("data/docker/registry/v2/repositories/size/_manifests/**/current/link"):
            folder.write_text(told)
        revision = registry.work / "data/docker/registry/v2/repositories/size/_manifests/revisions/sha256" / told[7:]
        revision.mkdir(parents=True)
        (revision / "link").write_text(told)
        refused = fetch(slipway, registry, "size:1").failed("registry", "buildpackissue")
        assert "not of the" in refused.error["message"] and tree(slipway) == {}


def test_what_was_fetched_is_resolved(slipway, registry):
    registry.put_artifact("whole", "1", (gzip.compress(tar(FILES)), FLUX, {}))
    fetch(slipway, registry, "whole:1").succeeded()
    slipway("resolve").succeeded()
