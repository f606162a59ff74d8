// Texts: buildah 1.39.3, provoked one by one (docs/pods.md); fuse-overlayfs and runc as shipped by the same
// Debian.
#include "pod/prerequisite.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace slipway::pod {

namespace {

using namespace std::string_view_literals;

constexpr std::array writable_texts{"/graph: read-only file system"sv};
constexpr std::array unshare_texts{"Error during unshare(CLONE_NEWUSER): Operation not permitted"sv};
constexpr std::array quota_texts{"Error during unshare(CLONE_NEWUSER): No space left on device"sv,
                                 "Error during unshare(CLONE_NEWUSER): Invalid argument"sv};
constexpr std::array uid_map_texts{"uid_map: operation not permitted"sv};
constexpr std::array gid_map_texts{"gid_map: operation not permitted"sv};
constexpr std::array newuidmap_texts{"newuidmap: write to uid_map failed"sv,
                                     "newgidmap: write to gid_map failed"sv};
constexpr std::array no_newuidmap_texts{"finding newuidmap"sv, "finding newgidmap"sv};
constexpr std::array subid_texts{"Found no UID ranges set aside"sv, "no subuid ranges found"sv,
                                 "potentially insufficient UIDs or GIDs"sv};
constexpr std::array setgroups_texts{"error setting supplemental groups list"sv};
constexpr std::array mount_texts{"flags: 0x1000: operation not permitted"sv,
                                 "flags: 0x44000: operation not permitted"sv, "making mounts private"sv};
constexpr std::array mount_namespace_texts{"creating new mount namespace"sv};
constexpr std::array chroot_texts{"after fallback to chroot: operation not permitted"sv};
constexpr std::array caps_texts{"error setting capabilities for process"sv};
constexpr std::array overlay_texts{"is not supported over overlayfs"sv,
                                   "backing file system is unsupported"sv};
constexpr std::array fuse_texts{"fuse: device not found"sv, "fuse: mount failed"sv};
constexpr std::array proc_texts{"mounting \"proc\" to rootfs"sv, "mount `proc` to `proc`"sv};

constexpr std::array read_only_texts{"error stat()ing intended root directory"sv,
                                     "netavark.lock: read-only file system"sv};
constexpr std::array helper_texts{"failed to get default container config"sv};

constexpr std::string_view seccomp_yaml =
    "securityContext:\n"
    "  seccompProfile:\n"
    "    type: Unconfined # or Localhost with a profile that allows unshare, mount and chroot\n";
constexpr std::string_view root_yaml = "securityContext:\n"
                                       "  runAsUser: 0\n"
                                       "  capabilities:\n"
                                       "    drop: [ALL]\n"
                                       "    add: [SETUID, SETGID, SETFCAP, SYS_CHROOT]\n";
constexpr std::string_view volume_yaml = "volumes:\n"
                                         "  - name: work\n"
                                         "    emptyDir: {}\n"
                                         "# and in the step:\n"
                                         "volumeMounts:\n"
                                         "  - name: work\n"
                                         "    mountPath: /slipway/work\n";

constexpr std::array<Prerequisite, 18> table{{
    {"writable-work", "the directory for the build's storage cannot be written", volume_yaml, writable_texts},
    {"namespace-quota", "this node allows no (more) user namespaces",
     "# on the node, not in the pod:\n# sysctl -w user.max_user_namespaces=15000\n", quota_texts},
    {"unshare", "creating a user namespace is refused, most likely by the container's seccomp profile",
     seccomp_yaml, unshare_texts},
    {"mount-namespace", "creating a mount namespace is refused", seccomp_yaml, mount_namespace_texts},
    {"setfcap", "the capabilities SETFCAP and SETUID are missing, without which root cannot map user ids",
     root_yaml, uid_map_texts},
    {"setgid", "the capability SETGID is missing, without which root cannot map group ids", root_yaml,
     gid_map_texts},
    {"subordinate-ids",
     "no subordinate ids belong to this user, so nothing but its own id can be mapped and base images cannot "
     "be unpacked",
     "# run as root with few capabilities:\n"
     "securityContext:\n"
     "  runAsUser: 0\n"
     "  capabilities:\n"
     "    drop: [ALL]\n"
     "    add: [SETUID, SETGID, SETFCAP, SYS_CHROOT]\n"
     "# or as a user /etc/subuid and /etc/subgid of the image know (1000 in Slipway's)\n",
     subid_texts},
    {"newuidmap-program", "newuidmap and newgidmap are not installed in this container", root_yaml,
     no_newuidmap_texts},
    {"newuidmap", "newuidmap and newgidmap are refused: they need SETUID and SETGID and privilege escalation",
     "securityContext:\n"
     "  runAsUser: 1000\n"
     "  allowPrivilegeEscalation: true\n"
     "  capabilities:\n"
     "    drop: [ALL]\n"
     "    add: [SETUID, SETGID, SYS_CHROOT]\n",
     newuidmap_texts},
    {"setgroups", "setting supplementary groups is refused inside the build's user namespace", root_yaml,
     setgroups_texts},
    {"mount", "mounting is refused, even inside a user namespace of our own", seccomp_yaml, mount_texts},
    {"sys-chroot",
     "chroot is refused, most likely by a seccomp profile that allows it only with the capability SYS_CHROOT",
     "securityContext:\n"
     "  capabilities:\n"
     "    add: [SYS_CHROOT]\n",
     chroot_texts},
    {"read-only-root", "the container's root file system is read-only, and buildah cannot start a RUN then",
     "securityContext:\n"
     "  readOnlyRootFilesystem: false # for the build step alone\n",
     read_only_texts},
    {"helper-home",
     "buildah's helper needs a home directory with .config (as the passwd file names it) and a writable /tmp",
     "# in the step, for a user whose home is /home/builder:\n"
     "volumeMounts:\n"
     "  - name: work\n"
     "    mountPath: /home/builder\n"
     "    subPath: home\n"
     "  - name: work\n"
     "    mountPath: /tmp\n"
     "    subPath: tmp\n",
     helper_texts},
    {"run-capabilities", "a RUN is to be given capabilities this pod has not got itself",
     "securityContext:\n"
     "  capabilities:\n"
     "    add: [CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, "
     "SETUID, SYS_CHROOT]\n",
     caps_texts},
    {"overlay", "native overlay cannot be mounted on the storage directory", volume_yaml, overlay_texts},
    {"fuse", "/dev/fuse cannot be used",
     "# needs a device plugin on the node, for example\n"
     "resources:\n"
     "  limits:\n"
     "    github.com/fuse: 1\n",
     fuse_texts},
    {"proc", "proc cannot be mounted in a new pid namespace (only OCI isolation wants it)",
     "securityContext:\n  procMount: Unmasked\n# with hostUsers: false in the pod's spec\n", proc_texts},
}};

} // namespace

std::span<const Prerequisite> prerequisites() noexcept {
    return table;
}

const Prerequisite& prerequisite(std::string_view id) {
    const auto* found = std::ranges::find(table, id, &Prerequisite::id);
    if (found == table.end()) {
        std::abort();
    }
    return *found;
}

const Prerequisite* prerequisite_for_text(std::string_view buildah_text) noexcept {
    for (const Prerequisite& entry : table) {
        for (const std::string_view text : entry.texts) {
            if (buildah_text.contains(text)) {
                return &entry;
            }
        }
    }
    return nullptr;
}

std::vector<const Prerequisite*> missing(const Report& report) {
    std::vector<const Prerequisite*> result;
    const auto add = [&](std::string_view id) { result.push_back(&prerequisite(id)); };
    if (!report.work.writable) {
        add("writable-work");
    }
    if (report.entry == Entry::none || report.entry == Entry::single) {
        const Trial& unshare =
            report.user_namespace.refused() ? report.user_namespace : report.user_mount_namespace;
        if (unshare.refused()) {
            // ENOSPC, EUSERS, EINVAL: the node's quota; EPERM, ENOSYS, EACCES: a filter or a policy.
            add(unshare.error == ENOSPC || unshare.error == EUSERS || unshare.error == EINVAL
                    ? "namespace-quota"
                    : "unshare");
        } else if (report.uid == 0) {
            if (report.identity_uid_map.refused()) {
                add("setfcap");
            }
            if (report.identity_gid_map.refused()) {
                add("setgid");
            }
        } else if (report.subordinate_uids.empty() || report.subordinate_gids.empty()) {
            add("subordinate-ids");
        } else if (report.newuidmap.outcome == Trial::Outcome::untried &&
                   report.newgidmap.outcome == Trial::Outcome::untried) {
            add("newuidmap-program");
        } else {
            add("newuidmap");
        }
        return result;
    }
    if (report.mount_private.refused()) {
        add("mount");
    }
    if (report.chroot.refused()) {
        add("sys-chroot");
    }
    if (report.setgroups.refused()) {
        add("setgroups");
    }
    if (report.read_only_root) {
        add("read-only-root");
    }
    return result;
}

} // namespace slipway::pod
