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
constexpr std::array keyring_texts{"create keyring `buildah-"sv};
constexpr std::array hostname_texts{"]: sethostname: operation not permitted"sv};
constexpr std::array cgroup_texts{"cgroups in hybrid mode not supported"sv, "creating cgroup directory"sv};

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

constexpr std::array<Prerequisite, 28> table{{
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
    {"root-user", "the container does not run as root", root_yaml, {}},
    {"ordinary-user",
     "the container runs as root, and subordinate ids are for other users",
     "securityContext:\n"
     "  runAsUser: 1000\n",
     {}},
    {"pod-user-namespace",
     "the pod has no user namespace of its own",
     "# in the pod's spec:\nhostUsers: false\n",
     {}},
    {"sys-admin",
     "the capabilities SYS_ADMIN and SYS_CHROOT are missing",
     "# harmless only together with the pod's own user namespace:\n"
     "hostUsers: false\n"
     "# and in the step:\n"
     "securityContext:\n"
     "  runAsUser: 0\n"
     "  capabilities:\n"
     "    add: [SYS_ADMIN, SYS_CHROOT, SETUID, SETGID, SETFCAP]\n",
     {}},
    {"single-map",
     "not even the one own id can be mapped (root needs SETFCAP for that, other users nothing)",
     "securityContext:\n"
     "  runAsUser: 1000\n",
     {}},
    {"seccomp-filter", "loading a seccomp filter is refused, which root emulation needs", seccomp_yaml, {}},
    {"oci-runtime",
     "OCI isolation needs crun or runc in the container",
     "# use Slipway's own image, or --isolation=chroot\n",
     {}},
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
    {"keyring", "keyrings cannot be made (only OCI isolation wants them)",
     "securityContext:\n"
     "  seccompProfile:\n"
     "    type: Unconfined # or Localhost with a profile that allows keyctl\n",
     keyring_texts},
    {"hostname", "a host name cannot be set, not even a namespace's own (only OCI isolation wants it)",
     "securityContext:\n"
     "  seccompProfile:\n"
     "    type: Unconfined # or Localhost with a profile that allows sethostname\n",
     hostname_texts},
    {"cgroup", "no cgroup can be made here as crun wants one (only OCI isolation wants it)",
     "# in the pod's spec, on a node that has cgroups of version 2 alone:\nhostUsers: false\n", cgroup_texts},
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

namespace {

using Missing = std::vector<const Prerequisite*>;

void add(Missing& list, std::string_view id) {
    list.push_back(&prerequisite(id));
}

/// What every recipe that makes a user namespace begins with. False = there is none to be had.
bool can_unshare(const Report& report, Missing& list) {
    const Trial& unshare =
        report.user_namespace.refused() ? report.user_namespace : report.user_mount_namespace;
    if (unshare.refused()) {
        // ENOSPC, EUSERS, EINVAL: the node's quota; EPERM, ENOSYS, EACCES: a filter or a policy.
        add(list, unshare.error == ENOSPC || unshare.error == EUSERS || unshare.error == EINVAL
                      ? "namespace-quota"
                      : "unshare");
    }
    return !unshare.refused();
}

void root_maps(const Report& report, Missing& list) {
    if (report.identity_uid_map.refused()) {
        add(list, "setfcap");
    }
    if (report.identity_gid_map.refused()) {
        add(list, "setgid");
    }
}

void programs_map(const Report& report, Missing& list) {
    if (report.subordinate_uids.empty() || report.subordinate_gids.empty()) {
        add(list, "subordinate-ids");
    } else if (report.newuidmap.outcome == Trial::Outcome::untried &&
               report.newgidmap.outcome == Trial::Outcome::untried) {
        add(list, "newuidmap-program");
    } else if (!report.newuidmap.works() || !report.newgidmap.works()) {
        add(list, "newuidmap");
    }
}

/// What was tried inside the namespace that could be had.
void inside(const Report& report, Missing& list) {
    if (report.mount_private.refused()) {
        add(list, "mount");
    }
    if (report.chroot.refused()) {
        add(list, "sys-chroot");
    }
}

} // namespace

Missing missing(const Report& report) {
    Missing result;
    if (!report.work.writable) {
        add(result, "writable-work");
    }
    if (report.entry == Entry::none) {
        if (can_unshare(report, result)) {
            report.uid == 0 ? root_maps(report, result) : programs_map(report, result);
        }
        return result;
    }
    inside(report, result);
    if (report.entry == Entry::single) {
        if (report.seccomp_filter.refused()) {
            add(result, "seccomp-filter");
        }
        return result;
    }
    if (report.setgroups.refused()) {
        add(result, "setgroups");
    }
    return result;
}

Missing missing_for(const Report& report, std::string_view recipe) {
    Missing result;
    if (!report.work.writable) {
        add(result, "writable-work");
    }
    if (recipe == "A-userns" && !report.in_user_namespace()) {
        add(result, "pod-user-namespace");
    }
    if (recipe == "B" ? report.uid == 0 : recipe != "C" && report.uid != 0) {
        add(result, report.uid == 0 ? "ordinary-user" : "root-user");
        return result;
    }
    if (recipe == "G") {
        if (!report.capabilities.has(Capability::sys_admin) ||
            !report.capabilities.has(Capability::sys_chroot) || report.mount_namespace.refused()) {
            add(result, "sys-admin");
        }
    } else if (can_unshare(report, result)) {
        if (recipe == "B") {
            programs_map(report, result);
        } else if (recipe != "C") {
            root_maps(report, result);
        } else {
            if (report.single_map.refused()) {
                add(result, "single-map");
            }
            if (report.seccomp_filter.refused()) {
                add(result, "seccomp-filter");
            }
        }
    }
    inside(report, result);
    return result;
}

std::vector<const Prerequisite*> limits(const Report& report) {
    std::vector<const Prerequisite*> result;
    if (report.overlay.refused() || report.overlay_whiteout.refused()) {
        result.push_back(&prerequisite("overlay"));
    }
    if (!report.fuse_device.works() || report.fuse_overlayfs.empty()) {
        result.push_back(&prerequisite("fuse"));
    }
    if (report.proc.refused()) {
        result.push_back(&prerequisite("proc"));
    }
    if (report.keyring.refused()) {
        result.push_back(&prerequisite("keyring"));
    }
    if (report.hostname.refused()) {
        result.push_back(&prerequisite("hostname"));
    }
    if (report.cgroup.refused()) {
        result.push_back(&prerequisite("cgroup"));
    }
    return result;
}

} // namespace slipway::pod
