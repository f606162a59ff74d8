"""Input that means harm: what looks like an option, paths that leave their place, files that are something else."""

import json
import os
import shutil

import pytest

PLAIN = "--tls-verify=false"
FAKE = ("--recipe=A", "--storage=vfs")


@pytest.mark.parametrize("options", [
    ["--url=--upload-pack=touch /tmp/pwned"], ["--url", "--upload-pack=x"], ["--url=-x"],
    ["--url=ext::sh -c touch% /tmp/pwned"], ["--url=ssh://-oProxyCommand=touch%20x/a.git"],
    ["--url=-oProxyCommand=x@host:path"], ["--url=http://host:99999/x"], ["--url=http://a b/c"],
    ["--url=http://host/x\nHost: other"]])
def test_a_url_that_is_no_url_is_a_usage_error(slipway, options):
    done = slipway("fetch", *options, "--retries=0")
    done.failed("usage", "missingorinvalidargument")


@pytest.mark.parametrize("revision", ["-x", "--upload-pack=touch /tmp/pwned", "a..b", "refs/heads/../../x", "a b", "x:y",
                                      "-", "@{0}", "main^{commit}", "\x7f", "HEAD~1"])
def test_a_revision_that_is_no_revision(slipway, make_repository, git_server, revision):
    make_repository()
    done = slipway("fetch", f"--url={git_server.url}/project.git", f"--revision={revision}")
    assert done.exit in (2, 10), done.story()
    assert not (slipway.state / "source.json").exists()


@pytest.fixture
def image(slipway, resolved, fake_buildah):
    """An image made by the scripted buildah, and the options that push it."""
    resolved({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    slipway("build", f"--buildah={fake_buildah('ok')}", *FAKE).succeeded()


@pytest.mark.parametrize("options", [["--tag=-x"], ["--tag=--help"], ["--tag=a b"], ["--tag=a/b"], ["--tag=a:b"],
                                     ["--tag=" + "x" * 129], ["--tag=../x"]])
def test_a_tag_that_is_no_tag(slipway, image, relay, options):
    done = slipway("push", f"--image={relay.address}/some/image:1", *options, PLAIN)
    done.failed("usage", "missingorinvalidargument")
    assert not relay.requests, "nothing may be pushed before everything is understood"


@pytest.mark.parametrize("reference", ["-x", "--help", "HOST/../x", "host//x:1", "a@sha256:0", "h/x@sha256:" + "0" * 64,
                                       "http://h/x", "h:1/x:1:2", "h/x:-tag", ""])
def test_an_image_that_is_no_reference(slipway, image, reference):
    slipway("push", f"--image={reference}", PLAIN).failed("usage", "missingorinvalidargument")


# Where the Dockerfile and its context may lie


@pytest.fixture
def outside(tmp_path):
    """A directory beside the source, with what must not be read."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM scratch\nLABEL secret=of-somebody-else\n")
    return directory


@pytest.mark.parametrize("options", [["--context=.."], ["--context=a/../../outside"], ["--dockerfile=../outside/Dockerfile"],
                                     ["--context=/../outside"], ["--dockerfile=a/../../outside/Dockerfile"]])
def test_dots_do_not_lead_out_of_the_source(slipway, sources, outside, options):
    source = sources({"Dockerfile": "FROM scratch\n", "a/x": "x"})
    done = slipway("resolve", f"--source={source}", *options)
    assert done.exit in (2, 10), done.story()
    assert b"somebody-else" not in done.out


@pytest.mark.parametrize("link, target, options", [
    ("Dockerfile", "../outside/Dockerfile", []), ("Dockerfile", "/etc/passwd", []), ("Dockerfile", "/proc/self/environ", []),
    ("context", "../outside", ["--context=context"]), ("context", "/", ["--context=context/etc"]),
    ("a", "../outside", ["--dockerfile=a/Dockerfile"])])
def test_links_do_not_lead_out_of_the_source(slipway, sources, outside, link, target, options):
    source = sources({"README": "x"})
    (source / link).symlink_to(target)
    done = slipway("resolve", f"--source={source}", *options, environment={"SECRET_OF": "somebody-else"})
    done.failed("build")
    assert b"somebody-else" not in done.out and b"root:" not in done.out


def test_a_link_within_the_source_is_followed(slipway, sources):
    source = sources({"real/Dockerfile.prod": "FROM scratch\nCOPY README /\n", "README": "x"})
    (source / "Dockerfile").symlink_to("real/Dockerfile.prod")
    slipway("resolve", f"--source={source}").succeeded()


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket", "huge", "binary", "empty"])
def test_a_dockerfile_that_is_something_else(slipway, sources, kind):
    import socket

    source = sources({"README": "x"})
    path = source / "Dockerfile"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            old = os.getcwd()
            os.chdir(source)
            listening.bind("Dockerfile")
            os.chdir(old)
    elif kind == "huge":
        with open(path, "wb") as file:
            file.truncate(1 << 30)
    elif kind == "binary":
        path.write_bytes(bytes(range(256)) * 16)
    else:
        path.touch()
    done = slipway("resolve", f"--source={source}", seconds=20)
    done.failed("build")
    assert done.error["code"] in ("dockerfileissue", "contextissue"), done.story()


def test_a_context_that_copies_from_outside(slipway, planned, tmp_path):
    (tmp_path / "hidden").write_text("somebody-else")
    planned("ARG BASE\nFROM ${BASE}\nCOPY link /copied\nRUN cat /copied; echo\n", {"link": "harmless"})
    link = tmp_path / "source" / "link"
    link.unlink()
    link.symlink_to("../hidden")
    done = slipway("build", "--tls-verify=false")
    assert done.exit == 10, done.story()
    assert b"somebody-else" not in done.out


# Files of the hand-off directory


@pytest.mark.parametrize("name, verb", [("source", "resolve"), ("plan", "build"), ("image", "push")])
@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "huge", "no-json", "wrong-version", "wrong-types",
                                  "deep", "missing"])
def test_a_hand_off_file_that_is_something_else(slipway, image, fake_buildah, tmp_path, name, verb, kind, relay):
    path = slipway.state / f"{name}.json"
    if name == "source":
        path.write_text(json.dumps({"slipway-handoff": 1, "directory": str(tmp_path / "source"), "commit": "0" * 40,
                                    "url": "", "ref": "", "committer-date": "", "committer-time": 0, "subject": ""}))
    good = path.read_text()
    path.unlink()
    if kind == "link":
        (tmp_path / "elsewhere").write_text(good)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "huge":
        path.write_text(good)
        os.truncate(path, 1 << 30)
    elif kind == "no-json":
        path.write_text(good[:-10])
    elif kind == "wrong-version":
        path.write_text(good.replace('"slipway-handoff":1', '"slipway-handoff":2').replace(
            '"slipway-handoff": 1', '"slipway-handoff": 2'))
    elif kind == "wrong-types":
        path.write_text(json.dumps({key: value if key == "slipway-handoff" else [value]
                                    for key, value in json.loads(good).items()}))
    elif kind == "deep":
        path.write_text('{"slipway-handoff":1,"x":' + "[" * 100000 + "]" * 100000 + "}")
    options = {"resolve": [], "build": [f"--buildah={fake_buildah('ok')}", *FAKE],
               "push": [f"--image={relay.address}/some/image:1", PLAIN]}[verb]
    done = slipway(verb, *options, seconds=20)
    assert done.exit in (2, 16), done.story()
    assert done.end["status"] == "failed"
    assert not relay.requests
    if kind == "wrong-version":
        assert "version" in done.error["message"] + done.error.get("hint", "") + done.error.get("cause", "")


# The image layout, which a RUN may have been able to write


def blobs(slipway):
    return sorted((slipway.state / "image" / "blobs" / "sha256").iterdir())


def refused(slipway, relay):
    done = slipway("push", f"--image={relay.address}/refused/image:1", PLAIN, "--retries=0", seconds=20)
    assert done.exit in (10, 16), done.story()
    assert not [path for method, path in relay.requests if method == "PUT" and "manifests" in path]
    return done


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "other", "cut", "missing"])
def test_a_blob_that_is_something_else_is_not_pushed(slipway, image, relay, tmp_path, which, kind):
    blob = blobs(slipway)[which]
    content = blob.read_bytes()
    blob.unlink()
    if kind == "link":
        (tmp_path / "elsewhere").write_bytes(content)
        blob.symlink_to(tmp_path / "elsewhere")
    elif kind == "fifo":
        os.mkfifo(blob)
    elif kind == "directory":
        blob.mkdir()
    elif kind == "other":
        blob.write_bytes(content[:-2] + b" }")
    elif kind == "cut":
        blob.write_bytes(content[:-1])
    refused(slipway, relay)


@pytest.mark.parametrize("directory", ["image", "image/blobs", "image/blobs/sha256"])
def test_a_layout_behind_a_link_is_not_pushed(slipway, image, relay, tmp_path, directory):
    path = slipway.state / directory
    shutil.move(path, tmp_path / "moved")
    path.symlink_to(tmp_path / "moved")
    refused(slipway, relay)


@pytest.mark.parametrize("path", ["../outside", "/etc", "image/../../outside", "", ".", "link"])
def test_image_json_leads_nowhere_else(slipway, image, relay, tmp_path, path):
    shutil.copytree(slipway.state / "image", tmp_path / "outside")
    (slipway.state / "link").symlink_to(tmp_path / "outside")
    facts = json.loads((slipway.state / "image.json").read_text())
    (slipway.state / "image.json").write_text(json.dumps({**facts, "path": path}))
    done = slipway("push", f"--image={relay.address}/refused/image:1", PLAIN, "--retries=0", seconds=20)
    assert done.exit in (2, 10, 16), done.story()
    assert not relay.requests


def test_another_manifest_than_the_built_one_is_not_pushed(slipway, image, relay):
    facts = json.loads((slipway.state / "image.json").read_text())
    other = {**facts, "manifest-digest": facts["config-digest"]}
    (slipway.state / "image.json").write_text(json.dumps(other))
    refused(slipway, relay)


def test_state_behind_a_link_to_a_file_says_so(slipway, tmp_path, sources):
    slipway.state = tmp_path / "a-file"
    slipway.state.write_text("x")
    done = slipway("resolve", f"--source={sources({'Dockerfile': 'FROM scratch'})}")
    assert done.exit == 2 or done.end["status"] == "failed"
