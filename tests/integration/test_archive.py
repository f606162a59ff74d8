"""fetch of archives and lone Dockerfiles: what they may be, how they come, and that nothing gets out of the target."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pty
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import servers
import stream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hostile"))

import make_archives  # noqa: E402
import packing  # noqa: E402

DOCKERFILE = b"# syntax=docker/dockerfile:1\n\nFROM scratch\nCOPY a /a\n"
CANARY = Path(make_archives.CANARY)


def tar(files, mode="w", form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(content), 1767225600, 0o640
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def streamed_zip(files):
    """As programs write zips that cannot go back: sizes come after the content."""
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise io.UnsupportedOperation

    out = Pipe()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def zip64(files):
    """With the records that large archives have, before each content and at the end."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                entry.write(content)
    raw = out.getvalue()
    end = raw.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack("<HII", raw[end + 10:end + 20])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    short_end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    return raw[:end] + record + locator + short_end


FILES = {"Dockerfile": DOCKERFILE, "a": b"data\n", "deep/er/b": b"x" * 100_000}
PLAIN = tar(FILES)


@pytest.fixture
def files():
    with servers.Files() as server:
        yield server


@pytest.fixture
def archive(tmp_path):
    """archive(bytes) → the path of a file that holds them."""

    def make(content):
        path = tmp_path / "archive"
        path.write_bytes(content)
        return path

    return make


def tree(slipway):
    root = slipway.state / "source"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


# What it may be


@pytest.mark.parametrize("pack, what", [
    (lambda: PLAIN, "a tar"), (lambda: tar(FILES, form=tarfile.GNU_FORMAT), "a tar"),
    (lambda: tar(FILES, form=tarfile.USTAR_FORMAT), "a tar"),
    (lambda: gzip.compress(PLAIN), "gzip"), (lambda: bz2.compress(PLAIN), "bzip2"), (lambda: lzma.compress(PLAIN), "xz"),
    (lambda: zipped(FILES), "a zip"), (lambda: zipped(FILES, zipfile.ZIP_STORED), "a zip"),
    (lambda: zipped(FILES, zipfile.ZIP_BZIP2), "a zip"),
    (lambda: zipped(FILES, zipfile.ZIP_LZMA), "a zip"), (lambda: streamed_zip(FILES), "a zip"), (lambda: zip64(FILES), "a zip"),
    (lambda: gzip.compress(PLAIN[:5000]) + gzip.compress(PLAIN[5000:]) + b"trailing", "gzip")])
def test_archives_are_known_by_their_content(slipway, archive, pack, what):
    content = pack()
    done = slipway("fetch", f"--archive={archive(content)}").succeeded()
    assert tree(slipway) == FILES
    assert done.log.startswith(what)
    assert done.results["archive-digest"] == done.handoff("source")["archive-digest"] == digest(content)
    assert done.handoff("source")["commit"] == ""


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_lone_dockerfile_becomes_a_tree(slipway, archive, pack):
    slipway("fetch", f"--archive={archive(pack(DOCKERFILE))}").succeeded()
    assert tree(slipway) == {"Dockerfile": DOCKERFILE}


def test_dockerfile_only_takes_whatever_text_there_is(slipway, archive):
    slipway("fetch", f"--dockerfile-only={archive(b'RUN nothing')}").succeeded()
    assert tree(slipway) == {"Dockerfile": b"RUN nothing"}
    slipway("fetch", f"--dockerfile-only={archive(PLAIN)}").failed("usage", "missingorinvalidargument")
    assert tree(slipway) == {}


def test_times_and_permissions_are_the_archives(slipway, archive):
    content = packing.tar("a", packing.entry("run", mode=0o777),
                                packing.entry("d", kind=tarfile.DIRTYPE, mode=0o750), "d/x")
    slipway("fetch", f"--archive={archive(content)}").succeeded()
    root = slipway.state / "source"
    for path, mode in (("a", 0o644), ("run", 0o755), ("d", 0o750)):
        found = (root / path).stat()
        assert (found.st_mtime, stat.S_IMODE(found.st_mode)) == (packing.TIME, mode), path


def test_names_come_out_byte_by_byte(slipway, archive):
    names = ["grün/Straße", "日本語", "back\\slash"]
    for content in (tar(dict.fromkeys(names, b"x")), tar(dict.fromkeys(names, b"x"), form=tarfile.GNU_FORMAT)):
        slipway("fetch", f"--archive={archive(content)}").succeeded()
        assert set(tree(slipway)) == set(names)
    slipway("fetch", f"--archive={archive(zipped(dict.fromkeys(names, b'x')))}").succeeded()
    assert set(tree(slipway)) == {"grün/Straße", "日本語", "back/slash"}


def test_a_top_directory_stays_unless_it_is_stripped(slipway, archive):
    content = archive(tar({"project-1.0/Dockerfile": DOCKERFILE, "project-1.0/a/b": b"x", "pax": b"x"}))
    slipway("fetch", f"--archive={content}").succeeded()
    assert set(tree(slipway)) == {"project-1.0/Dockerfile", "project-1.0/a/b", "pax"}
    slipway("fetch", f"--archive={content}", "--strip-components=1").succeeded()
    assert set(tree(slipway)) == {"Dockerfile", "a/b"}
    slipway("fetch", f"--archive={content}", "--strip-components=9").failed("build", "cannotextractbuildpack")


def test_an_archive_in_the_target_itself_is_read_all_the_same(slipway):
    path = slipway.state / "source" / "project.tar"
    path.parent.mkdir()
    path.write_bytes(PLAIN)
    slipway("fetch", f"--archive={path}").succeeded()
    assert tree(slipway) == FILES


# What it may not do


@pytest.fixture(scope="module")
def canary():
    CANARY.parent.mkdir()
    CANARY.write_text("alive\n")
    CANARY.chmod(0o600)
    yield CANARY
    shutil.rmtree(CANARY.parent)


@pytest.mark.parametrize("name", make_archives.ARCHIVES)
def test_a_hostile_archive_is_contained(slipway, archive, canary, name):
    case = make_archives.ARCHIVES[name]
    before, beside = canary.stat(), sorted(os.listdir(canary.parent))
    target = slipway.state / "source"
    target.mkdir()
    (target / "old").write_text("left by an earlier build")
    path = archive(case.make())
    done = slipway("fetch", f"--archive={path}", *case.options)

    after = canary.stat()
    for member in ("st_ino", "st_mode", "st_nlink", "st_mtime_ns"):
        assert getattr(after, member) == getattr(before, member), member
    assert canary.read_text() == "alive\n" and sorted(os.listdir(canary.parent)) == beside
    assert sorted(os.listdir(slipway.state)) == ["source"] + (["source.json"] if case.refusal is None else [])
    if case.refusal is None:
        done.succeeded()
        assert os.listdir(target) and not (target / "old").exists()
    else:
        done.failed("build", "cannotextractbuildpack")
        assert case.refusal in done.error["message"] + done.error.get("hint", "")
        assert os.listdir(target) == []
    for folder, names, others in os.walk(target):
        for one in names + others:
            mode = os.lstat(os.path.join(folder, one)).st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), one
            assert stat.S_ISLNK(mode) or mode & 0o7022 == 0, (one, oct(mode))


def test_hostile_archives_are_the_same_each_time():
    assert len(make_archives.ARCHIVES) >= 40
    for name, case in make_archives.ARCHIVES.items():
        assert case.make() == case.make(), name


def test_devices_are_left_out_and_told(slipway, archive):
    done = slipway("fetch", f"--archive={archive(make_archives.devices_fifos_and_the_like())}").succeeded()
    assert "3 devices" in done.of("warning")[0]["message"]
    assert set(tree(slipway)) == {"a"}


def test_a_link_out_of_the_source_is_no_way_for_the_next_step(slipway, archive, tmp_path):
    (tmp_path / "secret").write_text("FROM secret\n")
    content = packing.tar(packing.entry("Dockerfile", kind=tarfile.SYMTYPE, link=str(tmp_path / "secret")))
    slipway("fetch", f"--archive={archive(content)}").succeeded()
    slipway("resolve").failed("build")


def test_a_full_volume_is_told_and_leaves_nothing(slipway, archive, small):
    content = archive(packing.tar(packing.entry("a", os.urandom(30_000_000))))
    slipway("fetch", f"--archive={content}", f"--into={small / 'source'}").failed("resource", "outofdisk")
    assert list((small / "source").iterdir()) == []


# How it comes


def test_the_declared_type_and_name_do_not_matter(slipway, files):
    url = files.put("/download.zip", gzip.compress(PLAIN), type="text/plain")
    done = slipway("fetch", f"--archive={url}").succeeded()
    assert tree(slipway) == FILES
    assert done.results["url"] == done.handoff("source")["url"] == url
    assert [progress for progress in done.of("progress") if progress["id"] == "archive"]


def test_a_signed_url_is_never_shown(slipway, files):
    files.put("/a.tgz", PLAIN)
    url = files.sign("/a.tgz")
    signature = url.rsplit("=", 1)[1].encode()
    for source in (files.redirect("/latest", url), url):
        done = slipway("fetch", f"--archive={source}").succeeded()
        assert signature not in done.out + done.err + (slipway.state / "source.json").read_bytes()
    assert done.results["url"] == f"{files.url}/a.tgz"
    for broken in (url.replace("http://", "http://a b@"), url + " x", url.replace("http:", "ftp:"),
                   url.replace("127", "no such")):
        done = slipway("fetch", f"--archive={broken}").failed("usage")
        assert signature not in done.out + done.err, broken


def test_an_expired_url_is_told_as_such(slipway, files):
    files.put("/a.tgz", PLAIN)
    done = slipway("fetch", f"--archive={files.sign('/a.tgz', seconds=-5)}").failed("auth", "buildpackissue")
    assert "expired" in done.error["hint"] and "Request has expired" in done.error["cause"]
    assert len(files.requests) == 1
    missing = slipway("fetch", f"--archive={files.url}/none?X-Signature=1234567890").failed("build", "buildpackissue")
    assert "expired" in missing.error["hint"] and "HTTP 404" in missing.error["message"]
    plain = slipway("fetch", f"--archive={files.url}/none").failed("build", "buildpackissue")
    assert "expired" not in plain.error["hint"]


def test_a_download_that_was_cut_goes_on(slipway, files):
    url = files.put("/a", PLAIN)
    files.faults("/a", "cut 40000", "cut 30000", 503)
    done = slipway("fetch", f"--archive={url}").succeeded()
    assert tree(slipway) == FILES
    assert [headers.get("Range") for _, headers in files.requests] == [None, "bytes=40000-", "bytes=70000-", "bytes=70000-"]
    assert done.results["archive-digest"] == digest(PLAIN)


@pytest.mark.parametrize("fault", ["no-range", "wrong-range", "changed"])
def test_what_cannot_be_gone_on_with_starts_over(slipway, files, fault):
    url = files.put("/a", PLAIN)
    files.faults("/a", "cut 40000", fault)
    done = slipway("fetch", f"--archive={url}")
    if fault == "changed":
        done.failed("build", "cannotextractbuildpack")  # a tar written backwards, but all of it
        return
    assert done.succeeded().results["archive-digest"] == digest(PLAIN)


def test_without_a_validator_it_starts_over(slipway, files):
    url = files.put("/a", PLAIN, etag=False)
    files.faults("/a", "cut 40000")
    slipway("fetch", f"--archive={url}").succeeded()
    assert [headers.get("Range") for _, headers in files.requests] == [None, None]


def test_a_download_that_never_comes_whole_is_the_network(slipway, files):
    url = files.put("/a", PLAIN)
    files.faults("/a", *["cut 1000"] * 2)
    slipway("fetch", f"--archive={url}", "--retries=1").failed("network")
    assert not (slipway.state / "source.json").exists() and os.listdir(slipway.state / "source") == []


def test_a_length_nobody_told_is_fine(slipway, files):
    url = files.put("/a", PLAIN)
    files.faults("/a", "unknown")
    slipway("fetch", f"--archive={url}").succeeded()


def test_a_stalled_download_can_be_stopped(slipway, files):
    url = files.put("/a", PLAIN)
    files.faults("/a", "stall 1000")
    running = slipway.start("fetch", f"--archive={url}")
    assert files.stalled.wait(20)
    running.signal()
    running.finish().cancelled()
    assert os.listdir(slipway.state / "source") == []


def test_an_error_page_with_status_200_is_no_source(slipway, files):
    url = files.put("/a.tgz", b"<!doctype html><title>Sign in</title>", type="application/gzip")
    done = slipway("fetch", f"--archive={url}").failed("build", "cannotextractbuildpack")
    assert "HTML" in done.error["message"] and "Sign in" in done.error["cause"]


def test_credentials_for_archives(slipway, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "username").write_text("ada")
    (secret / "password").write_text("pa-ss-wo-rd")
    with servers.Files(users={"ada": "pa-ss-wo-rd"}) as server, servers.Files() as other:
        url = server.put("/a", PLAIN)
        slipway("fetch", f"--archive={url}").failed("auth", "buildpackissue")
        slipway("fetch", f"--archive={url}", f"--basic-auth-dir={secret}").succeeded()
        done = slipway("fetch", f"--archive={url.replace('http://', 'http://ada:pa-ss-wo-rd@')}").succeeded()
        assert done.results["url"] == url and b"pa-ss-wo-rd" not in done.out + done.err
        away = server.redirect("/away", other.put("/a", PLAIN))
        slipway("fetch", f"--archive={away}", f"--basic-auth-dir={secret}").succeeded()
        assert "Authorization" not in other.requests[0][1]


def test_tls_needs_the_right_authority(slipway, authority):
    with servers.Files(tls=authority.issue("files")) as server:
        url = server.put("/a", PLAIN)
        slipway("fetch", f"--archive={url}", f"--ca-file={authority.certificate}").succeeded()
        slipway("fetch", f"--archive={url}", "--retries=0").failed("network")
        slipway("fetch", f"--archive={url}", "--tls-verify=false").succeeded()


def test_the_digest_is_held_against_the_bytes(slipway, files):
    url = files.put("/a", PLAIN)
    slipway("fetch", f"--archive={url}", f"--archive-digest={digest(PLAIN)}").succeeded()
    done = slipway("fetch", f"--archive={url}", f"--archive-digest={digest(b'')}").failed("build", "cannotextractbuildpack")
    assert digest(PLAIN) in done.error["cause"]
    assert os.listdir(slipway.state / "source") == []
    for wrong in ("sha256:abc", "md5:" + "0" * 32, "sha512:" + "0" * 128):
        slipway("fetch", f"--archive={url}", f"--archive-digest={wrong}").failed("usage", "missingorinvalidargument")


# Standard input


def run(slipway, *options, **more):
    return subprocess.run(slipway.argv("fetch", *options), capture_output=True, env=slipway.environment(), timeout=30, **more)


@pytest.mark.parametrize("content", [PLAIN, zipped(FILES)], ids=["tar", "zip"])
def test_standard_input_is_an_archive(slipway, content):
    done = run(slipway, "--archive=-", input=content)
    assert done.returncode == 0, done.stdout
    stream.check(done.stdout, True)
    assert tree(slipway) == FILES
    assert json.loads((slipway.state / "source.json").read_text())["url"] == ""


def test_standard_input_is_a_dockerfile(slipway):
    assert run(slipway, "--dockerfile-only=-", input=DOCKERFILE).returncode == 0
    assert tree(slipway) == {"Dockerfile": DOCKERFILE}


def test_a_closed_standard_input_is_a_usage_error(slipway):
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *slipway.argv("fetch", "--archive=-")], capture_output=True,
                          env=slipway.environment(), timeout=30)
    assert done.returncode == 2 and b"standard input is closed" in done.stdout, done.stdout


def test_a_terminal_as_standard_input_is_a_usage_error(slipway):
    leader, follower = pty.openpty()
    try:
        done = run(slipway, "--archive=-", stdin=follower)
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 2 and b"is a terminal" in done.stdout, done.stdout


def test_a_standard_input_that_never_ends_can_be_stopped(slipway):
    reader, writer = os.pipe()
    try:
        process = subprocess.Popen(slipway.argv("fetch", "--archive=-"), stdin=reader, stdout=subprocess.PIPE,
                                   env=slipway.environment())
        os.write(writer, b"FROM scratch\n")
        assert b'"hello"' in process.stdout.readline()
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 128 + 15
    finally:
        os.close(reader)
        os.close(writer)


# Options


@pytest.mark.parametrize("options", [
    [], ["--url=http://h/x.git", "--archive=x"], ["--archive=x", "--dockerfile-only=x"], ["--archive=x", "--revision=main"],
    ["--url=http://h/x.git", f"--archive-digest={digest(b'')}"], ["--archive=ftp://h/x"], ["--archive=/no/such/file"],
    ["--archive=/tmp"], ["--dockerfile-only=http://127.0.0.1:1/x"]])
def test_options_that_do_not_go_together(slipway, options):
    slipway("fetch", *options).failed("usage", "missingorinvalidargument")


def test_run_takes_an_archive(slipway, archive, fake_buildah):
    path = archive(tar({"Dockerfile": b"FROM scratch\nCOPY a /\n", "a": b"x"}))
    done = slipway.plain("run", f"--archive={path}", f"--state={slipway.state}", "--output=frames", f"--work={slipway.work}",
                         "--skip", f"--buildah={fake_buildah(do='exit', status=7)}")
    assert b'"step":"resolve","kind":"end","end":{"status":"succeeded"' in done.out, done.out[-2000:]
    assert b'"step":"build","kind":"hello"' in done.out
