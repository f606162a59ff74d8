// Images that are in registries already, joined under one name: an OCI index or Docker's manifest list.
//
// Source of the form: OCI image-spec 1.1 (image index), Docker's manifest list v2 schema 2. Each image is
// named by digest; its platform is what its config says. An image that lies in another repository is brought
// into the list's: its blobs are mounted where the registry is the same and does that, else copied through a
// temporary file. The list is pushed by digest, then under each tag. Nothing of an image is changed.
//
// Errors: usage for what cannot be joined (no digest, a list, two images of one platform, no platform);
// pushissue and tagissue as push.hpp has them.
#pragma once

#include "registry/push.hpp"

#include <optional>
#include <string>
#include <vector>

namespace slipway::registry {

enum class ListFormat { automatic, oci, docker };

struct IndexRequest {
    std::vector<Reference> members; ///< by digest each, at least one
    Reference destination;          ///< its tag and digest are not used
    std::vector<std::string> tags;  ///< at least one
    ListFormat format = ListFormat::automatic;
    OnPushProgress on_progress; ///< for blobs that have to be copied or mounted, manifests, tags
};

struct IndexMember {
    Reference reference;
    std::string platform; ///< "linux/arm64/v8"
    std::string media_type;
    std::uint64_t size = 0; ///< of the manifest
};

struct PushedIndex {
    std::string digest;
    std::string media_type;
    std::vector<IndexMember> members; ///< in the order given
    std::vector<TagResult> tags;

    /// The first tag's error, if any tag failed (code tagissue).
    [[nodiscard]] const Error* tag_error() const;
};

Result<PushedIndex> push_index(const Options& options, const IndexRequest& request);

} // namespace slipway::registry
