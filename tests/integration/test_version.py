import json
import os
import re
import subprocess

from conftest import BINARY


def test_version_names_program_and_protocol(slipway):
    done = slipway.plain("version", "--json")
    assert done.exit == 0, done.err
    facts = json.loads(done.out)
    assert re.match(r"^\d+\.\d+\.\d+", facts["version"])
    assert facts["protocol"] == 1
    assert facts["commit"]


def test_help_is_there_for_every_verb(slipway):
    for verb in ("fetch", "resolve", "build", "push", "run", "index", "doctor", "frames", "version"):
        done = slipway.plain(verb, "--help")
        assert done.exit == 0, (verb, done.err)
        assert b"--" in done.out, verb


def test_an_unknown_verb_is_a_usage_error(slipway):
    done = slipway.plain("lunch")
    assert done.exit == 2
    assert b"lunch" in done.err


def test_the_binary_is_static():
    headers = subprocess.run(["readelf", "-lW", BINARY], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in headers
    assert "DYN" in headers, "static, but not position independent"
    dynamic = subprocess.run(["readelf", "-dW", BINARY], capture_output=True, text=True, check=True).stdout
    assert "NEEDED" not in dynamic


def test_a_fetch_over_tls_opens_no_shared_object(slipway, make_repository, git_root, authority, tmp_path):
    """Also under an nsswitch.conf that names services which glibc would load from shared objects."""
    import servers

    make_repository()
    hostile = "hosts: mymachines myhostname resolve dns files\npasswd: systemd sss files\ngroup: systemd files\n"
    before = open("/etc/nsswitch.conf", encoding="ascii").read() if os.path.exists("/etc/nsswitch.conf") else None
    trace = tmp_path / "trace"
    with servers.GitHttp(git_root, tls=authority.issue("static")) as server:
        try:
            with open("/etc/nsswitch.conf", "w", encoding="ascii") as file:
                file.write(hostile)
            argv = slipway.argv("fetch", f"--url=https://localhost:{server.port}/project.git",
                                f"--ca-file={authority.certificate}")
            done = subprocess.run(["strace", "-f", "-qq", "-e", "trace=open,openat,openat2", "-o", str(trace), *argv],
                                  capture_output=True, env=slipway.environment(), timeout=60)
        finally:
            if before is None:
                os.unlink("/etc/nsswitch.conf")
            else:
                with open("/etc/nsswitch.conf", "w", encoding="ascii") as file:
                    file.write(before)
    assert done.returncode == 0, done.stdout + done.stderr
    opened = re.findall(r'"([^"]*)"', trace.read_text())
    assert opened
    assert not [path for path in opened if re.search(r"\.so(\.|$)", path)]
