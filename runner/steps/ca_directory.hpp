// --ca-file that names a directory: what Tekton's tasks for git and buildah get as a workspace.
//
// Its *.crt and *.pem files (or the one named by --ca-name, where that is there) and the system's authorities
// become one PEM file in the hand-off directory, for a mounted Secret cannot be written to and everything
// here and in buildah takes one file. Bounded to 1 MiB a file, 100 files. Errors: class usage.
#pragma once

#include "base/result.hpp"
#include "cli/params.hpp"

#include <filesystem>

namespace slipway::steps {

/// The file to trust: `common.ca_file` unless that is a directory.
Result<std::filesystem::path> ca_bundle(const cli::Common& common, const std::filesystem::path& state);

} // namespace slipway::steps
