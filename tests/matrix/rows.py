"""What building needs, taken away piece by piece: doctor must name it before buildah is started, and build must refuse.

One row for every text buildah prints when something is missing (the table in runner/pod/prerequisite.cpp). `named` is
where doctor's report has the id: `missing` (nothing can be built), `limits` (this storage or isolation cannot be had),
the name of a recipe that cannot be used (C takes its place), `warnings` of the chosen one (it may still work), or
`builds`, where nothing is missing: settings that look as if they were in the way and are not.
"""

import dataclasses
from pathlib import Path

import pods

VOLUME = ("--volume", "/slipway/work")


CGROUPS = Path("/sys/fs/cgroup/unified")


@dataclasses.dataclass(frozen=True)
class Row:
    text: str  # what buildah would have said
    id: str
    pod: pods.Pod
    blocked: tuple = ()  # system calls that fail …
    errno: int = 1  # … with this
    profile: str = "podman"
    named: str = "missing"
    code: str = "podforbids"  # of the build's error; empty = it builds
    storage: str = "auto"
    isolation: str = "chroot"
    case: str = "settings"
    more: tuple = ()
    work: tuple = VOLUME
    inside: tuple = ()  # the program that starts everything else


def _without(pod, *capabilities):
    return dataclasses.replace(pod, capabilities=tuple(name for name in pod.capabilities if name not in capabilities))


A, B, C, G = (pods.PODS[name] for name in ("A", "B", "C", "G"))
# readOnlyRootFilesystem: true. podman would mount a tmpfs on /tmp, Kubernetes does not.
READ_ONLY = ("--read-only", "--read-only-tmpfs=false")
# procMount: Unmasked, on a node with cgroups of one version: where this one has both, the second is hidden.
UNMASKED = ("--security-opt", "unmask=ALL", *(("--volume", "/sys/fs/cgroup/unified") if CGROUPS.is_dir() else ()))

ROWS = (
    Row("unshare(CLONE_NEWUSER): Operation not permitted", "unshare", B, blocked=("unshare",)),
    Row("unshare(CLONE_NEWUSER): Operation not permitted, by containerd's profile", "unshare", B, profile="containerd"),
    Row("unshare(CLONE_NEWUSER): Operation not permitted, by CRI-O's profile", "unshare", B, profile="crio"),
    # The node's number cannot be changed here, that of a user namespace of one's own can.
    Row("unshare(CLONE_NEWUSER): No space left on device", "namespace-quota", A, more=("--security-opt", "unmask=ALL"),
        inside=("unshare", "--map-root-user", "sh", "-c", "echo 0 >/proc/sys/user/max_user_namespaces && "
                'exec setpriv --bounding-set=-sys_admin "$@"', "sh")),
    # AppArmor's answer; no machine here has it, so a filter gives it.
    Row("fork/exec /proc/self/exe: permission denied", "unshare", B, blocked=("unshare",), errno=13),
    Row("uid_map: operation not permitted, without SETFCAP", "setfcap", _without(A, "SETFCAP")),
    Row("uid_map: operation not permitted, without SETUID", "setfcap", _without(A, "SETUID"), named="A", code=""),
    Row("gid_map: operation not permitted", "setgid", _without(A, "SETGID"), named="A", code=""),
    Row("newuidmap: write to uid_map failed", "newuidmap", pods.PODS["B-nnp"], named="B", code=""),
    Row("newuidmap: write to uid_map failed, without SETUID and SETGID", "newuidmap", _without(B, "SETUID", "SETGID"),
        named="B", code=""),
    Row("finding newuidmap", "newuidmap-program", B, more=("--volume", "/dev/null:/usr/bin/newuidmap"), named="B", code=""),
    Row("Found no UID ranges set aside", "subordinate-ids", C, profile="unconfined", named="B", code=""),
    Row("error setting supplemental groups list", "setgroups", A,
        inside=("unshare", "--map-root-user", "setpriv", "--bounding-set=-sys_admin")),
    Row("flags: 0x1000: operation not permitted", "mount", A, blocked=("mount",), storage="overlay"),
    Row("flags: 0x44000: operation not permitted", "mount", A, blocked=("mount",), storage="vfs"),
    Row("creating new mount namespace", "unshare", G, blocked=("unshare",)),
    Row("after fallback to chroot: operation not permitted", "sys-chroot", _without(A, "SYS_CHROOT")),
    Row("/graph: read-only file system", "writable-work", A, work=("--tmpfs", "/slipway/work:ro")),
    Row("'overlay' is not supported over overlayfs", "overlay", A, named="limits", storage="overlay", work=()),
    Row("mount proc: operation not permitted", "proc", A, named="limits", code=""),
    Row("create keyring `buildah-…`: operation not permitted", "keyring", G, blocked=("keyctl",), named="limits",
        isolation="oci", case="mounts"),
    # Read-only there, or of both versions: whatever the node has.
    Row("creating cgroup directory …: permission denied", "cgroup", pods.PODS["G-node"], named="limits", isolation="oci",
        case="mounts"),
    Row("creating cgroup directory …, for root of the node's ids", "cgroup", A, profile="unconfined", named="limits",
        isolation="oci", case="mounts", more=UNMASKED),
    Row("fuse: device not found", "fuse", A, named="limits", storage="fuse-overlayfs"),
    Row("no space left on device", "littlespace", A, named="warnings", code="outofdisk", case="sparse-file",
        work=("--tmpfs", "/slipway/work:size=24m,mode=0775")),
    *(Row(f"a read-only root file system, {pod.name}", "read-only-root", pod, named="builds", code="", profile=profile,
          case="useradd-user", more=READ_ONLY)
      for pod, profile in ((A, "podman"), (pods.PODS["A-userns"], "podman"), (B, "podman"), (pods.PODS["B-userns"], "podman"),
                           (G, "podman"), (G, "containerd"), (G, "crio"), (C, "slipway"))),
    *(Row(f"OCI isolation with an unmasked /proc, {pod.name}", "oci", pod, named="builds", code="", profile=profile,
          case=case, isolation="oci", more=UNMASKED)
      for pod, profile in ((G, "podman"), (pods.PODS["A-userns"], "unconfined"), (pods.PODS["B-userns"], "unconfined"),
                           (B, "unconfined"), (C, "unconfined"))
      for case in ("mounts", "useradd-user")),
    Row("]: sethostname: operation not permitted", "hostname", pods.PODS["A-userns"], named="limits", isolation="oci",
        case="mounts", more=UNMASKED),
    # procMount: Unmasked. Our own profile lets no clone make namespaces, which the runtime finds out.
    Row("creating container for […]: clone: Operation not permitted", "oci", C, named="builds", profile="slipway",
        case="mounts", isolation="oci", more=("--security-opt", "unmask=ALL")),
    # Whether the base has any, the build alone finds out.
    Row("unpacking failed (…: operation not permitted), of device nodes", "nodevices", _without(pods.PODS["G-node"], "MKNOD"),
        named="warnings", case="useradd-user"),
    Row("apt, which changes its user, where one id is all there is", "apt", C, named="builds", code="", profile="slipway",
        case="apt-install"),
)


def judge(row, report):
    """What is wrong with what doctor and build said; empty = nothing."""
    doctor, build = report["doctor"], report["builds"][row.case]
    if row.named == "warnings":
        named = [entry["code"] for entry in doctor.get("recipe", {}).get("warnings", [])]
    elif row.named == "builds":
        named = [row.id] if not doctor.get("missing") else [entry["id"] for entry in doctor["missing"]]
    elif row.named in ("A", "B"):
        named = [entry["id"] for recipe in doctor.get("recipes", []) if recipe["name"] == row.named
                 for entry in recipe["missing"]]
    else:
        named = [entry["id"] for entry in doctor.get(row.named, [])]
    wrong = []
    if row.id not in named or (row.named == "missing" and named[0] != row.id):
        wrong.append(f"doctor names {named}")
    if doctor.get("can_build") != (row.named != "missing"):
        wrong.append(f"doctor says can_build {doctor.get('can_build')}")
    error = build.get("error", {"code": "", "message": ""})
    if error["code"] != row.code:
        wrong.append(f"build ends with {error['code'] or 'success'}: {error['message']} | {build.get('log', '')[-600:]}")
    if "wrong" in build:
        wrong.append(f"the image is not right: {build['wrong']}")
    if row.code == "podforbids" and row.named in ("missing", "limits"):
        sentences = [entry["sentence"] for entry in doctor.get(row.named, []) if entry["id"] == row.id]
        if not any(sentence in error["message"] for sentence in sentences):
            wrong.append(f"build does not name it: {error['message']}")
        if build["started"] or build["pulling"]:
            wrong.append("build started buildah before it refused")
    return wrong
