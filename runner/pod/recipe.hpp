// Which way of building this pod allows, decided before anything is pulled.
//
// Pure: the answer follows from the Report and the wishes alone. Recipes (docs/pods.md):
//   A         root, no SYS_ADMIN; buildah makes its own user namespace with an identity map
//   A-userns  the same inside a user namespace of the pod's own (hostUsers: false)
//   G         root with SYS_ADMIN and SYS_CHROOT inside a user namespace of the pod's own
//   B         any other user with subordinate ids, mapped by newuidmap and newgidmap
//   C         any user with nothing at all: one id is mapped, and a filter pretends the rest; owners are lost
// Errors: pod/podforbids naming the first thing that is missing, with the smallest YAML that grants it in
// `hint`; usage for wishes that do not exist or contradict each other.
#pragma once

#include "base/result.hpp"
#include "pod/probe.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::pod {

struct Advice {
    std::string code; ///< of a warning frame
    std::string message;
    std::string hint;
};

struct Recipe {
    std::string name;                         ///< "A", "A-userns", "G", "B", "C"
    std::string reason;                       ///< why this one, for a person
    std::string isolation;                    ///< "chroot" or "oci": buildah's --isolation
    std::string storage;                      ///< "overlay", "fuse-overlayfs", "vfs"
    std::string driver;                       ///< buildah's --storage-driver: "overlay" or "vfs"
    std::vector<std::string> storage_options; ///< buildah's --storage-opt, one each
    bool layers = true;                       ///< whether intermediate layers pay off (not with vfs)
    /// How many times its own size an image takes on disk, roughly, for a forecast.
    double disk_factor = 1.0;
    std::vector<std::pair<std::string, std::string>> environment; ///< added to buildah's
    /// What a RUN must do without because this pod has not got it: buildah's --cap-drop (recipe G).
    std::vector<std::string> drop_capabilities;
    /// buildah's --ulimit: it would raise limits this pod cannot raise (SYS_ADMIN outside a user namespace).
    std::vector<std::string> ulimits;
    std::string runtime; ///< buildah's --runtime, with OCI isolation
    std::vector<Advice> warnings;
};

/// `recipe`: "auto" or a name; `storage`: "auto", "overlay", "fuse-overlayfs", "vfs"; `isolation`: "auto",
/// "chroot", "oci". Empty means "auto".
Result<Recipe> choose(const Report& report, std::string_view recipe = "auto",
                      std::string_view storage = "auto", std::string_view isolation = "auto");

/// Every recipe's name, for help texts and validation.
std::vector<std::string_view> recipe_names();

} // namespace slipway::pod
