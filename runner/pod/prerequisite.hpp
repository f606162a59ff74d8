// The one table of what building without privileges needs: what buildah would have said without it, what a
// person should read, and the smallest change to the pod that grants it.
#pragma once

#include "pod/probe.hpp"

#include <span>
#include <string_view>
#include <vector>

namespace slipway::pod {

struct Prerequisite {
    std::string_view id;       ///< stable, e.g. "setfcap"
    std::string_view sentence; ///< what is missing and why it matters; no final stop
    std::string_view
        yaml; ///< fragment of a pod spec (securityContext, podTemplate, volumes); lines end in \n
    /// Texts buildah prints when it is missing; any one of them, as a substring.
    std::span<const std::string_view> texts;
};

std::span<const Prerequisite> prerequisites() noexcept;
/// By id; a bug if there is none.
const Prerequisite& prerequisite(std::string_view id);
/// The entry one of whose texts occurs in what buildah printed; nullptr = none.
const Prerequisite* prerequisite_for_text(std::string_view buildah_text) noexcept;
/// What stands between this pod and a build, most fundamental first; empty = it can build.
std::vector<const Prerequisite*> missing(const Report& report);
/// What stands between this pod and one recipe (recipe.hpp), most fundamental first; empty = it can be used.
std::vector<const Prerequisite*> missing_for(const Report& report, std::string_view recipe);
/// What a build can do without, but not every wish for a storage or an isolation.
std::vector<const Prerequisite*> limits(const Report& report);

} // namespace slipway::pod
