// What the id maps of a user namespace say (user_namespaces(7)): made here for the trials and for the build
// itself.
#pragma once

#include "pod/probe.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace slipway::pod {

/// An identity map of all ids we have.
std::vector<IdRange> identity_ranges(const std::vector<IdRange>& own);
/// Lines of uid_map.
std::string map_text(const std::vector<IdRange>& ranges);
/// Our id as 0, then the subordinate ranges one after the other, as buildah orders them.
std::vector<IdRange> newidmap_ranges(std::uint32_t id, const std::vector<IdRange>& subordinate);

} // namespace slipway::pod
