// An image layout to a registry: blobs, then the manifest by digest, then each tag.
//
// The layout was written by the build and may hold anything: it is read through a directory descriptor, no
// link is followed, only regular files are read, JSON is bounded, every blob's digest is checked before the
// registry is told to keep it. Two forms: an OCI layout (oci-layout, index.json, blobs/<algorithm>/<hex>), or
// containers' dir: form (version, manifest.json, blobs named by their bare hex digest).
//
// Errors: pushissue of class auth (denied), registry (5xx, rate limit, nonsense), build (the layout is
// not what `expected_digest` names, or is malformed), tagissue (the image is there, a tag is not), network.
#pragma once

#include "base/result.hpp"
#include "registry/options.hpp"
#include "registry/reference.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

/// One blob or manifest moved on. `current` == `total` once, at its end; it may fall back when a try is
/// repeated. Called from several threads, never two at a time.
struct PushProgress {
    enum class State { uploading, uploaded, exists, mounted, tagged };
    std::string_view id; ///< digest, or the tag's name for State::tagged
    std::uint64_t current = 0;
    std::uint64_t total = 0;
    State state = State::uploading;
};
using OnPushProgress = std::function<void(const PushProgress&)>;

struct PushRequest {
    int layout = -1;               ///< directory descriptor, borrowed
    std::string expected_digest;   ///< manifest's digest as image.json names it; required
    Reference destination;         ///< its tag and digest are not used
    std::vector<std::string> tags; ///< at least one
    /// Repositories of the same registry that may already hold layers ("ns/base"): tried as mount sources.
    std::vector<std::string> mount_from;
    int parallel = 3; ///< blobs at a time, 1..8
    OnPushProgress on_progress;
};

struct TagResult {
    std::string tag;
    bool pushed = false;
    std::string digest; ///< as the registry answered
    Error error;        ///< meaningful when not pushed
};

struct PushedImage {
    std::string digest; ///< of the manifest or index, equal to expected_digest
    std::string media_type;
    std::vector<TagResult> tags;
    std::uint64_t bytes_total = 0;    ///< of all blobs
    std::uint64_t bytes_uploaded = 0; ///< of the blobs that had to be sent (retries not counted)
    int blobs_uploaded = 0;
    int blobs_existing = 0; ///< already there
    int blobs_mounted = 0;
    std::string username; ///< credentials used; empty = anonymous

    /// The first tag's error, if any tag failed (code tagissue).
    [[nodiscard]] const Error* tag_error() const;
};

/// Fails where the image itself did not get there. Where only a tag failed the image is returned and its
/// TagResult says so: the caller decides (`tag_error`).
Result<PushedImage> push_layout(const Options& options, const PushRequest& request);

} // namespace slipway::registry
