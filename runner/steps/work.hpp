// Where buildah's scratch goes.
#pragma once

#include <filesystem>

namespace slipway::steps {

/// `wish`, else /slipway/work where that exists, else $TMPDIR, else /var/tmp.
std::filesystem::path work_directory(const std::filesystem::path& wish);

} // namespace slipway::steps
