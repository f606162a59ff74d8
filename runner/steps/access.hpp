// How the outside is reached, put together once per step from options and environment: certificate
// authorities, proxies, registry credentials, registries.conf.
#pragma once

#include "base/result.hpp"
#include "cli/params.hpp"
#include "registry/options.hpp"
#include "steps/step.hpp"

#include <filesystem>

namespace slipway::steps {

/// An environment variable's value; empty when unset.
std::string environment(const char* name);

/// Options of the registry client. Registers every credential with the step's redactor.
Result<registry::Options> registry_options(const cli::Registry& params, int retries, Step& step);

/// The credentials file itself, for tools that want a file: --authfile (or the file in that folder),
/// $REGISTRY_AUTH_FILE, $HOME/.docker/config.json, /tekton/creds/.docker/config.json; empty when there is
/// none.
std::filesystem::path auth_file(const cli::Common& common);

} // namespace slipway::steps
