"""The corpus: for every Dockerfile of corpus/ what building it takes and what the image must hold.

A case is a function named like its folder (`-` as `_`); it gets the Image and raises AssertionError. What git cannot
keep of a context (owners in archives, thousands of files) is made by a function in PREPARE.
"""

import hashlib
import stat
from pathlib import Path

from image import archive

FOLDER = Path(__file__).resolve().parent / "corpus"
SECRET = b"correct horse battery staple\n"
# Options of `slipway build` beyond everybody's; {state} is the case's folder.
OPTIONS = {"secret-mount": ["--secret=id=token,src={secret}"]}
RESOLVE = {"multi-stage": ["--build-arg=GREETING=ahoy"], "arg-in-from": ["--build-arg=FLAVOUR=given, with 'quotes'"]}


def names():
    return sorted(path.name for path in FOLDER.iterdir())


def check(name, image):
    globals()[name.replace("-", "_")](image)


def _modules(context):
    for package in range(40):
        folder = context / "modules" / f"package-{package}" / "lib"
        folder.mkdir(parents=True)
        for number in range(100):
            (folder / f"index-{number}.js").write_text(f"// {package} {number}\n")


def _owned(context):
    (context / "owned.tar.gz").write_bytes(archive([
        ("owned", 0o750, 1001, 1002, None), ("owned/file", 0o640, 1003, 1004, b"content\n"),
        ("owned/run", 0o4755, 0, 1005, b"#!/bin/sh\n")]))


PREPARE = {"large-tree": _modules, "tar-owners": _owned}


def apt_install(image):
    image.mode("usr/bin/tree", 0o755)
    assert "Package: tree\nStatus: install ok installed\n" in image.text("var/lib/dpkg/status")
    assert image.listing("var/lib/apt/lists") == []
    image.owner("var/cache/apt/archives/partial", 42, 0)
    assert image.config["Entrypoint"] == ["tree"]


def arg_in_from(image):
    image.says("args", "1.37/given, with 'quotes'\n")


def cache_mount(image):
    image.says("word", "cached\n")
    assert image.listing("cache") == []


def copy_chown(image):
    image.mode("numbers/one", 0o640)
    image.owner("numbers/one", 1000, 3000)
    for path in ("names/leaf", "names/branch", "names/branch/deep"):
        image.owner(path, 2001, 2000)
    image.mode("modes/leaf", 0o711)
    image.owner("modes/leaf", 0, 0)
    image.owner("added/one", 2001, 2001 if image.entry("added/one").gid == 2001 else 2000)
    image.owner("plain", 0, 0)


def copy_from_image(image):
    image.says("borrowed/two", "2\n")
    image.says("two", "2\n")
    assert image.listing("mnt") == []


def deep_layers(image):
    image.says("deep/log", "".join(f"{n}\n" for n in range(1, 21)))
    assert len(image.listing("deep")) == 21


def dockerignore(image):
    image.says("listing", "".join(f"{path}\n" for path in sorted((
        ".", "./Dockerfile", "./b.txt", "./logs", "./logs/keep.log", "./src", "./src/deep", "./src/deep/c",
        "./src/main"))))


def file_capabilities(image):
    # Version 2, effective: permitted NET_BIND_SERVICE (10); or version 3, which adds the namespace's root.
    assert image.attribute("bin/server", "security.capability")[3:7].startswith(b"\x02\x00\x04\x00"), \
        image.entry("bin/server").pax_headers
    assert image.attribute("bin/other", "security.capability") == b""


def git_in_run(image):
    image.says("version", "v1.2.0-1\n")
    assert "clone/.git/HEAD" in image


def hard_links(image):
    image.says("seen", "shared\nmore\n")
    assert {image.text(f"linked/{name}") for name in "abc"} == {"shared\nmore\n"}


def healthcheck(image):
    found = image.config["Healthcheck"]
    assert found["Test"] == ["CMD-SHELL", "test -e /alive"] and found["Retries"] == 4, found
    assert (found["Interval"], found["Timeout"]) == (5 * 10**9, 2 * 10**9)


def heredoc(image):
    image.says("made/numbers", "number 1\nnumber 2\nnumber 3\n")
    image.says("etc/service.conf", "listen = 8080\n  indented = yes\n")
    image.says("usr/bin/start", '#!/bin/sh\nexec echo "$HOME"\n')
    image.mode("usr/bin/start", 0o755)
    image.owner("usr/bin/start", 5, 6)


def large_tree(image):
    image.says("count", "4000\n")
    assert len([path for path in image.listing("modules") if path.endswith(".js")]) == 3960


def long_output(image):
    image.says("done", "done\n")


def many_stages(image):
    image.says("parts/0", "common\n")
    for number in range(1, 7):
        image.says(f"parts/{number}", f"common\n{number}\n")


def mounts(image):
    image.says("stage", "from stage\n")
    image.says("input", "input\n")
    assert image.listing("scratch") == [] and image.listing("context") == []


def multi_stage(image):
    assert sorted(image.files) == ["greet"]
    image.mode("greet", 0o555)
    assert image.read("greet")[:4] == b"\x7fELF"


def onbuild(image):
    image.says("app/sorted", "apple\nfig\npear\n")
    assert not image.config.get("OnBuild")


def secret_mount(image):
    image.says("length", f"{len(SECRET)}\n")
    image.says("mode", "400\n")
    assert image.text("sum").split()[0] == hashlib.sha256(SECRET).hexdigest()
    assert SECRET.strip() not in b"".join(image.read(path) for path in ("length", "mode", "sum"))
    assert "etc/token" not in image or image.read("etc/token") == b""


def settings(image):
    config = image.config
    assert config["User"] == "1000:1001" and config["StopSignal"] == "SIGINT"
    assert config["Entrypoint"] == ["/bin/echo", "-n"] and config["Cmd"] == ["one", "two words"]
    assert sorted(config["ExposedPorts"]) == ["8080/tcp", "9090/udp"], config["ExposedPorts"]
    assert config["Labels"]["org.example.quoted"] == 'it\'s "so"' and config["Labels"]["org.example.name"] == "a b"
    assert "BOTH=Cux haven/default" in config["Env"], config["Env"]
    assert any(entry.startswith("PATH=/opt/bin:") for entry in config["Env"]), config["Env"]


def setuid(image):
    image.mode("bin/gate", 0o4755)
    image.owner("bin/gate", 7, 8)
    image.mode("handed", 0o2775)
    image.owner("handed/child", 0, 9)
    image.mode("everybody", 0o1777)
    image.mode("bin/tool", 0o4711)


def shell(image):
    assert image.config["Shell"] == ["/bin/busybox", "ash", "-eu", "-o", "pipefail", "-c"]
    # buildah takes SHELL for RUN alone.
    assert image.config["Cmd"] == ["/bin/sh", "-c", "cat /lines"], image.config["Cmd"]
    image.says("lines", "2\n")


def sparse_file(image):
    assert image.entry("sparse").size == 64 * 2**20 + 3
    assert image.text("sum").split()[0] == hashlib.sha256(image.read("dense")).hexdigest()


def special_files(image):
    pipe = image.entry("odd/pipe")
    assert pipe.isfifo()
    image.mode("odd/pipe", 0o620)
    image.owner("odd/pipe", 44, 55)
    image.mode("odd/closed", 0o700)
    assert image.entry("odd/old").mtime == 946684740, image.entry("odd/old").mtime
    for name in ("with space", "na\u00efve", "empty", "-dash", "new\nline"):
        assert f"odd/{name}" in image, name


def switch_user(image):
    for name in ("su", "gosu", "setpriv"):
        image.says(f"home/worker/{name}", "1500\n" if image.owners else "0\n")
        image.owner(f"home/worker/{name}", 1500, 1500)


def symlinks(image):
    image.says("releases/7/page", "page\n")
    image.says("where", "/releases/7\n")
    image.linked("current", "/releases/7")
    image.linked("releases/dangling", "../nowhere")
    image.linked("links/relative", "target")
    image.linked("links/absolute", "/etc/passwd")
    image.linked("releases/latest", "8")


def tar_owners(image):
    for folder in ("added", "unpacked"):
        image.owner(f"{folder}/owned", 1001, 1002)
        image.mode(f"{folder}/owned", 0o750)
        image.owner(f"{folder}/owned/file", 1003, 1004)
        image.mode(f"{folder}/owned/file", 0o640)
        image.owner(f"{folder}/owned/run", 0, 1005)
        image.mode(f"{folder}/owned/run", 0o4755)


def useradd_user(image):
    assert image.config["User"] == "sailor" and image.config["WorkingDir"] == "/home/sailor"
    image.says("home/sailor/who", "sailor\n" if image.owners else "root\n")
    image.owner("home/sailor", 1234, 4321)
    image.owner("home/sailor/private/note", 1234, 4321)
    image.mode("home/sailor/private", 0o750)
    assert "sailor:x:1234:4321:" in image.text("etc/passwd")


def volume(image):
    assert sorted(image.config["Volumes"]) == ["/data", "/empty"]
    image.says("data/before", "before\n")
    image.owner("data/before", 33, 33)


def whiteouts(image):
    assert "etc/shadow" not in image and "etc/passwd" in image
    assert image.listing("srv/replaced") == ["three"], image.listing("srv/replaced")
    assert image.listing("srv/kept") == []
    image.says("srv/removed/inside", "now a directory\n")


def workdir_owner(image):
    image.owner("srv/by-root", 0, 0)
    assert stat.S_IMODE(image.entry("srv/by-root").mode) == 0o755
    # Where one id is all there is, becoming another is pretended.
    image.says("home/app/where", f"/home/app/by-app\n{1700 if image.owners else 0}\n")


def xattrs(image):
    image.says("value", "harbour")
    assert image.attribute("labelled", "user.origin") == b"harbour"
    image.says("labelled", "text\nmore\n")
