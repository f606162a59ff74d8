"""fetch from servers that are ill: each illness has its class and code, is tried again or not, and leaves no tree.

The table says what is done to git's real answers (tests/servers/broken_git.py) and how fetch must take it. Every row
runs twice: the illness for ever, with one retry; and once only, after which the server is well. All rows run side by
side, since most of their time is waiting.
"""

import dataclasses
import os
import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import servers
from conftest import Repository, Slipway
from servers import packs
from servers import broken_git as broken
from servers.broken_git import Fault

TOKEN = "to-ken-4711-4712"
WORKERS = 16
SECONDS = 90  # after which a run counts as hung; every time limit below is shorter
# Where nothing hangs the limits are wide, so that a busy machine is not taken for an ill server.
PATIENT = ("--stall-timeout=30s", "--connect-timeout=30s", "--timeout=60s")
HANGING = ("--stall-timeout=2s", "--connect-timeout=30s", "--timeout=60s")
REFS = "application/x-git-upload-pack-advertisement"
PACK = "application/x-git-upload-pack-result"


@dataclasses.dataclass
class Row:
    fault: Fault
    klass: str | None = "network"  # None: fetch succeeds all the same
    code: str = "gitfailure"
    again: bool = True             # tried again
    recovers: bool = False         # without being tried again, if the illness passes
    words: str = ""                # in message, cause or hint
    options: tuple = ()
    tls: bool = False
    hangs: bool = False


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]


def without(kind):
    return broken.objects_spoilt(lambda found: [each for each in found if each[0] != kind])


def other_blob(found):
    return [(kind, b"x" + content if kind == 3 else content) for kind, content in found]


def capabilities(change):
    """The ref advertisement, whose first ref carries the capabilities, with change(capabilities)."""
    def body(data):
        done, out = False, b""
        for payload in packs.lines(data):
            if payload is not None and b"\0" in payload and not done:
                name, _, words = payload.partition(b"\0")
                payload, done = name + b"\0" + b" ".join(change(words.rstrip(b"\n").split())) + b"\n", True
            out += packs.FLUSH if payload is None else packs.line(payload)
        return out
    return broken.spoilt(body)


def without_capability(*names):
    return capabilities(lambda words: [word for word in words if word.split(b"=")[0].decode() not in names])


def more_refs(*names):
    """Refs of those names, all at the first ref's commit, before the end of the advertisement."""
    def body(data):
        ours = next(payload for payload in packs.lines(data) if payload and b"\0" in payload)[:40]
        return data[:-4] + b"".join(packs.line(ours + b" " + name + b"\n") for name in names) + packs.FLUSH
    return broken.spoilt(body)


def message(number, text):
    """Text in a side band, before the pack."""
    def body(data):
        before, pack = packs.split(data)
        return before + packs.band(number, text) + packs.join(b"", pack)
    return broken.spoilt(body)


def redirect(location, status="302 Found"):
    return broken.says(status, [("Location", location)])


def retry_after(value, status="429 Too Many Requests"):
    return broken.says(status, [("Retry-After", value), ("Content-Type", "text/plain")], b"later")


def chunked_head(answer):
    return answer.chunked().head()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


HTML = b"<!DOCTYPE html><title>Sign in</title>" + b"<p>Welcome to our wireless network.</p>" * 50
ESCAPES = b"\x1b[31mred\x1b[0m \x1b]0;title\x07 nul\0 \xc2\x9b2J \xff\xfe\n"

TABLE = {}

# Cut at every stage, in each of three ways.
for how in ("reset", "close", "hang"):
    for stage, place, where in (
            ("accept", "after the connection was accepted", None),
            ("refs", "after the request", lambda answer: 0),
            ("refs", "in the status line", broken.in_status_line),
            ("refs", "in the headers", broken.in_headers),
            ("refs", "before the ref advertisement", broken.before_body),
            ("refs", "in the ref advertisement", broken.middle_of_body),
            ("pack", "after the second request", lambda answer: 0),
            ("pack", "in the second answer's headers", broken.in_headers),
            ("pack", "before the pack", broken.before_pack),
            ("pack", "in the pack's header", broken.in_pack_header),
            ("pack", "in mid pack", broken.middle_of_body),
            ("pack", "before the pack's checksum", broken.before_checksum)):
        TABLE[f"{how} {place}"] = Row(Fault(stage, broken.cut(where, how)), hangs=how == "hang")
    TABLE[f"{how} in the TLS handshake"] = Row(Fault("handshake", broken.cut(None, how)), tls=True, hangs=how == "hang")
    TABLE[f"{how} in mid pack under TLS"] = Row(Fault("pack", broken.cut(broken.middle_of_body, how)), tls=True,
                                                hangs=how == "hang")
    TABLE[f"{how} before the last flush"] = Row(Fault("pack", broken.cut(broken.before_flush, how)), hangs=how == "hang")

TABLE |= {
    # Packs that are whole in their framing only.
    "half a pack": Row(Fault("pack", broken.pack_spoilt(lambda pack: pack[:len(pack) // 2]))),
    "no pack": Row(Fault("pack", broken.pack_spoilt(lambda pack: b""))),
    "a pack's header only": Row(Fault("pack", broken.pack_spoilt(lambda pack: pack[:12]))),
    "a flipped byte in an object": Row(Fault("pack", broken.pack_spoilt(lambda pack: flipped(pack, len(pack) // 2)))),
    "a flipped byte in the checksum": Row(Fault("pack", broken.pack_spoilt(lambda pack: flipped(pack, len(pack) - 3)))),
    "a pack of another version": Row(Fault("pack", broken.pack_spoilt(lambda pack: flipped(pack, 7)))),
    "a pack that is none": Row(Fault("pack", broken.pack_spoilt(lambda pack: os.urandom(len(pack))))),
    "an object count too high": Row(Fault("pack", broken.pack_spoilt(lambda pack: flipped(pack, 9)))),
    "bytes after the pack": Row(Fault("pack", broken.pack_spoilt(lambda pack: pack + b"x" * 100))),
    "no commit": Row(Fault("pack", without(1))),
    "no tree": Row(Fault("pack", without(2))),
    "no blob": Row(Fault("pack", without(3))),
    "another blob": Row(Fault("pack", broken.objects_spoilt(other_blob))),
    "an empty pack": Row(Fault("pack", broken.objects_spoilt(lambda found: []))),

    # HTTP framing.
    "a length too long": Row(Fault("pack", broken.raw(
        lambda answer: answer.with_body(answer.body + b"x" * 9).head() + answer.body)), klass=None),
    "a length too short": Row(Fault("pack", broken.raw(
        lambda answer: answer.with_body(answer.body[:-50]).head() + answer.body))),
    "a length that is no number": Row(Fault("refs", broken.raw(
        lambda answer: answer.raw().replace(b"Content-Length: ", b"Content-Length: many")))),
    "a chunk size that is no number": Row(Fault("refs", broken.raw(
        lambda answer: chunked_head(answer) + b"zz\r\n" + answer.body))),
    "chunks without an end": Row(Fault("refs", broken.raw(
        lambda answer: chunked_head(answer) + b"%x\r\n%s\r\n" % (len(answer.body), answer.body))), klass=None),
    "an unasked for gzip": Row(Fault("refs", broken.raw(
        lambda answer: answer.raw().replace(b"\r\n", b"\r\nContent-Encoding: gzip\r\n", 1), then_close=False)), klass=None),
    "no HTTP at all": Row(Fault("accept", lambda wire, _: wire.send(b"SSH-2.0-OpenSSH_9.9\r\n"))),
    "plain HTTP where TLS is due": Row(
        Fault("handshake", lambda wire, _: wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")), tls=True, again=False),

    # Redirects.
    "a redirect in a circle": Row(Fault("refs", redirect(
        "/project.git/info/refs?service=git-upload-pack")), "build", again=False, recovers=True),
    "a redirect to a file": Row(Fault("refs", redirect("file:///etc/passwd")), "build", again=False),
    "a redirect to nowhere": Row(Fault("refs", broken.says("302 Found")), "build", again=False),
    "a redirect to ssh": Row(Fault("refs", redirect("ssh://127.0.0.1/project.git")), "build", again=False),
    "a redirect of the second request": Row(Fault("wants", redirect("/other.git/git-upload-pack")), "build", again=False),
    "a redirect down to http": Row(Fault("refs", redirect(
        "http://127.0.0.1:1/project.git/info/refs?service=git-upload-pack")), "build", again=False, tls=True),
    "a redirect to a closed port": Row(Fault("refs", redirect(
        "http://127.0.0.1:1/project.git/info/refs?service=git-upload-pack")), words="127.0.0.1:1"),

    # Answers that are not git's.
    "401 for ever": Row(Fault("refs", broken.says(
        "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="x"')])), "auth", "gitauth", again=False,
        recovers=True),
    "401 of an unknown kind": Row(Fault("refs", broken.says(
        "401 Unauthorized", [("WWW-Authenticate", 'Fancy realm="x"')])), "auth", "gitauth", again=False),
    "401 without a challenge": Row(Fault("refs", broken.says("401 Unauthorized")), "auth", "gitauth", again=False),
    "401 in the second request": Row(Fault("wants", broken.says(
        "401 Unauthorized", [("WWW-Authenticate", 'Basic realm="x"')])), "auth", "gitauth", again=False,
        words="refused"),
    "403": Row(Fault("refs", broken.says("403 Forbidden")), "auth", "gitauth", again=False),
    "404": Row(Fault("refs", broken.says("404 Not Found")), "build", again=False, words="project.git"),
    "407 from the server": Row(Fault("refs", broken.says("407 Proxy Authentication Required")), "auth", "gitauth",
                               again=False),
    "408": Row(Fault("refs", broken.says("408 Request Timeout"))),
    "410": Row(Fault("refs", broken.says("410 Gone")), "build", again=False),
    "413": Row(Fault("pack", broken.says("413 Payload Too Large")), "build", again=False, words="413"),
    "429": Row(Fault("refs", broken.says("429 Too Many Requests")), words="429"),
    "429 for the pack": Row(Fault("pack", broken.says("429 Too Many Requests")), words="429"),
    "500": Row(Fault("refs", broken.says("500 Internal Server Error")), words="500"),
    "501": Row(Fault("refs", broken.says("501 Not Implemented")), again=False, words="501"),
    "502": Row(Fault("refs", broken.says("502 Bad Gateway")), words="502"),
    "503 with a page": Row(Fault("refs", broken.says(
        "503 Service Unavailable", [("Content-Type", "text/html")], HTML)), words="503"),
    "504 for the pack": Row(Fault("pack", broken.says("504 Gateway Timeout")), words="504"),
    "999": Row(Fault("refs", broken.says("999 Denied")), "build", again=False),
    "a sign-in page": Row(Fault("refs", broken.says("200 OK", [("Content-Type", "text/html")], HTML)), "build",
                          again=False, words="git"),
    "another type of content": Row(Fault("refs", broken.raw(
        lambda answer: answer.raw().replace(REFS.encode(), b"text/plain"))), "build", again=False),
    "another type for the pack": Row(Fault("pack", broken.raw(
        lambda answer: answer.raw().replace(PACK.encode(), b"text/plain"))), "build", again=False),
    "no type of content": Row(Fault("refs", broken.raw(
        lambda answer: answer.raw().replace(b"Content-Type", b"X-Type"))), "build", again=False),
    "a page that claims to be git's": Row(Fault("refs", broken.says("200 OK", [("Content-Type", REFS)], HTML))),
    "a dumb server": Row(Fault("refs", broken.says(
        "200 OK", [("Content-Type", "text/plain; charset=utf-8")], b"0" * 40 + b"\trefs/heads/main\n")), "build",
        again=False),

    # Retry-After, from sensible to mad. What was asked is held to by a test of its own below.
    "Retry-After in the past": Row(Fault("refs", retry_after("Wed, 21 Oct 2015 07:28:00 GMT"))),
    "Retry-After that is negative": Row(Fault("refs", retry_after("-5"))),
    "Retry-After that is no time": Row(Fault("refs", retry_after("soon; very"))),

    # Without an end. Nothing of it may fill the memory.
    "an endless header": Row(Fault("refs", broken.endless(
        lambda answer: b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 8000 + b"\r\n")), "build", again=False,
        words="endless"),
    "an endless header line": Row(Fault("refs", broken.endless(lambda answer: b"HTTP/1.1 200 OK\r\nX: ", b"x" * 8192)),
                                   "build", again=False, words="endless"),
    "an endless status line": Row(Fault("refs", broken.endless(lambda answer: b"HTTP/1.1 200 ", b"O" * 8192)), "build",
                                   again=False, words="endless"),

    "an endless ref advertisement": Row(Fault("refs", broken.endless(
        lambda answer: answer.chunked().head(),
        chunk(packs.line(b"0" * 39 + b"1 refs/heads/" + b"x" * 900 + b"\n") * 60))), "build", again=False,
                                         words="endless list of refs"),
    "an endless side band": Row(Fault("pack", broken.endless(
        lambda answer: answer.chunked().head() + chunk(packs.line(b"NAK\n")),
        chunk(packs.band(2, b"still counting: %d%%\r" * 20) * 20))), "resource", "deadline", again=False,
        options=("--timeout=3s", "--log-budget=65536")),
    "a byte now and then, too few in all": Row(Fault("pack", broken.drip(broken.before_pack, 0.3)), "resource",
                                               "deadline", again=False, options=("--timeout=3s",)),
    "a byte now and then, for a while": Row(Fault("refs", broken.drip(
        lambda answer: len(answer.raw()) - 8, 0.4)), klass=None),

    # pkt-lines.
    "an ERR packet": Row(Fault("refs", broken.spoilt(
        lambda body: packs.line(b"# service=git-upload-pack\n") + packs.FLUSH
        + packs.line(b"ERR access denied or repository not exported: /project.git"))), "build", again=False),
    "an ERR packet asking to wait": Row(Fault("refs", broken.spoilt(
        lambda body: packs.line(b"# service=git-upload-pack\n") + packs.FLUSH
        + packs.line(b"ERR too many connections, try again later")))),
    "an ERR packet in place of the pack": Row(Fault("pack", broken.spoilt(
        lambda body: packs.line(b"ERR upload-pack: the disk is on fire")))),
    "a fatal message": Row(Fault("pack", broken.spoilt(
        lambda body: packs.line(b"NAK\n") + packs.band(3, b"fatal: out of cheese\n") + packs.FLUSH))),
    "a length that is no hexadecimal": Row(Fault("refs", broken.spoilt(lambda body: b"zzzz" + body))),
    "a length of nearly nothing": Row(Fault("refs", broken.spoilt(lambda body: b"0001" + body))),
    "a length of everything": Row(Fault("refs", broken.spoilt(lambda body: b"ffff" + body))),
    "a side band nobody knows": Row(Fault("pack", broken.spoilt(
        lambda body: packs.line(b"NAK\n") + packs.band(7, b"x" * 100) + packs.FLUSH))),
    "escapes in progress": Row(Fault("pack", message(2, ESCAPES)), klass=None),

    # What is advertised.
    "hostile names of refs": Row(Fault("refs", more_refs(
        b"refs/heads/../../../etc/passwd", b"refs/heads/\x1b[31m", b"refs/heads/a b", b"refs/heads/-x", b"/etc/passwd",
        b"refs/heads/" + b"x" * 5000, b"refs/heads/\xff\xfe", b"refs/heads/.git/config", b"refs/heads/a..b"
    )), klass=None),
    "no refs at all": Row(Fault("refs", broken.spoilt(
        lambda body: packs.line(b"# service=git-upload-pack\n") + packs.FLUSH + packs.FLUSH)), "build", "gitcheckout",
        again=False),
    "no side band": Row(Fault("refs", without_capability("side-band", "side-band-64k")), klass=None),
    "no offset deltas": Row(Fault("refs", without_capability("ofs-delta", "multi_ack", "thin-pack")), klass=None),
    "no capabilities at all": Row(Fault("refs", capabilities(lambda words: [])), klass=None, options=("--depth=0",)),
    "shallow fetches not offered": Row(Fault("refs", without_capability("shallow")), "build", again=False,
                                       words="--depth"),
}


def left_behind(runner):
    source = runner.state / "source"
    return sorted(path.name for path in source.iterdir()) if source.exists() else []


def tries(hangs, times):
    """One more, but where a well server may be taken for a hanging one, some."""
    return 4 if hangs and times else 1


def play(row, root, tmp, times, tls, authority):
    tmp.mkdir(parents=True)
    runner = Slipway(tmp)
    credentials = tmp / "credentials"
    credentials.mkdir()
    (credentials / "username").write_text("ada")
    (credentials / "password").write_text(TOKEN)
    fault = dataclasses.replace(row.fault, times=times)
    with servers.BrokenGit(root, fault, tls if row.tls else None) as server:
        done = runner("fetch", f"--url={server.url}/project.git", f"--basic-auth-dir={credentials}",
                      f"--retries={tries(row.hangs, times)}", f"--ca-file={authority.certificate}",
                      *(HANGING if row.hangs else PATIENT), *row.options, seconds=SECONDS)
    return SimpleNamespace(done=done, left=left_behind(runner), hits=server.hits, requests=server.requests)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    root = tmp_path_factory.mktemp("broken") / "git"
    root.mkdir()
    made = Repository(root, "project")
    made.commit({"Dockerfile": "FROM scratch\n", "data": os.urandom(50_000)}, "first")
    return made


@pytest.fixture(scope="module")
def played(request, repository, tmp_path_factory, authority):
    """What became of each chosen row: {name: (for ever, once)}; started side by side on first use."""
    tmp, tls = tmp_path_factory.mktemp("rows"), authority.issue("broken-git")
    names = [item.callspec.params["name"] for item in request.session.items
             if getattr(item, "callspec", None) and item.function is test_a_fault]
    with ThreadPoolExecutor(WORKERS) as pool:
        yield {name: [pool.submit(play, TABLE[name], repository.bare.parent, tmp / f"{at}-{times}", times, tls, authority)
                      for times in (None, 1)] for at, name in enumerate(names)}


@pytest.mark.parametrize("name", TABLE)
def test_a_fault(name, played, repository):
    row = TABLE[name]
    for_ever, once = (future.result() for future in played[name])
    for each in (for_ever, once):
        assert each.hits > 0, "the fault was never reached"
        assert TOKEN.encode() not in each.done.out + each.done.err
        assert b"\x1b" not in each.done.out
    done, retries = for_ever.done, [warning for warning in for_ever.done.of("warning") if warning["code"] == "retry"]
    if row.klass is None:
        assert done.succeeded().results["commit"] == repository.head()
        assert not retries
        return
    done.failed(row.klass, row.code)
    assert not for_ever.left, "a partial tree was left"
    assert len(retries) == (1 if row.again else 0), done.story()
    said = done.error["message"] + done.error.get("cause", "") + done.error.get("hint", "")
    assert row.words in said, done.story()
    if row.again or row.recovers:
        assert once.done.succeeded().results["commit"] == repository.head()
        assert "data" in once.left
    else:
        once.done.failed(row.klass, row.code)


# git:// and ssh, cut at a byte of what the server sends: before anything, in the greeting, in mid pack.

CUTS = [(scheme, after, how) for how in ("reset", "close", "hang")
        for scheme, after in (("git", 0), ("git", 20), ("git", 30_000), ("ssh", 0), ("ssh", 10), ("ssh", 900),
                              ("ssh", 30_000))]


@pytest.fixture(scope="module")
def cut_lines(repository, tmp_path_factory):
    """{cut: future of (for ever, once)} as above."""
    tmp = tmp_path_factory.mktemp("lines")

    def run(at, cut, times, port, url, ssh_dir):
        scheme, after, how = cut
        runner_dir = tmp / f"{at}-{times}"
        runner_dir.mkdir()
        runner = Slipway(runner_dir)
        with servers.CutLine(port, after, how, times) as line:
            done = runner("fetch", "--url=" + url.replace(str(port), str(line.port)),
                          f"--retries={tries(how == 'hang', times)}", *(HANGING if how == "hang" else PATIENT),
                          *((f"--ssh-dir={ssh_dir}", "--accept-new-host-key") if scheme == "ssh" else ()),
                          seconds=SECONDS)
            return SimpleNamespace(done=done, left=left_behind(runner), hits=line.hits)

    with servers.GitDaemon(repository.bare.parent, tmp) as daemon, servers.Sshd(tmp / "sshd") as sshd, \
            ThreadPoolExecutor(8) as pool:
        sshd.known_hosts.unlink()  # the line has another port
        urls = {"git": (daemon.port, f"{daemon.url}/project.git"), "ssh": (sshd.port, f"{sshd.url}{repository.bare}")}
        yield {cut: [pool.submit(run, at, cut, times, *urls[cut[0]], sshd.ssh_dir) for times in (None, 1)]
               for at, cut in enumerate(CUTS)}


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: f"{cut[0]} {cut[2]} after {cut[1]} bytes")
def test_a_line_that_is_cut(cut, cut_lines, repository):
    for_ever, once = (future.result() for future in cut_lines[cut])
    assert for_ever.hits == 2 and once.hits == 1
    for_ever.done.failed("network", "gitfailure")
    assert not for_ever.left
    assert once.done.succeeded().results["commit"] == repository.head()


def test_a_long_complaint_over_ssh(slipway, repository, tmp_path):
    """More than any buffer of libgit2's, with everything in it that a terminal should not see."""
    with servers.Sshd(tmp_path / "sshd") as sshd:
        (sshd.work / "git-only").write_text(
            "#!/bin/sh\nexec python3 -c \"import sys; sys.stderr.buffer.write(b'out of cheese \\x1b[31m' * 20000)\"\n")
        done = slipway("fetch", f"--url={sshd.url}{repository.bare}", f"--ssh-dir={sshd.ssh_dir}", "--retries=0", *PATIENT)
    done.failed("network", "gitfailure")
    assert "out of cheese" in done.error["cause"] and len(done.error["cause"]) < 3000
    assert b"\x1b" not in done.out


# How long it waits before the next try, as the frame says: what was asked, but half a minute at most.


def delay_said(frame):
    found = re.search(r"try 2 of 2 in ([0-9.]+)s", frame["warning"]["message"])
    assert found, frame
    return float(found[1])


@pytest.mark.parametrize(("asked", "least", "most"), [
    ("2", 2, 2), ("99999999999999999999", 30, 30), ("-7", 0, 1), ("soon", 0, 1), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 1),
    ("Fri, 01 Jan 2100 00:00:00 GMT", 30, 30)])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_retry_after_is_kept_to(slipway, repository, authority, asked, least, most, tls):
    fault = Fault("refs", retry_after(asked, "503 Service Unavailable"), times=1)
    with servers.BrokenGit(repository.bare.parent, fault, authority.issue("retry") if tls else None) as server:
        running = slipway.start("fetch", f"--url={server.url}/project.git", "--retries=1",
                                f"--ca-file={authority.certificate}")
        said = running.wait_for(lambda frame: frame["kind"] == "warning")
        running.signal()
        running.finish()
    assert least <= delay_said(said) <= most
