"""git over SSH: OpenSSH's sshd with a host key and a user key of its own, allowed to run git's commands only.

Needs root (sshd changes to the user it logs in). `ssh_dir` is laid out as Tekton's git-clone expects an SSH
workspace: the private key, and known_hosts with this server's key.
"""

import getpass
import os
import subprocess
from pathlib import Path

from .process import accepts, start


def make_key(path: Path, passphrase="", options=("-t", "ed25519")):
    """A key pair: `path` and `path`.pub. `options` as for ssh-keygen."""
    subprocess.run(["ssh-keygen", "-q", *options, "-N", passphrase, "-C", "slipway-test", "-f", str(path)], check=True)


class Sshd:
    """Serves repositories by absolute path: `url` + "/absolute/path.git".

    `passphrase` locks the user's key; `host_key` are ssh-keygen's options for the host's; `more` are further lines of
    sshd_config.
    """

    def __init__(self, work: Path, passphrase="", host_key=("-t", "ed25519"), more=""):
        self.work, self.passphrase = Path(work), passphrase
        self.host_key_options, self.more = host_key, more
        self.user = getpass.getuser()

    def __enter__(self):
        self.work.mkdir(parents=True, exist_ok=True)
        os.makedirs("/run/sshd", exist_ok=True)
        host, self.ssh_dir = self.work / "host_key", self.work / "ssh"
        self.ssh_dir.mkdir(mode=0o700, exist_ok=True)
        self.key, self.known_hosts = self.ssh_dir / "id_ed25519", self.ssh_dir / "known_hosts"
        make_key(host, options=self.host_key_options)
        make_key(self.key, self.passphrase)
        self.accept(self.ssh_dir / "id_ed25519.pub")
        shell = self.work / "git-only"
        # git-shell admits git's server commands and nothing else.
        shell.write_text('#!/bin/sh\nexport GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="*"\n'
                         'exec git-shell -c "$SSH_ORIGINAL_COMMAND"\n')
        shell.chmod(0o755)
        config = self.work / "sshd_config"
        config.write_text(f"""\
ListenAddress 127.0.0.1
HostKey {host}
AuthorizedKeysFile {self.work / 'authorized_keys'}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
ForceCommand {shell}
AllowTcpForwarding no
MaxStartups 100
PerSourcePenalties no
PidFile none
MaxAuthTries 20
{self.more}
""")
        self._program, self.port = start(
            lambda port: ["/usr/sbin/sshd", "-D", "-e", "-f", str(config), "-p", str(port)],
            self.work / "sshd.log", accepts)
        kind, key, *_ = Path(f"{host}.pub").read_text().split()
        self.host_key = f"{kind} {key}"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
        self.url = f"ssh://{self.user}@127.0.0.1:{self.port}"
        return self

    def accept(self, public_key: Path):
        """Lets another key in."""
        with open(self.work / "authorized_keys", "a") as keys:
            keys.write(public_key.read_text())

    def __exit__(self, *_):
        self._program.stop()
