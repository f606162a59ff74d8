// What every registry operation needs to know about the outside: given once, by the caller.
#pragma once

#include "base/retry.hpp"
#include "base/stop.hpp"
#include "registry/auth.hpp"
#include "registry/registries_conf.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

namespace slipway::http {
struct Options; // http/options.hpp: CA file, proxies, timeouts, user agent
}

namespace slipway::registry {

struct Options {
    /// Never null in use. Shared, because every connection needs it.
    std::shared_ptr<const http::Options> http;
    AuthFile auth;
    /// registries.conf: aliases are not expanded; prefix, location, insecure, blocked and mirror are
    /// honoured.
    RegistriesConf registries;
    /// Directories holding <host[:port]>/{*.crt,*.cert,*.key}. The first that has the host wins.
    std::vector<std::filesystem::path> certs_dirs{"/etc/containers/certs.d", "/etc/docker/certs.d"};
    /// Unset: as registries.conf says. false: https without verification, then plain http, as container tools
    /// do for an insecure registry. true: verify whatever registries.conf says.
    std::optional<bool> tls_verify;
    RetryPolicy retry;
    OnRetry on_retry;
    StopToken stop;
};

} // namespace slipway::registry
