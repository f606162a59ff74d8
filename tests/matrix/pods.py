"""Pods as podman options: security settings, seccomp profiles, and what storage needs from outside."""

import dataclasses
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# A pod's own user namespace (hostUsers: false): 65536 ids.
OWN_NAMESPACE = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")
NO_NEW_PRIVILEGES = ("--security-opt", "no-new-privileges")

FEW = ("SETUID", "SETGID", "SETFCAP", "CHOWN", "DAC_OVERRIDE", "FOWNER", "SYS_CHROOT")
# What buildah gives a RUN unless told otherwise.
OF_RUN = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP",
          "SETUID", "SYS_CHROOT")
# A pod without a securityContext gets its runtime's set.
OF_CONTAINERD = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
                 "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE")
OF_CRIO = ("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE", "KILL")


@dataclasses.dataclass(frozen=True)
class Pod:
    name: str
    gives: str  # for the table
    user: str
    capabilities: tuple
    more: tuple = ()

    @property
    def options(self):
        added = ("--cap-add", ",".join(self.capabilities)) if self.capabilities else ()
        return ["--user", self.user, "--cap-drop", "ALL", *added, *self.more]

    @property
    def inside(self):
        """podman gives users other than root ambient capabilities; Kubernetes gives none, so they go."""
        return () if self.user.startswith("0") else ("setpriv", "--ambient-caps=-all", "--inh-caps=-all")


PODS = {pod.name: pod for pod in (
    Pod("A", "root, few capabilities", "0:0", FEW),
    Pod("A-nnp", "the same with `no_new_privs`", "0:0", FEW, NO_NEW_PRIVILEGES),
    Pod("A-userns", "the same with `hostUsers: false` (also recipe D)", "0:0", FEW, OWN_NAMESPACE),
    Pod("G", "root, `SYS_ADMIN` and what a RUN gets, `hostUsers: false`", "0:0", (*OF_RUN, "SYS_ADMIN"), OWN_NAMESPACE),
    Pod("G-node", "the same and `MKNOD`, on the node's own ids (not advised)", "0:0", (*OF_RUN, "SYS_ADMIN", "MKNOD")),
    Pod("B", "UID 1000, `SETUID SETGID SYS_CHROOT`", "1000", ("SETUID", "SETGID", "SYS_CHROOT")),
    Pod("B-nnp", "the same with `no_new_privs` (recipe C)", "1000", ("SETUID", "SETGID", "SYS_CHROOT"), NO_NEW_PRIVILEGES),
    Pod("B-userns", "as B with `hostUsers: false` (also recipe E)", "1000", ("SETUID", "SETGID", "SYS_CHROOT"),
        OWN_NAMESPACE),
    Pod("C", "any UID, no capability, `no_new_privs`: restricted", "12345:0", (), NO_NEW_PRIVILEGES),
    Pod("plain-containerd", "root and containerd's own default capabilities", "0:0", OF_CONTAINERD),
    Pod("plain-crio", "root and CRI-O's own default capabilities", "0:0", OF_CRIO),
)}

# The last is Slipway's own, for pods nobody gives anything.
PROFILES = ("podman", "containerd", "crio", "unconfined", "slipway")
RESTRICTED_PROFILE = TOP / "deploy" / "seccomp" / "slipway-restricted.json"
STORAGES = ("overlay", "fuse-overlayfs", "vfs")
ISOLATIONS = ("chroot", "oci")


class Profiles:
    """Seccomp profiles as files; made by tests/profiles, once per set of capabilities."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.missing = ""
        self._program = self.folder / "profiles"
        if shutil.which("go") is None:
            self.missing = "no go on PATH"
            return
        done = subprocess.run(["go", "build", "-o", self._program, "."], cwd=TOP / "tests" / "profiles", timeout=600,
                              env={**os.environ, "CGO_ENABLED": "0"}, capture_output=True, text=True)
        if done.returncode != 0:
            self.missing = "the modules of tests/profiles cannot be had: " + done.stderr.strip()[-300:]

    def _made(self, name, *arguments):
        path = self.folder / f"{name}.json"
        if not path.exists():
            path.write_bytes(subprocess.run([self._program, *arguments], check=True, capture_output=True).stdout)
        return path

    def generated(self, profile):
        return profile in ("containerd", "crio")

    def options(self, profile, capabilities):
        if profile == "podman":
            return []
        if profile == "unconfined":
            return ["--security-opt", "seccomp=unconfined"]
        if profile == "slipway":
            path = RESTRICTED_PROFILE
        elif profile == "crio":
            path = self._made("crio", "crio")
        else:
            path = self._made("containerd-" + "-".join(sorted(capabilities)).lower(), "containerd",
                              *(f"CAP_{name}" for name in capabilities))
        return ["--security-opt", f"seccomp={path}"]

    def without(self, *calls, errno=1):
        """podman's own profile, but these calls fail."""
        path = self.folder / f"without-{'-'.join(calls)}-{errno}.json"
        profile = {"defaultAction": "SCMP_ACT_ALLOW",
                   "syscalls": [{"names": list(calls), "action": "SCMP_ACT_ERRNO", "errnoRet": errno}]}
        path.write_text(json.dumps(profile))
        return ["--security-opt", f"seccomp={path}"]


def fuse_options(folder):
    """/dev/fuse as a device plugin hands it out: for everybody. None where this machine has none."""
    try:
        mode = os.stat("/dev/fuse").st_mode
    except OSError:
        return None
    if stat.S_IMODE(mode) & 0o006 == 0o006:
        return ["--device", "/dev/fuse"]
    node = Path(folder) / "fuse"
    try:
        os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(10, 229))
        os.chmod(node, 0o666)
    except OSError:
        return None
    # The device for the cgroup's sake: podman overlooks its own option for that in user namespaces.
    return ["--device", str(node), "--volume", f"{node}:/dev/fuse"]
