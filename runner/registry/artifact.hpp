// OCI artifacts: files kept in a registry beside images, as ORAS, Flux and Konflux push them.
//
// Sources: OCI image-spec v1.1 (a manifest whose config is no image's), ORAS's annotations for files and
// packed directories; Konflux names a blob alone by its digest ("trusted artifacts"), which is an artifact of
// one layer here, of a size nobody has told. Manifest and layers are checked against their digests
// (client.hpp); sizes against what the manifest says.
//
// Errors: buildpackissue of class build (no such artifact, an image or an index instead, no files), auth
// (registryauth), registry, network; as resolve.hpp has them.
#pragma once

#include "base/result.hpp"
#include "registry/client.hpp"
#include "registry/options.hpp"
#include "registry/reference.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace slipway::registry {

struct ArtifactLayer {
    std::string digest;
    std::string media_type;
    std::optional<std::uint64_t> size; ///< not known of a blob that no manifest names
    std::string title;                 ///< the file it was, unchecked; may be empty
    bool unpack = false;               ///< annotated as a packed directory
};

struct Artifact {
    Reference reference; ///< as asked for
    std::string digest;  ///< the manifest's, or the lone blob's
    std::vector<ArtifactLayer> layers;
    std::shared_ptr<Session> session;
};

/// What a reference's digest is of.
enum class Named { manifest, blob };

/// Mirrors of registries.conf are asked first, as for images. A blob is only ever named by its digest.
Result<Artifact> find_artifact(const Options& options, const Reference& reference, Named named);

/// Writes a layer's bytes, of which there may be `limit`, to the empty file `fd`, and again from its start
/// where a try fails. `on_progress` is told how many there are so far.
Status download_layer(const Options& options, const Artifact& artifact, const ArtifactLayer& layer,
                      std::uint64_t limit, int fd,
                      const std::function<void(std::uint64_t bytes)>& on_progress);

} // namespace slipway::registry
