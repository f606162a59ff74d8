#include "registry/artifact.hpp"

#include "base/encoding.hpp"
#include "base/fd.hpp"
#include "registry/documents.hpp"
#include "registry/nearest.hpp"

#include <algorithm>
#include <cerrno>
#include <format>
#include <unistd.h>
#include <utility>

namespace slipway::registry {

namespace {

/// What the client says of images, said of an artifact.
Error about(Error error, const Reference& reference) {
    if (error.code != code::cannot_pull_base_image && error.code != code::internal_error) {
        return error;
    }
    if (error.klass == ErrorClass::build && error.cause.starts_with("HTTP 404")) {
        error.message = "no such artifact: " + reference.text();
    } else if (error.code == code::internal_error) { // from documents.cpp
        error.message = reference.text() + ": " + error.message;
    }
    error.code = code::build_pack_issue;
    return error;
}

std::unexpected<Error> no_source(const Reference& reference, std::string_view what) {
    return fail(ErrorClass::build, code::build_pack_issue, std::format("{} {}", reference.text(), what),
                "push the source as an artifact: oras push, flux push artifact");
}

Result<std::vector<ArtifactLayer>> layers_of(const Manifest& manifest, const Reference& reference) {
    TRY_ASSIGN(const Document document, parse_document(manifest.body, manifest.media_type));
    if (document.is_index) {
        return no_source(reference, "is an index of several manifests, not an artifact");
    }
    const std::string& config = document.config.media_type;
    if (config == media::oci_config || config == media::docker_config) {
        return no_source(reference, "is a container image, not an artifact with a source");
    }
    std::vector<ArtifactLayer> layers;
    for (const Descriptor& layer : document.layers) {
        if (layer.media_type != media::oci_empty) {
            layers.push_back({.digest = layer.digest,
                              .media_type = layer.media_type,
                              .size = layer.size,
                              .title = layer.title,
                              .unpack = layer.unpack});
        }
    }
    if (layers.empty()) {
        return no_source(reference, "holds no files");
    }
    return layers;
}

Result<Artifact> find_at(const Options& options, const Reference& reference, const Endpoint& endpoint,
                         Named named) {
    Artifact out{.reference = reference,
                 .digest = {},
                 .layers = {},
                 .session = std::make_shared<Session>(options, reference, endpoint, Purpose::pull)};
    Repository repository(out.session);
    const std::string& name = reference.digest.empty() ? reference.tag : reference.digest;
    if (named == Named::blob) {
        TRY_ASSIGN(const bool there, with_retries<bool>(options.retry, options.stop, options.on_retry,
                                                        [&] { return repository.blob_exists(name); }));
        if (!there) {
            return fail(ErrorClass::build, code::build_pack_issue, "no such blob: " + reference.text(),
                        "check repository and digest; it may have expired");
        }
        out.digest = name;
        out.layers.push_back({.digest = name, .media_type = {}, .size = {}, .title = {}, .unpack = false});
        return out;
    }
    TRY_ASSIGN(const Manifest manifest, with_retries<Manifest>(options.retry, options.stop, options.on_retry,
                                                               [&] { return repository.manifest(name); }));
    out.digest = manifest.digest;
    TRY_ASSIGN(out.layers, layers_of(manifest, reference));
    return out;
}

} // namespace

Result<Artifact> find_artifact(const Options& options, const Reference& reference, Named named) {
    return from_nearest(options, reference, [&](const Options& here, const Endpoint& endpoint) {
        return find_at(here, reference, endpoint, named).transform_error([&](Error error) {
            return about(std::move(error), reference);
        });
    });
}

Status download_layer(const Options& options, const Artifact& artifact, const ArtifactLayer& layer,
                      std::uint64_t limit, int fd,
                      const std::function<void(std::uint64_t bytes)>& on_progress) {
    const auto too_large = [&] {
        return fail(ErrorClass::build, code::build_pack_issue,
                    std::format("{}: the layer {} is larger than {}", artifact.reference.text(), layer.digest,
                                humane_bytes(limit)),
                    "raise --unpacked-limit, or push less");
    };
    const auto other_size = [&] {
        return fail(ErrorClass::registry, code::build_pack_issue,
                    std::format("{}: the layer {} is not of the {} bytes its manifest says",
                                artifact.reference.text(), layer.digest, layer.size.value_or(0)));
    };
    if (layer.size.value_or(0) > limit) {
        return too_large();
    }
    Repository repository(artifact.session);
    const auto once = [&]() -> Status {
        if (::ftruncate(fd, 0) != 0 || ::lseek(fd, 0, SEEK_SET) != 0) {
            return fail_errno("keep a layer", errno);
        }
        std::uint64_t received = 0;
        TRY(repository.blob(layer.digest, [&](std::string_view piece) -> Status {
            received += piece.size();
            if (layer.size && received > *layer.size) {
                return other_size();
            }
            if (received > limit) {
                return too_large();
            }
            on_progress(received);
            return write_all(fd, piece);
        }));
        return layer.size && received != *layer.size ? Status(other_size()) : Status();
    };
    Status done = with_retries<void>(options.retry, options.stop, options.on_retry, once);
    return done ? done : Status(fail(about(std::move(done).error(), artifact.reference)));
}

} // namespace slipway::registry
