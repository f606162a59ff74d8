"""No credential given to slipway appears anywhere: streams, files, arguments of processes, the image."""

import base64
import json
import threading
import urllib.parse
from pathlib import Path

import pytest
import servers
from conftest import auth_file

TOKEN = "git+to/ken=47?11"
PASSWORD = "reg:pa ss/wo+rd&4711"
SECRET = "build\"se\\zret%4711 with blank"
SECOND = "line one of 4711\nline two of 4711\n"

DOCKERFILE = """\
ARG BASE
FROM ${BASE}
RUN --mount=type=secret,id=one --mount=type=secret,id=two \\
    cat /run/secrets/one; echo; cat /run/secrets/one >&2; echo >&2; cat /run/secrets/two; \\
    base64 -w 0 /run/secrets/one; echo; head -c 6 /run/secrets/one; sleep 0.3; \\
    read -r whole </run/secrets/one; echo "${whole#build?}"; echo "all of it was shown"; sleep 0.5
"""


def spellings(secret):
    """How a secret might be written down: as it is, and in the encodings the contract names."""
    raw = secret.encode()
    found = {raw, base64.b64encode(raw), base64.urlsafe_b64encode(raw), urllib.parse.quote(secret, safe="").encode(),
             urllib.parse.quote_plus(secret).encode(), urllib.parse.quote(secret).encode(),
             json.dumps(secret)[1:-1].encode()}
    # base64 of a text that goes on has no padding, and may begin at any of three offsets.
    for before in (b"", b"x", b"xy"):
        middle = base64.b64encode(before + raw)
        found.add(middle[4 if before else 0:len(middle) - 4])
    return found


class Watch(threading.Thread):
    """Collects the arguments and environments of all processes, again and again, while it runs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.arguments, self.environments, self._done, self.rounds = set(), set(), threading.Event(), 0

    def __enter__(self):
        self.start()
        return self

    def run(self):
        while not self._done.wait(0.01):
            self.rounds += 1
            for process in Path("/proc").glob("[0-9]*"):
                for name, found in (("cmdline", self.arguments), ("environ", self.environments)):
                    try:
                        found.add((process / name).read_bytes())
                    except OSError:
                        pass

    def __exit__(self, *_):
        self._done.set()
        self.join()


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All four steps with every kind of credential; what they wrote and where."""
    from conftest import Repository, Slipway

    directory = tmp_path_factory.mktemp("secrets")
    slipway = Slipway(directory)
    git_root = directory / "git"
    git_root.mkdir()
    repository = Repository(git_root, "project")
    repository.commit({"Dockerfile": DOCKERFILE})
    credentials = directory / "basic"
    credentials.mkdir()
    (credentials / "username").write_text("robot")
    (credentials / "password").write_text(TOKEN + "\n")
    (directory / "one").write_text(SECRET)
    (directory / "two").write_text(SECOND)
    secrets = {TOKEN, PASSWORD, SECRET, *SECOND.splitlines()}
    outcomes = []
    with servers.Registry(directory / "registry", users={"ada": PASSWORD}) as registry, \
            servers.GitHttp(git_root, tokens={TOKEN}) as git, servers.Sshd(directory / "sshd") as sshd, Watch() as watch:
        secrets |= {line for line in sshd.key.read_text().splitlines() if not line.startswith("-----")}
        registry.put_image("base/small", "1", *servers.image.layer(), servers.image.CONFIG)
        auth = f"--authfile={auth_file(directory / 'auth.json', registry.address, 'ada', PASSWORD)}"
        archive = f"--log-archive={directory / 'archive'}"
        (directory / "archive").mkdir()
        for verb, *options in (
                ("fetch", f"--url={sshd.url}{repository.bare}", f"--ssh-dir={sshd.ssh_dir}"),
                ("fetch", f"--url=http://robot:{urllib.parse.quote(TOKEN, safe='')}@{git.address}/project.git"),
                ("fetch", f"--url={git.url}/project.git", f"--basic-auth-dir={credentials}"),
                ("resolve", f"--build-arg=BASE={registry.address}/base/small:1"),
                ("build", f"--secret=id=one,src={directory / 'one'}", f"--secret=id=two,src={directory / 'two'}"),
                ("push", f"--image={registry.address}/some/image:1")):
            if verb != "fetch":
                options += [auth, "--tls-verify=false"]
            outcomes.append(slipway(verb, "--log-level=trace", archive, *options).succeeded())
            # Given on the command line by its caller, who may do so: no leak of ours.
            if options[0].startswith("--url=http://robot:"):
                watch.arguments = {argument for argument in watch.arguments if b"--url=http://robot:" not in argument}
        layers = [layer["digest"] for layer in registry.image("some/image", "1")[0]["layers"]]
        image = [json.dumps(registry.image("some/image", "1")).encode()]
        image += [(file.content or b"") + name.encode() for name, file in registry.files("some/image", "1").items()]
        image += [registry.get(f"some/image/blobs/{digest}")[1] for digest in layers]
    yield {"slipway": slipway, "outcomes": outcomes, "image": image, "secrets": secrets, "watch": watch,
           "directory": directory}


def assert_none(secrets, places):
    for secret in secrets:
        for spelling in spellings(secret):
            for name, content in places:
                assert spelling not in content, f"{secret!r} as {spelling!r} in {name}: " \
                    f"{content[max(0, content.find(spelling) - 100):][:300]!r}"


def test_none_in_the_streams(everything):
    assert "all of it was shown" in everything["outcomes"][4].log
    assert everything["outcomes"][4].log.count("***") >= 5, everything["outcomes"][4].log
    assert everything["outcomes"][4].end["totals"]["redactions"] >= 5
    assert_none(everything["secrets"], [(f"{step} of step {number}", content)
                                        for number, done in enumerate(everything["outcomes"])
                                        for step, content in (("output", done.out), ("standard error", done.err))])


def test_none_in_the_hand_off_directory(everything):
    slipway = everything["slipway"]
    files = [path for path in slipway.state.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) > 5
    assert_none(everything["secrets"], [(str(path), path.read_bytes()) for path in files])


def test_none_in_the_archive_of_the_log(everything):
    import subprocess

    files = sorted((everything["directory"] / "archive").iterdir())
    assert len(files) == 4, "one per step; a second attempt of the same name replaces the first"
    texts = [(path.name, subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout)
             for path in files]
    assert any(b"all of it was shown" in text for _, text in texts)
    assert_none(everything["secrets"], texts)


def test_none_in_arguments_or_environments_of_processes(everything):
    watch = everything["watch"]
    assert watch.rounds > 20
    assert any(b"buildah" in arguments for arguments in watch.arguments)
    assert_none(everything["secrets"], [("arguments", arguments) for arguments in watch.arguments])
    assert_none(everything["secrets"], [("an environment", environment) for environment in watch.environments])


def test_none_in_the_image(everything):
    assert_none(everything["secrets"], [("the image", content) for content in everything["image"]])


def test_none_in_what_is_left_of_the_work_directory(everything):
    files = [path for path in everything["slipway"].work.rglob("*") if path.is_file()]
    assert_none(everything["secrets"], [(str(path), path.read_bytes()) for path in files])


def test_none_in_an_error_message(slipway, git_root, make_repository):
    make_repository()
    with servers.GitHttp(git_root, tokens={"another"}) as server:
        quoted = urllib.parse.quote(TOKEN, safe="")
        done = slipway("fetch", f"--url=http://robot:{quoted}@{server.address}/project.git").failed("auth", "gitauth")
    assert_none({TOKEN}, [("output", done.out), ("standard error", done.err)])


def test_a_secret_too_short_to_be_masked_is_warned_of(slipway, resolved, fake_buildah, tmp_path):
    resolved({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    (tmp_path / "short").write_text("abc")
    done = slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=A", "--storage=vfs",
                   f"--secret=id=one,src={tmp_path / 'short'}").succeeded()
    assert "shortsecret" in [warning["code"] for warning in done.of("warning")]


def test_a_secret_that_is_not_there_is_a_usage_error(slipway, resolved, fake_buildah, tmp_path):
    resolved({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    for option in ("--secret=id=one", "--secret=one", f"--secret=id=one,src={tmp_path / 'missing'}",
                   "--secret=id=one,src=/dev/null,env=X"):
        done = slipway("build", f"--buildah={fake_buildah('ok')}", "--recipe=A", "--storage=vfs", option)
        done.failed("usage", "missingorinvalidargument")
