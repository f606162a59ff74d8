"""Credentials in every place and form Kubernetes, Tekton and Quay leave them, shown to real servers and to nobody else."""

import base64
import hashlib
import hmac
import os
import subprocess

import pytest
import servers
import stream
from conftest import BINARY
from servers.ssh import make_key

TOKEN = "to-ken-4711"


@pytest.fixture
def private(git_root, make_repository):
    """A server that lets nobody in without the token."""
    make_repository()
    with servers.GitHttp(git_root, tokens={TOKEN}) as server:
        yield server


# Passwords and tokens: where they lie


def lay_out(layout, directory, server, host=None):
    """Writes one layout; returns the options and environment that lead to it."""
    host = host or server.address
    home = {"HOME": str(directory)}
    if layout == "basic-auth":
        (directory / "username").write_text("x\n")
        (directory / "password").write_text(f"{TOKEN}\n")
        return [f"--basic-auth-dir={directory}"], {}
    if layout == "password alone":
        (directory / "password").write_text(TOKEN)
        return [f"--basic-auth-dir={directory}"], {}
    if layout == "mounted secret":  # as kubelet does it: links to links
        data = directory / "..2026_01_01"
        data.mkdir()
        (data / "username").write_text("x")
        (data / "password").write_text(TOKEN)
        (directory / "..data").symlink_to(data.name)
        for name in ("username", "password"):
            (directory / name).symlink_to(f"..data/{name}")
        return [f"--basic-auth-dir={directory}"], {}
    if layout == "git-credentials workspace":
        (directory / ".git-credentials").write_text(f"http://x:{TOKEN}@{host}\n")
        (directory / ".gitconfig").write_text("[credential]\n\thelper = store\n")
        return [f"--basic-auth-dir={directory}"], {}
    if layout == "netrc workspace":
        (directory / ".netrc").write_text(f"machine {host.rsplit(':')[0]} login x password {TOKEN}\n")
        return [f"--basic-auth-dir={directory}"], {}
    if layout == "creds-init":  # what Tekton's entrypoint writes for an annotated Secret
        (directory / ".gitconfig").write_text(
            f'[credential]\n\thelper = store\n[credential "http://{host}"]\n\tusername = x\n')
        (directory / ".git-credentials").write_text(f"http://x:{TOKEN}@{host}\n")
        return [], home
    if layout == "creds-init, two accounts":
        (directory / ".gitconfig").write_text(f'[credential "http://{host}"]\n\tusername = right\n')
        (directory / ".git-credentials").write_text(f"http://wrong:no@{host}\nhttp://right:{TOKEN}@{host}\n")
        return [], home
    if layout == "creds-init with a path":
        (directory / ".gitconfig").write_text(
            f'[credential "http://{host}/project.git"]\n\tusername = x\n\tuseHttpPath = true\n')
        (directory / ".git-credentials").write_text(f"http://y:no@{host}/other\nhttp://x:{TOKEN}@{host}/project.git\n")
        return [], home
    assert layout == "netrc"
    (directory / ".netrc").write_text(f"machine elsewhere login x password no\nmachine {host.rsplit(':')[0]}\n"
                                      f"  login x\n  password {TOKEN}\n")
    return [], home


LAYOUTS = ["basic-auth", "password alone", "mounted secret", "git-credentials workspace", "netrc workspace", "creds-init",
           "creds-init, two accounts", "creds-init with a path", "netrc"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_token_is_found(slipway, private, tmp_path, layout):
    directory = tmp_path / "place"
    directory.mkdir()
    options, environment = lay_out(layout, directory, private)
    done = slipway("fetch", f"--url={private.url}/project.git", *options, environment=environment).succeeded()
    assert TOKEN.encode() not in done.out + done.err
    assert not [path for path in slipway.state.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "credentials" in name or "creds-init" in name])
def test_a_token_for_another_host_or_scheme_is_not_shown(slipway, private, git_root, tmp_path, layout):
    for host in ("elsewhere.example", "127.0.0.1:1", f"x.{private.address}"):
        directory = tmp_path / host.replace(":", "-")
        directory.mkdir()
        options, environment = lay_out(layout, directory, private, host)
        slipway("fetch", f"--url={private.url}/project.git", *options, environment=environment).failed("auth", "gitauth")
        assert not any(private.credentials)
    directory = tmp_path / "https"
    directory.mkdir()
    options, environment = lay_out(layout, directory, private)
    for path in directory.iterdir():
        path.write_text(path.read_text().replace("http:", "https:"))
    slipway("fetch", f"--url={private.url}/project.git", *options, environment=environment).failed("auth", "gitauth")
    assert not any(private.credentials), "a secret for https went in the clear"


def test_a_redirect_to_another_host_gets_no_credentials(slipway, private, git_root, tmp_path):
    directory = tmp_path / "place"
    directory.mkdir()
    options, _ = lay_out("basic-auth", directory, private)
    with servers.GitHttp(git_root, redirects={"/moved.git": f"{private.url}/project.git"}) as first:
        done = slipway("fetch", f"--url={first.url}/moved.git", *options).failed("auth", "gitauth")
        assert "redirect" in done.error["message"] and not any(private.credentials)


def test_home_unset_and_nothing_there(slipway, git_server, make_repository):
    make_repository()
    slipway("fetch", f"--url={git_server.url}/project.git", environment={"HOME": ""}).succeeded()
    slipway("fetch", f"--url={git_server.url}/project.git", environment={"HOME": "/nonexistent"}).succeeded()


@pytest.mark.parametrize("kind", ["https", "ssh"])
def test_an_arbitrary_user_without_passwd_entry(slipway, tmp_path, private, make_repository, sshd, kind):
    """OpenShift's: UID of its own, group 0, HOME=/, Secrets owned by root and readable by the group."""
    place = tmp_path / "place"
    place.mkdir()
    if kind == "ssh":
        repository = make_repository("other")
        options = [f"--url={sshd.url}{repository.bare}", f"--ssh-dir={sshd.ssh_dir}"]
        for path in (sshd.ssh_dir, *sshd.ssh_dir.iterdir()):
            path.chmod(0o750 if path.is_dir() else 0o640)
    else:
        options = [f"--url={private.url}/project.git", *lay_out("basic-auth", place, private)[0]]
    slipway.state.chmod(0o2770)
    for path in tmp_path.parents:
        if path != path.parent and path.stat().st_uid == os.getuid() and not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    for path in (tmp_path, tmp_path / "sshd"):
        path.chmod(path.stat().st_mode | 0o011) if path.exists() else None
    done = subprocess.run([BINARY, "fetch", f"--state={slipway.state}", "--output=frames", *options], user=123456, group=0,
                          extra_groups=[], env={"PATH": "/usr/bin", "HOME": "/"}, capture_output=True, timeout=60, cwd="/")
    frames = stream.check(done.stdout)
    assert done.returncode == 0, (frames[-5:], done.stderr)


# SSH keys


def converted(path, form):
    """The key written again in another of ssh-keygen's formats."""
    subprocess.run(["ssh-keygen", "-q", "-p", "-m", form, "-N", "", "-P", "", "-f", str(path)], check=True,
                   capture_output=True)


KEYS = {
    "ed25519": (("-t", "ed25519"), None), "ecdsa-256": (("-t", "ecdsa", "-b", "256"), None),
    "ecdsa-384": (("-t", "ecdsa", "-b", "384"), None), "ecdsa-521": (("-t", "ecdsa", "-b", "521"), None),
    "rsa-2048": (("-t", "rsa", "-b", "2048"), None), "rsa PKCS#1": (("-t", "rsa", "-b", "2048"), "PEM"),
    "rsa PKCS#8": (("-t", "rsa", "-b", "2048"), "PKCS8"), "ecdsa SEC1": (("-t", "ecdsa"), "PEM"),
    "ecdsa PKCS#8": (("-t", "ecdsa"), "PKCS8"), "ed25519 PKCS#8": (("-t", "ed25519"), "openssl"),
}


def written_as(key, form):
    if form == "openssl":  # ssh-keygen writes ed25519 in its own format only
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
        key.chmod(0o600)
        public = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"], check=True,
                                capture_output=True).stdout[-32:]
        blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", public))
        key.with_name(key.name + ".pub").write_text(f"ssh-ed25519 {base64.b64encode(blob).decode()}\n")
    elif form:
        converted(key, form)


@pytest.mark.parametrize("kind", KEYS)
def test_every_kind_of_key_opens_the_door(slipway, make_repository, sshd, tmp_path, kind):
    options, form = KEYS[kind]
    key = tmp_path / "id"
    make_key(key, options=options)
    written_as(key, form)
    sshd.accept(tmp_path / "id.pub")
    directory = tmp_path / "secret"
    directory.mkdir()
    (directory / "known_hosts").write_text(sshd.known_hosts.read_text())
    text = key.read_bytes()
    repository = make_repository()
    # As it is; as Secrets often have it; as Quay hands it over.
    for name, content in (("ssh-privatekey", text), ("id_deploy", text.rstrip(b"\n")), ("key", text.replace(b"\n", b"\r\n"))):
        (directory / name).write_bytes(content)
        (directory / name).chmod(0o644)  # Secrets are mounted so; ssh would mind
        slipway("fetch", f"--url={sshd.url}{repository.bare}", f"--ssh-dir={directory}").succeeded()
        (directory / name).unlink()


@pytest.mark.parametrize("algorithm", ["rsa-sha2-256", "rsa-sha2-512"])
def test_a_server_that_takes_one_signature_only(slipway, make_repository, tmp_path, algorithm):
    repository = make_repository()
    with servers.Sshd(tmp_path / "sshd", host_key=("-t", "rsa", "-b", "2048"),
                      more=f"PubkeyAcceptedAlgorithms {algorithm}\nHostKeyAlgorithms {algorithm}") as sshd:
        (sshd.ssh_dir / "id_ed25519").unlink()
        make_key(sshd.ssh_dir / "id_rsa", options=("-t", "rsa", "-b", "2048"))
        sshd.accept(sshd.ssh_dir / "id_rsa.pub")
        slipway("fetch", f"--url={sshd.url}{repository.bare}", f"--ssh-dir={sshd.ssh_dir}").succeeded()


@pytest.mark.parametrize("form", ["OpenSSH", "PEM", "PKCS8"])
def test_an_encrypted_key(slipway, make_repository, sshd, tmp_path, form):
    directory = tmp_path / "secret"
    directory.mkdir()
    options = ("-t", "ed25519") if form == "OpenSSH" else ("-t", "rsa", "-b", "2048", "-m", form)
    make_key(directory / "ssh-privatekey", "pass-phrase-4711", options)
    sshd.accept(directory / "ssh-privatekey.pub")
    (directory / "known_hosts").write_text(sshd.known_hosts.read_text())
    url = f"--url={sshd.url}{make_repository().bare}"
    done = slipway("fetch", url, f"--ssh-dir={directory}").failed("auth", "gitauth")
    assert "encrypted" in done.error["message"] and "passphrase" in done.error["hint"]
    (directory / "passphrase").write_text("pass-phrase-4711\n")
    done = slipway("fetch", url, f"--ssh-dir={directory}").succeeded()
    assert b"pass-phrase-4711" not in done.out + done.err
    (directory / "passphrase").write_text("another\n")
    slipway("fetch", url, f"--ssh-dir={directory}").failed("auth", "gitauth")


def test_the_right_one_of_several_keys(slipway, make_repository, sshd):
    for name in ("id_a", "id_b", "id_zz"):
        make_key(sshd.ssh_dir / name)
    make_key(sshd.ssh_dir / "id_locked", "secret-phrase")
    slipway("fetch", f"--url={sshd.url}{make_repository().bare}", f"--ssh-dir={sshd.ssh_dir}").succeeded()


def test_tekton_s_ssh_layout_in_home(slipway, make_repository, sshd):
    """creds-init: ~/.ssh/config binds each Secret's key to its host, ~/.ssh/known_hosts."""
    dot_ssh = slipway.home / ".ssh"
    dot_ssh.mkdir()
    (dot_ssh / "id_secret").write_bytes(sshd.key.read_bytes())
    (dot_ssh / "known_hosts").write_text(sshd.known_hosts.read_text())
    (dot_ssh / "config").write_text(f"Host somewhere\n    HostName 127.0.0.1\n    User {sshd.user}\n"
                                    f"    Port {sshd.port}\n    IdentityFile /tekton/home/.ssh/id_secret\n")
    repository = make_repository()
    slipway("fetch", f"--url=ssh://somewhere{repository.bare}").succeeded()
    slipway("fetch", f"--url=somewhere:{repository.bare}").succeeded()
    slipway("fetch", f"--url={sshd.url}{repository.bare}").failed("auth", "gitauth")  # the key is for `somewhere` only


# Host keys


def hashed(name, salt=b"0123456789abcdefghij"):
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def known(kind, sshd, other):
    name = f"[127.0.0.1]:{sshd.port}"
    return {
        "plain": f"{name} {sshd.host_key}",
        "hashed": f"{hashed(name)} {sshd.host_key}",
        "pattern": f"other,[127.0.0.?]:*,!nobody {sshd.host_key}",
        "among nonsense": f"garbage\n# comment\n\n{name} ssh-ed25519 AAAA\n{name} {sshd.host_key}\r\n\xff",
        "second of two": f"{name} {other}\n{name} {sshd.host_key}",
        "revoked": f"{name} {sshd.host_key}\n@revoked {name} {sshd.host_key}",
        "revoked by pattern": f"@revoked * {sshd.host_key}\n{name} {sshd.host_key}",
        "another key": f"{name} {other}",
        "another port": f"127.0.0.1 {sshd.host_key}",
        "negated": f"!{name},[127.0.0.*]:* {sshd.host_key}",
        "authority": f"@cert-authority * {other}",
        "none": "",
    }[kind]


@pytest.mark.parametrize("kind, wanted", [
    ("plain", None), ("hashed", None), ("pattern", None), ("among nonsense", None), ("second of two", None),
    ("revoked", "revoked"), ("revoked by pattern", "revoked"), ("another key", "not the one"), ("another port", "not known"),
    ("negated", "not known"), ("authority", "not known"), ("none", "not known")])
def test_what_known_hosts_says_counts(slipway, make_repository, sshd, tmp_path, kind, wanted):
    make_key(tmp_path / "other")
    other = " ".join((tmp_path / "other.pub").read_text().split()[:2])
    file = tmp_path / "known"
    file.write_bytes(known(kind, sshd, other).encode("latin-1"))
    sshd.known_hosts.unlink()
    options = [f"--url={sshd.url}{make_repository().bare}", f"--ssh-dir={sshd.ssh_dir}", f"--known-hosts={file}"]
    done = slipway("fetch", *options)
    if wanted is None:
        done.succeeded()
        return
    assert wanted in done.failed("auth", "gitauth").error["message"]
    if kind == "authority":
        assert "@cert-authority" in done.error["hint"]
    accepted = slipway("fetch", *options, "--accept-new-host-key")
    if kind == "none":
        warning = next(each for each in accepted.succeeded().of("warning") if each["code"] == "newhostkey")
        assert "SHA256:" in warning["message"]
    else:
        accepted.failed("auth", "gitauth")
