#include "registry/resolve.hpp"

#include "base/encoding.hpp"
#include "digest/sha256.hpp"
#include "http/options.hpp"
#include "registry/client.hpp"
#include "registry/documents.hpp"
#include "registry/nearest.hpp"

#include <algorithm>
#include <optional>
#include <sys/utsname.h>

namespace slipway::registry {

namespace {

std::string machine_architecture() {
    utsname info{};
    ::uname(&info);
    const std::string_view machine = static_cast<const char*>(info.machine);
    if (machine == "x86_64") {
        return "amd64";
    }
    if (machine == "aarch64") {
        return "arm64";
    }
    return std::string(machine);
}

/// Architecture names people use, to those images carry; arm64's only variant is left out.
Platform normalise(Platform platform) {
    if (platform.architecture == "x86_64" || platform.architecture == "x86-64") {
        platform.architecture = "amd64";
    } else if (platform.architecture == "aarch64") {
        platform.architecture = "arm64";
    } else if (platform.architecture == "armhf") {
        platform = {platform.os, "arm", platform.variant.empty() ? "v7" : platform.variant};
    }
    const bool usual =
        (platform.architecture == "arm64" && (platform.variant == "v8" || platform.variant == "8")) ||
        (platform.architecture == "amd64" && platform.variant == "v1");
    if (usual) {
        platform.variant.clear();
    }
    if (platform.architecture == "arm" && platform.variant.empty()) {
        platform.variant = "v7";
    }
    return platform;
}

Result<Platform> parse_platform(std::string_view text) {
    if (text.empty()) {
        return normalise({"linux", machine_architecture(), ""});
    }
    Platform out = split_platform(text);
    const auto fine = [](const std::string& part) {
        return part.size() <= 32 && std::ranges::all_of(part, [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                          c == '-';
               });
    };
    if (out.os.empty() || out.architecture.empty() || !fine(out.os) || !fine(out.architecture) ||
        !fine(out.variant)) {
        return fail_usage("\"" + one_line(text, 100) + "\" is not a platform",
                          "write os/architecture[/variant]: linux/amd64");
    }
    return normalise(std::move(out));
}

/// Does an image for `offered` run where `wanted` is asked for? 0 = no, more = better.
int fitness(const Platform& offered_raw, const Platform& wanted) {
    const Platform offered = normalise(offered_raw);
    if (offered.os != wanted.os || offered.architecture != wanted.architecture) {
        return 0;
    }
    if (offered.variant == wanted.variant) {
        return 100;
    }
    if (offered.variant.empty()) {
        return 50;
    }
    if (wanted.architecture == "arm" && offered.variant.size() == 2 && wanted.variant.size() == 2 &&
        offered.variant < wanted.variant) { // v6 runs on v7
        return offered.variant[1] - '0';
    }
    return 0;
}

std::string offered_platforms(const Document& index) {
    std::vector<std::string> names;
    for (const Descriptor& one : index.manifests) {
        if (one.platform && !one.attestation && one.platform->os != "unknown") {
            const std::string name = one_line(one.platform->text(), 60);
            if (!std::ranges::contains(names, name) && names.size() < 12) {
                names.push_back(name);
            }
        }
    }
    std::string out;
    for (const std::string& name : names) {
        out += (out.empty() ? "" : ", ") + name;
    }
    return out.empty() ? "the image offers none" : "the image offers " + out;
}

const Descriptor* choose(const Document& index, const Platform& wanted) {
    const Descriptor* best = nullptr;
    int best_fitness = 0;
    for (const Descriptor& one : index.manifests) {
        const int now = one.platform && !one.attestation ? fitness(*one.platform, wanted) : 0;
        if (now > best_fitness) {
            best = &one;
            best_fitness = now;
        }
    }
    // An index of one image without a platform can only mean that image.
    if (best == nullptr && index.manifests.size() == 1 && !index.manifests.front().platform) {
        return &index.manifests.front();
    }
    return best;
}

Error about(Error error, const Reference& reference) {
    if (error.klass == ErrorClass::registry && error.code == code::internal_error) { // from documents.cpp
        error.code = code::cannot_pull_base_image;
        error.message = reference.text() + ": " + error.message;
    }
    return error;
}

/// One endpoint, tried as often as the policy says.
Result<ResolvedImage> resolve_at(const Options& options, const Reference& reference, const Endpoint& endpoint,
                                 const Platform& wanted) {
    const auto session = std::make_shared<Session>(options, reference, endpoint, Purpose::pull);
    Repository repository(session);
    const auto fetch = [&](std::string_view tag_or_digest) {
        return with_retries<Manifest>(options.retry, options.stop, options.on_retry,
                                      [&] { return repository.manifest(tag_or_digest); });
    };
    ResolvedImage out;
    out.reference = reference;
    out.served_by = endpoint.registry;
    TRY_ASSIGN(Manifest manifest, fetch(reference.digest.empty() ? reference.tag : reference.digest));
    auto document = parse_document(manifest.body, manifest.media_type);
    for (int depth = 0; document && document->is_index; ++depth) {
        const Descriptor* chosen = choose(*document, wanted);
        if (chosen == nullptr) {
            return fail(ErrorClass::build, code::cannot_pull_base_image,
                        reference.text() + " has no image for " + wanted.text(),
                        offered_platforms(*document));
        }
        if (depth >= 2) {
            return fail(ErrorClass::registry, code::cannot_pull_base_image,
                        reference.text() + " is an index of indexes of indexes", "push it in a simpler form");
        }
        if (depth == 0) {
            out.index_digest = manifest.digest;
        }
        const Descriptor next = *chosen;
        auto fetched = fetch(next.digest);
        if (!fetched) {
            Error error = std::move(fetched).error();
            if (error.klass == ErrorClass::build) {
                error.message = reference.text() + " names a manifest for " + wanted.text() +
                                " that the registry does not have (" + next.digest + ")";
                error.hint = "push the image for this platform again";
            }
            return fail(std::move(error));
        }
        manifest = std::move(*fetched);
        document =
            parse_document(manifest.body, next.media_type.empty() ? manifest.media_type : next.media_type);
    }
    if (!document) {
        return fail(about(std::move(document).error(), reference));
    }
    out.manifest_digest = manifest.digest;
    out.media_type = document->media_type;
    out.config_digest = document->config.digest;
    for (const Descriptor& layer : document->layers) {
        out.layers.push_back({layer.digest, layer.media_type, layer.size});
        out.size += layer.size; // documents.cpp has made sure that the sum fits
    }
    const std::string& type = document->config.media_type;
    if (!type.empty() && type != media::oci_config && type != media::docker_config) {
        return fail(ErrorClass::build, code::cannot_pull_base_image,
                    reference.text() + " is not a container image but " + one_line(type, 100),
                    "use another base image");
    }
    TRY_ASSIGN(const std::string config,
               with_retries<std::string>(options.retry, options.stop, options.on_retry, [&] {
                   return repository.blob(document->config.digest, longest_config);
               }));
    if (auto status = parse_config(config, out); !status) {
        return fail(about(std::move(status).error(), reference));
    }
    if (!out.platform.empty()) {
        const auto own = parse_platform(out.platform);
        out.platform_matches = own && fitness(*own, wanted) > 0;
    }
    out.username = session->username();
    return out;
}

} // namespace

Result<ResolvedImage> resolve_image(const Options& options, const Reference& reference,
                                    std::string_view platform) {
    TRY_ASSIGN(const Platform wanted, parse_platform(platform));
    return from_nearest(options, reference, [&](const Options& here, const Endpoint& endpoint) {
        return resolve_at(here, reference, endpoint, wanted);
    });
}

Result<ResolvedImage> resolve_name(const Options& options, std::string_view name, std::string_view platform) {
    TRY_ASSIGN(const std::vector<Reference> meanings, options.registries.meanings(name));
    std::optional<Error> first;
    for (const Reference& reference : meanings) {
        auto image = resolve_image(options, reference, platform);
        if (image) {
            return image;
        }
        Error error = std::move(image).error();
        const bool elsewhere = error.klass == ErrorClass::build || error.klass == ErrorClass::auth;
        if (!elsewhere) {
            return fail(std::move(error));
        }
        if (!first) {
            first = std::move(error);
        }
    }
    if (meanings.size() > 1) {
        std::string others;
        for (const Reference& reference : meanings) {
            others += (others.empty() ? "" : ", ") + reference.name();
        }
        first->hint = "write the name with its registry; these were asked for: " + others;
    }
    return fail(std::move(*first));
}

} // namespace slipway::registry
