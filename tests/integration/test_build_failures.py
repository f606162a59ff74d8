"""Why a build failed, provoked with the real buildah: pulls that fail after resolve, RUNs that fail, volumes too small.

What fails by the Dockerfile alone stands in test_build, what fails by limits of the container in tests/e2e.
"""

import subprocess
import json
import re
import shlex

import pytest
import servers

PLAIN = "--tls-verify=false"


def reproduced(done):
    return "".join(piece["command"] for piece in done.of("reproduce"))


@pytest.fixture
def pull_fails(slipway, sources, relay, base):
    """pull_fails(rule) → how a build ends whose base image could be resolved and then cannot be pulled."""

    def run(rule, *options):
        source = sources({"Dockerfile": f"FROM {relay.address}/base/small:1\nRUN echo hello\n"})
        slipway("resolve", f"--source={source}", PLAIN).succeeded()
        relay.rule = rule
        return slipway("build", *(options or (PLAIN, "--retries=0")), seconds=120)

    return run


@pytest.mark.parametrize("status, klass, code, word", [
    (401, "auth", "registryauth", "credentials"),
    (403, "auth", "registryauth", "denied"),
    (404, "build", "cannotpullbaseimage", "exist"),
    (429, "registry", "cannotpullbaseimage", "limits"),
    (500, "registry", "cannotpullbaseimage", "error"),
    (503, "registry", "cannotpullbaseimage", "error")])
def test_a_pull_that_is_refused(pull_fails, status, klass, code, word):
    done = pull_fails(lambda method, path: status if "manifests" in path else None).failed(klass, code)
    assert word in done.error["message"], done.error
    assert done.error["hint"] and done.error["cause"]
    assert done.commands("started") == []


def test_a_pull_of_a_list_without_the_platform(slipway, sources, registry, base):
    """resolve pins no such thing; a plan can name it all the same."""
    foreign = f"{registry.address}/base/foreign"
    digest = registry.put_image("base/foreign", "1", *servers.image.layer(), servers.image.CONFIG, ("linux", "riscv64"))
    slipway("index", f"--image={foreign}:all", f"--from={foreign}@{digest}", PLAIN).succeeded()
    slipway("resolve", f"--source={sources({'Dockerfile': f'FROM {base}'})}", PLAIN).succeeded()
    plan = json.loads((slipway.state / "plan.json").read_text())
    plan["images"][0]["pinned"] = f"{foreign}@{registry.digest('base/foreign', 'all')}"
    (slipway.state / "plan.json").write_text(json.dumps(plan))
    done = slipway("build", PLAIN, "--retries=0").failed("build", "cannotpullbaseimage")
    assert "platform" in done.error["message"] and "--platform" in done.error["hint"], done.error


def test_a_pull_whose_layer_is_gone(pull_fails):
    pull_fails(lambda method, path: 404 if "/blobs/" in path else None).failed("registry", "cannotpullbaseimage")


def test_a_pull_that_is_cut(pull_fails):
    done = pull_fails(lambda method, path: "reset" if "/blobs/" in path else None).failed("network", "network")
    assert "broke off" in done.error["message"] or "reset" in done.error["message"], done.error


def test_a_pull_over_tls_that_nobody_vouches_for(slipway, sources, registry, base, authority):
    with servers.Registry(slipway.state.parent / "tls-registry", tls=authority.issue("registry")) as other:
        slipway("resolve", f"--source={sources({'Dockerfile': f'FROM {base}'})}", PLAIN).succeeded()
        plan = json.loads((slipway.state / "plan.json").read_text())
        text = json.dumps(plan).replace(registry.address, other.address)
        (slipway.state / "plan.json").write_text(text)
        done = slipway("build", "--retries=0").failed("network", "network")
    assert "certificate" in done.error["message"] and "--ca-file" in done.error["hint"]


def test_a_pull_from_a_name_that_is_gone(slipway, sources, registry, base):
    slipway("resolve", f"--source={sources({'Dockerfile': f'FROM {base}'})}", PLAIN).succeeded()
    plan = (slipway.state / "plan.json").read_text().replace(registry.address, "no-such-host.invalid")
    (slipway.state / "plan.json").write_text(plan)
    done = slipway("build", "--retries=0").failed("network", "network")
    assert "resolved" in done.error["message"] and "DNS" in done.error["hint"]


@pytest.mark.parametrize("command, hint", [
    ("echo 'ping: socktype: SOCK_RAW' >&2; exit 2", "raw sockets"),
    ("echo 'E: setgroups 65534 failed - setgroups (1: Operation not permitted)'; exit 100", "APT::Sandbox"),
    ("ulimit -n 99999999", "limits"),
    ("nosuchprogram", "not found"),
    ("chown 99999999:1 /etc/passwd || exit 1; echo done; exit 1", None)])
def test_what_would_help_a_run(built, command, hint):
    error = built(f"ARG BASE\nFROM ${{BASE}}\nRUN {command}\n").failed("build", "builderror").error
    assert (hint or "") in error.get("hint", ""), error


def test_the_last_lines_the_time_and_the_memory_of_a_run_are_told(built):
    # Output and errors are two pipes: what is written at once comes in either order, hence the pause.
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; sleep 1; echo last words >&2; printf 'no end'; exit 5"
    done = built(f"ARG BASE\nFROM ${{BASE}}\nRUN echo before\nRUN {script}\n").failed("build", "builderror")
    output = done.error["output"]
    assert len(output) == 8 and {"last words", "no end", "line 12"} <= set(output), output
    assert done.error["duration_ms"] >= 1000
    assert done.error["peak_memory"] > 1 << 20
    assert done.error["child_exit"] == 5


def test_lines_of_a_run_that_are_long_or_broken_are_bounded(built):
    done = built("ARG BASE\nFROM ${BASE}\nRUN head -c 3000000 /dev/zero | base64 -w 0; printf '\\377\\376\\n'; exit 1\n")
    output = done.failed("build", "builderror").error["output"]
    assert all(len(line.encode()) <= 210 for line in output), output


@pytest.mark.parametrize("text", [
    "error setting supplemental groups list: operation not permitted",
    "Error: building at STEP \"RUN x\": making mounts private: operation not permitted",
    "process failed to start with error: fork/exec /x: permission denied",
    "subprocess exited on killed", "no space left on device", "x509: certificate signed by unknown authority"])
@pytest.mark.parametrize("end", ["\\n", ""])
def test_what_a_run_prints_does_not_decide_why_it_failed(built, text, end):
    script = f"printf '%s{end}' '{text}' >&2; exit 1\n"
    done = built("ARG BASE\nFROM ${BASE}\nCOPY say /say\nRUN . /say\n", {"say": script})
    done.failed("build", "builderror")
    assert done.error["message"] == "exit code 1: RUN . /say"
    assert done.error["child_exit"] == 1


def test_what_a_run_prints_does_not_decide_why_a_later_instruction_failed(built):
    done = built("ARG BASE\nFROM ${BASE} AS one\nRUN echo 'Error during unshare(CLONE_NEWUSER): Operation not permitted' >&2\n"
                 "FROM ${BASE}\nCOPY --from=one /nothing /there\n")
    assert done.error["class"] == "build", done.error


# Repeating it elsewhere


def test_the_line_that_repeats_a_build_of_a_directory(built, base):
    done = built("ARG BASE\nFROM ${BASE}\nRUN exit 3\n", None, "--label=note=two words", "--format=docker",
                 "--runner-image=example.com/slipway@sha256:" + "0" * 64).failed("build")
    line = reproduced(done)
    assert line.startswith("tar -C ./source -c . | podman run --rm --user=0 ") and "--archive=-" in line
    assert " example.com/slipway@sha256:" in line and "'--label=note=two words'" in line and "--format=docker" in line
    assert re.search(r"--base-image-override=\S+=\S+@sha256:[0-9a-f]{64}", line)
    kinds = [frame["kind"] for frame in done.frames]
    assert kinds.index("reproduce") < kinds.index("error")


def test_a_commit_is_repeated_by_its_id_and_secrets_by_name_only(slipway, make_repository, git_server, base, tmp_path):
    repository = make_repository("again", {"Dockerfile": f"FROM {base}\nRUN --mount=type=secret,id=token exit 3\n"})
    (tmp_path / "token").write_text("hush-hush-4711")
    slipway("fetch", f"--url={git_server.url}/again.git").succeeded()
    slipway("resolve", PLAIN, "--build-arg=ALSO=hush-hush-4711").succeeded()
    line = reproduced(slipway("build", PLAIN, f"--secret=id=token,src={tmp_path / 'token'}").failed("build"))
    assert f"--url={git_server.url}/again.git --revision={repository.head()}" in line
    assert "--volume=./secret-token:/secret-token:ro" in line and "--secret=id=token,src=/secret-token" in line
    assert str(tmp_path) not in line and "hush-hush" not in line and "***" in line


def test_a_repetition_takes_the_same_part_of_the_source(slipway, make_repository, git_server, base):
    failing = f"FROM {base}\nRUN exit 3\n"
    repository = make_repository("part", {"Dockerfile": failing, "docs/page": "page\n", "other/page": "page\n"})
    slipway("fetch", f"--url={git_server.url}/part.git", "--sparse=docs", "--sparse-list=a b,c", "--submodules=false",
            "--lfs=false", "--depth=0", "--tags", "--submodule-path=deps").succeeded()
    slipway("resolve", PLAIN).succeeded()
    line = reproduced(slipway("build", PLAIN).failed("build"))
    assert f"--revision={repository.head()} --depth=0 --tags --sparse=docs '--sparse=a b' --sparse=c --submodules=false " \
           "--submodule-path=deps --lfs=false" in line
    words = shlex.split(line)
    again = words[words.index("run", words.index("--rm")) + 1:]
    done = slipway("run", *again).failed("build")
    assert done.error["message"] == "exit code 3: RUN exit 3"


def test_a_repetition_drops_as_many_directories_of_the_archive(slipway, base, tmp_path):
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "Dockerfile").write_text(f"FROM {base}\nRUN exit 3\n")
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "source.tar", "top"], check=True)
    slipway("fetch", f"--archive={tmp_path / 'source.tar'}", "--strip-components=1").succeeded()
    slipway("resolve", PLAIN).succeeded()
    line = reproduced(slipway("build", PLAIN).failed("build"))
    assert line.startswith("cat ./archive | ") and " --strip-components=1 " in line


def test_a_repetition_has_the_inputs_of_the_build(built, tmp_path):
    for name in ("word", "labels"):
        (tmp_path / name).write_text("who=me\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    line = reproduced(built("ARG BASE\nFROM ${BASE}\nRUN exit 3\n", None, "--squash", "--timestamp=5", "--hermetic",
                            f"--secret-env=word={tmp_path / 'word'}", f"--ssh=key={tmp_path / 'key'}",
                            f"--labels-file={tmp_path / 'labels'}").failed("build"))
    for option in ("--squash", "--timestamp=5", "--network=none", "--secret-env=word=/secret-word", "--ssh=key=/ssh-key",
                   "--labels-file=/labels", "--volume=./ssh-key:/ssh-key:ro"):
        assert option in line
    assert str(tmp_path) not in line


def test_a_long_line_comes_in_pieces(built):
    value = "".join(f"{n} 'quoted' \"twice\" \\ é\n" for n in range(200))
    done = built("ARG BASE\nFROM ${BASE}\nRUN exit 3\n", None, resolve=[f"--build-arg=LONG={value}"]).failed("build")
    pieces = done.of("reproduce")
    assert len(pieces) > 2 and [piece.get("more", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert "199 " in reproduced(done) and not any("truncated" in piece for piece in pieces)


def test_a_stopped_build_needs_no_repeating(slipway, planned):
    planned("ARG BASE\nFROM ${BASE}\nRUN echo sleeping; sleep 60\n")
    running = slipway.start("build", PLAIN)
    running.wait_for(lambda frame: frame["kind"] == "log" and frame["log"]["text"] == "sleeping", 60)
    running.signal()
    assert not running.finish(20).cancelled().of("reproduce")


# The volume


def test_a_volume_too_small_for_the_base_is_refused_before_the_pull(slipway, planned, registry, small):
    import gzip
    import io
    import os
    import tarfile

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        entry = tarfile.TarInfo("noise")
        entry.size = 24 << 20
        archive.addfile(entry, io.BytesIO(os.urandom(24 << 20)))
    registry.put_image("base/noise", "1", gzip.compress(plain.getvalue(), 1), plain.getvalue(), {})
    planned(f"FROM {registry.address}/base/noise:1\nLABEL a=b\n")
    slipway.work = small
    done = slipway("build", PLAIN).failed("resource", "outofdisk")
    assert "24 MiB" in done.error["message"] and done.error["hint"]
    assert not done.of("phase") or done.of("phase")[0]["name"] == "error", "it was pulled all the same"


def test_a_volume_that_grows_full_is_warned_of(slipway, planned, small):
    """And one that was full for a while, but not at its end, does not fail for it."""
    planned("ARG BASE\nFROM ${BASE}\nRUN dd if=/dev/zero of=/big bs=65536 count=1000; sleep 2; : >/big\n")
    slipway.work = small
    done = slipway("build", PLAIN, "--storage=overlay").succeeded()
    assert [warning for warning in done.of("warning") if warning["code"] == "littlespace"], done.story()
