#include "pod/recipe.hpp"

#include "pod/prerequisite.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <format>

namespace slipway::pod {

namespace {

constexpr std::array<std::string_view, 5> names{"A", "A-userns", "G", "B", "C"};
constexpr std::array<std::string_view, 3> drivers{"overlay", "fuse-overlayfs", "vfs"};

/// What buildah gives a RUN unless told otherwise, with numbers of capability(7).
struct RunCapability {
    unsigned number;
    std::string_view name;
};
constexpr std::array<RunCapability, 11> run_capabilities{{{0, "CAP_CHOWN"},
                                                          {1, "CAP_DAC_OVERRIDE"},
                                                          {3, "CAP_FOWNER"},
                                                          {4, "CAP_FSETID"},
                                                          {5, "CAP_KILL"},
                                                          {6, "CAP_SETGID"},
                                                          {7, "CAP_SETUID"},
                                                          {8, "CAP_SETPCAP"},
                                                          {10, "CAP_NET_BIND_SERVICE"},
                                                          {18, "CAP_SYS_CHROOT"},
                                                          {31, "CAP_SETFCAP"}}};

std::string_view recipe_of(const Report& report) {
    switch (report.entry) {
    case Entry::own: return "G";
    case Entry::identity: return report.in_user_namespace() ? "A-userns" : "A";
    case Entry::newidmap: return "B";
    case Entry::single: return "C";
    case Entry::none: break;
    }
    return {};
}

Error forbidden(const Prerequisite& first, std::string cause) {
    Error error =
        make_error(ErrorClass::pod, code::pod_forbids,
                   std::format("this pod cannot build: {}", first.sentence), std::string(first.yaml));
    error.cause = std::move(cause);
    return error;
}

/// The calls that were refused, with what the kernel said.
std::string refusals(const Report& report) {
    std::string text;
    for (const Trial* trial : {&report.user_namespace, &report.user_mount_namespace, &report.identity_uid_map,
                               &report.identity_gid_map, &report.newuidmap, &report.newgidmap,
                               &report.setgroups, &report.chroot, &report.mount_private, &report.overlay}) {
        if (trial->refused()) {
            text +=
                std::format("{}{}: {}", text.empty() ? "" : "; ", trial->what, std::strerror(trial->error));
        }
    }
    return text;
}

bool overlay_works(const Report& report) {
    return report.overlay.works() && report.overlay_whiteout.works();
}

bool fuse_works(const Report& report) {
    return report.fuse_device.works() && !report.fuse_overlayfs.empty();
}

Status choose_storage(const Report& report, std::string_view wish, Recipe& recipe) {
    if (wish == "auto") {
        wish = overlay_works(report) ? "overlay" : fuse_works(report) ? "fuse-overlayfs" : "vfs";
        if (wish != "overlay") {
            recipe.warnings.push_back(
                {"slowstorage",
                 std::format("native overlay does not work on {} ({}): using {}, which is slower",
                             report.work.path.native(), report.work.type, wish),
                 std::string(prerequisite("overlay").yaml)});
        }
    } else if (wish == "overlay" && !overlay_works(report)) {
        return fail(forbidden(prerequisite("overlay"), refusals(report)));
    } else if (wish == "fuse-overlayfs" && !fuse_works(report)) {
        return fail(
            forbidden(prerequisite("fuse"),
                      report.fuse_overlayfs.empty()
                          ? std::string("no fuse-overlayfs on PATH")
                          : std::format("open /dev/fuse: {}", std::strerror(report.fuse_device.error))));
    }
    recipe.storage = wish;
    recipe.driver = wish == "vfs" ? "vfs" : "overlay";
    if (wish == "fuse-overlayfs") {
        recipe.storage_options.push_back("overlay.mount_program=" + report.fuse_overlayfs);
    }
    if (wish == "vfs") {
        // Every layer is a whole copy: without intermediate ones there are a few instead of one per
        // instruction.
        recipe.layers = false;
        recipe.disk_factor = 4.0;
    } else {
        recipe.disk_factor = 1.2;
    }
    return {};
}

/// Chroot isolation works wherever anything does, so it is what `auto` means.
Status choose_isolation(const Report& report, std::string_view wish, Recipe& recipe) {
    if (wish.empty() || wish == "auto" || wish == "chroot") {
        recipe.isolation = "chroot";
        return {};
    }
    if (wish != "oci") {
        return fail_usage(std::format("there is no isolation {}", wish.substr(0, 40)), "auto, chroot or oci");
    }
    if (!report.proc.works()) {
        return fail(forbidden(prerequisite("proc"),
                              report.proc.refused()
                                  ? std::format("{}: {}", report.proc.what, std::strerror(report.proc.error))
                                  : std::string("not tried")));
    }
    if (report.oci_runtime.empty()) {
        return fail(forbidden(prerequisite("oci-runtime"), "neither crun nor runc on PATH"));
    }
    for (const auto& [id, trial] : {std::pair{"keyring", &report.keyring},
                                    {"hostname", &report.hostname},
                                    {"cgroup", &report.cgroup}}) {
        if (trial->refused()) {
            return fail(
                forbidden(prerequisite(id), std::format("{}: {}", trial->what, std::strerror(trial->error))));
        }
    }
    recipe.isolation = "oci";
    recipe.runtime = report.oci_runtime;
    return {};
}

std::string reason_for(const Report& report, std::string_view name) {
    if (name == "A") {
        return "root here may map all ids into a user namespace";
    }
    if (name == "A-userns") {
        return "root in the pod's own user namespace may map all its ids";
    }
    if (name == "G") {
        return "SYS_ADMIN is there, so no user namespace is needed";
    }
    if (name == "B") {
        return "newuidmap may map the user's subordinate ids";
    }
    const auto obstacles = missing_for(report, report.uid == 0 ? "A" : "B");
    return std::format("one id is all that can be mapped: {}",
                       obstacles.empty() ? std::string_view("nothing else is possible")
                                         : obstacles.front()->sentence);
}

} // namespace

std::vector<std::string_view> recipe_names() {
    return {names.begin(), names.end()};
}

Result<Recipe> choose(const Report& report, std::string_view recipe_wish, std::string_view storage_wish,
                      std::string_view isolation_wish) {
    recipe_wish = recipe_wish.empty() ? "auto" : recipe_wish;
    storage_wish = storage_wish.empty() ? "auto" : storage_wish;
    if (recipe_wish != "auto" && std::ranges::find(names, recipe_wish) == names.end()) {
        return fail_usage(std::format("there is no recipe {}", recipe_wish.substr(0, 40)),
                          "auto, A, A-userns, G, B or C");
    }
    if (storage_wish != "auto" && std::ranges::find(drivers, storage_wish) == drivers.end()) {
        return fail_usage(std::format("there is no storage {}", storage_wish.substr(0, 40)),
                          "auto, overlay, fuse-overlayfs or vfs");
    }
    const bool wants_emulation = recipe_wish == "C";
    if (const auto obstacles = wants_emulation ? missing_for(report, "C") : missing(report);
        !obstacles.empty()) {
        return fail(forbidden(*obstacles.front(), refusals(report)));
    }
    Recipe recipe;
    recipe.name = wants_emulation ? "C" : recipe_of(report);
    if (recipe_wish != "auto" && recipe_wish != recipe.name) {
        return fail_usage(std::format("recipe {} was asked for, but this pod is one for recipe {}",
                                      recipe_wish, recipe.name),
                          "leave --recipe at auto, or change the pod's securityContext (docs/pods.md)");
    }
    recipe.reason = recipe_wish != "auto" ? std::string("asked for") : reason_for(report, recipe.name);
    TRY(choose_isolation(report, isolation_wish, recipe));
    TRY(choose_storage(report, storage_wish, recipe));

    recipe.environment.emplace_back("BUILDAH_ISOLATION", recipe.isolation);
    if (recipe.name == "B" && !report.user.empty()) {
        recipe.environment.emplace_back("USER", report.user);
    }
    if (recipe.name == "G") {
        for (const auto& [number, name] : run_capabilities) {
            if (((report.capabilities.effective >> number) & 1U) == 0) {
                recipe.drop_capabilities.emplace_back(name);
            }
        }
        if (!report.in_user_namespace()) {
            for (const auto& [name, limit] :
                 {std::pair{"nofile", report.open_files_limit}, {"nproc", report.processes_limit}}) {
                if (limit < 1'048'576) {
                    recipe.ulimits.push_back(std::format("{}={}:{}", name, limit, limit));
                }
            }
            recipe.warnings.push_back(
                {"privilegedpod",
                 "this container has SYS_ADMIN on the node itself: a RUN could take over the node",
                 "drop SYS_ADMIN and add SETFCAP (recipe A), or set hostUsers: false in the pod's spec"});
            if (!report.capabilities.has(Capability::mknod)) {
                recipe.warnings.push_back(
                    {"nodevices",
                     "base images that hold device nodes cannot be unpacked: the capability MKNOD is missing",
                     "add MKNOD to the step's capabilities, or set hostUsers: false, where nobody asks for "
                     "it"});
            }
        }
    }
    if (recipe.name == "C") {
        recipe.warnings.push_back({"ownerslost",
                                   "one id is all this pod has: every file a RUN or COPY makes will belong "
                                   "to root in the image, and a USER has "
                                   "root's rights while it is built",
                                   "for true owners let the step run as root with few capabilities (recipe "
                                   "A), or set hostUsers: false"});
    } else if (report.change_owner.refused()) {
        recipe.warnings.push_back(
            {"noowners",
             std::format("files below {} cannot be given to another user: {}", report.work.path.native(),
                         std::strerror(report.change_owner.error)),
             "use a volume that keeps owners, such as an emptyDir"});
    }
    if (report.work.exists && report.work.free_bytes < (1ULL << 30U)) {
        recipe.warnings.push_back(
            {"littlespace", std::format("only {} MiB are free for the build", report.work.free_bytes >> 20U),
             "give the build's volume more space"});
    }
    if (report.work.total_inodes != 0 && report.work.free_inodes < 50'000) {
        recipe.warnings.push_back(
            {"fewinodes", std::format("only {} inodes are free for the build", report.work.free_inodes),
             "give the build's volume more inodes"});
    }
    return recipe;
}

} // namespace slipway::pod
