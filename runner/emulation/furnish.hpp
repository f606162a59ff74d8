// A root file system of our own in a mount namespace of our own: the old one's entries, and what it lacks.
#pragma once

#include "base/result.hpp"

#include <filesystem>

namespace slipway::emulation {

/// Makes every mount private and moves to a new root of tmpfs (enclosure.hpp). `furniture` holds home/, tmp/
/// and room/. `show_apt`: a /dev of our own with a configuration for apt, which cannot change its user under
/// root emulation. We must have SYS_ADMIN over our mount namespace and be its only process.
Status furnish(const std::filesystem::path& furniture, bool show_apt);

} // namespace slipway::emulation
