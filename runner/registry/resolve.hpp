// From an image reference to the one manifest that will be used on a platform: a few small requests, no layer
// is fetched.
//
// Errors: cannotpullbaseimage of class build (no such image or tag, no manifest for the platform, blocked,
// invalid), auth (denied; code registryauth), registry (5xx, rate limit, nonsense), network (code network).
#pragma once

#include "base/result.hpp"
#include "registry/options.hpp"
#include "registry/reference.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::registry {

struct Layer {
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
};

struct ResolvedImage {
    Reference reference; ///< normalised, as asked for
    std::string
        index_digest; ///< digest of the index or manifest list; empty if the reference names a manifest
    std::string manifest_digest; ///< digest of the platform's manifest
    std::string media_type;      ///< of that manifest
    std::string config_digest;
    std::uint64_t size = 0; ///< sum of the (compressed) layers, bytes
    std::vector<Layer> layers;
    std::string platform;         ///< "linux/amd64" or "linux/arm64/v8": what the config says
    bool platform_matches = true; ///< false: one image, no index, made for another platform. Pulling it
                                  ///< works, running it may not: the caller decides
    std::string served_by;        ///< registry that answered: a mirror's host, or reference.registry
    std::string username;         ///< credentials used; empty = anonymous

    // From the image's config:
    std::vector<std::pair<std::string, std::string>> env; ///< in order; invalid entries left out
    std::string user;
    std::string working_dir;
    std::vector<std::string> entrypoint;
    std::vector<std::string> cmd;
    std::vector<std::string> shell;
    std::vector<std::string> on_build; ///< ONBUILD triggers, in order
    std::map<std::string, std::string> labels;
    std::vector<std::string> volumes;
    std::vector<std::string> exposed_ports;
    bool has_healthcheck = false;
    std::string created; ///< as written there, may be empty

    /// What to pin and to report: the index where there is one, else the manifest.
    [[nodiscard]] const std::string& pin() const {
        return index_digest.empty() ? manifest_digest : index_digest;
    }
};

/// `platform` is "os/arch[/variant]"; empty = linux/<this machine's architecture>.
Result<ResolvedImage> resolve_image(const Options& options, const Reference& reference,
                                    std::string_view platform);

/// The first of a name's meanings (RegistriesConf::meanings) that there is. Only "not there" and "not
/// allowed", which many registries say in its place, lead to the next: a registry that is out of order must
/// not make another one's image of the same name be taken for the right one.
Result<ResolvedImage> resolve_name(const Options& options, std::string_view name, std::string_view platform);

} // namespace slipway::registry
