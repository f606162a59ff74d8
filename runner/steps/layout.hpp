// The image layout a build leaves for push: what is in it, and that others may read it.
#pragma once

#include "base/result.hpp"
#include "frames/frame.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace slipway::steps {

struct LayoutSummary {
    std::string media_type; ///< of the manifest
    std::string config_digest;
    std::uint64_t size = 0; ///< of config and layers, bytes
    std::vector<frames::Layer> layers;
};

/// Reads the manifest `digest` of the layout in `directory` ("oci" or "dir").
Result<LayoutSummary> read_layout(const std::filesystem::path& directory, const std::string& form,
                                  const std::string& digest);

/// Lets the group read everything below `directory`: push runs as another user of the same group.
Status share_with_group(const std::filesystem::path& directory);

} // namespace slipway::steps
