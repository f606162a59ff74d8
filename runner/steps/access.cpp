#include "steps/access.hpp"

#include "http/options.hpp"
#include "registry/auth.hpp"

#include <array>
#include <cstdlib>
#include <memory>

namespace slipway::steps {

namespace fs = std::filesystem;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

fs::path auth_file(const cli::Common& common) {
    if (!common.authfile.empty()) {
        return registry::AuthFile::locate(common.authfile);
    }
    if (const std::string file = environment("REGISTRY_AUTH_FILE"); !file.empty()) {
        return file;
    }
    const std::string home = environment("HOME");
    const std::array<fs::path, 2> places{home.empty() ? fs::path() : fs::path(home) / ".docker/config.json",
                                         "/tekton/creds/.docker/config.json"};
    for (const fs::path& place : places) {
        std::error_code ignored;
        if (!place.empty() && fs::is_regular_file(place, ignored)) {
            return place;
        }
    }
    return {};
}

Result<registry::Options> registry_options(const cli::Registry& params, int retries, Step& step) {
    TRY_ASSIGN(http::Options http, http::Options::from_environment());
    http.ca_file = step.common.ca_file.string();
    http.user_agent = "slipway/" + program_version();
    step.secrets(http.proxies.secrets());
    registry::Options options;
    options.http = std::make_shared<const http::Options>(std::move(http));
    if (const fs::path file = auth_file(step.common); !file.empty()) {
        TRY_ASSIGN(options.auth, registry::AuthFile::load(file));
        step.secrets(options.auth.secrets());
    }
    TRY_ASSIGN(options.registries, registry::RegistriesConf::load(environment("CONTAINERS_REGISTRIES_CONF"),
                                                                  environment("HOME")));
    if (!params.tls_verify) {
        options.tls_verify = false;
    }
    options.retry.retries = retries;
    options.on_retry = step.on_retry("registry");
    options.stop = step.stop;
    return options;
}

} // namespace slipway::steps
