// The JSON documents registries and layouts hold, as plain values: image manifests and indexes (OCI and
// Docker), image configs, token answers, error answers, auth files. Private to the room; documents.cpp is its
// only user of the JSON library.
//
// Every text may be hostile: sizes are bounded by whoever read it, wrong types are errors or left out,
// digests and sizes are checked here. Errors: class registry, code internal_error to be replaced by the
// caller; message
// "<what> is malformed: <why>".
#pragma once

#include "base/result.hpp"
#include "registry/resolve.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

namespace media {
inline constexpr std::string_view oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view oci_empty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view docker_config = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view docker_schema1 = "application/vnd.docker.distribution.manifest.v1";
} // namespace media

constexpr std::size_t longest_manifest = std::size_t{4} << 20U;
constexpr std::size_t longest_config = std::size_t{8} << 20U;

struct Platform {
    std::string os;
    std::string architecture;
    std::string variant;

    [[nodiscard]] std::string text() const;
    bool operator==(const Platform&) const = default;
};

/// "os/architecture[/variant]" in its parts, unchecked; what is missing is empty.
Platform split_platform(std::string_view text);

struct Descriptor {
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
    std::optional<Platform> platform;
    std::string ref_name;     ///< annotation org.opencontainers.image.ref.name
    bool attestation = false; ///< BuildKit's provenance entries: not an image
    std::string title;        ///< annotation org.opencontainers.image.title
    bool unpack = false;      ///< ORAS's annotation for a directory it packed
};

/// A manifest (config and layers) or an index (manifests).
struct Document {
    bool is_index = false;
    std::string media_type;
    Descriptor config;
    std::vector<Descriptor> layers;
    std::vector<Descriptor> manifests;
};

/// `declared` is the Content-Type or a descriptor's media type, used where the document names none. One that
/// could be read both as manifest and as index is malformed.
Result<Document> parse_document(std::string_view text, std::string_view declared);

/// Fills the config members of `image`; platform too.
Status parse_config(std::string_view text, ResolvedImage& image);

/// One image of a list.
struct ListEntry {
    std::string digest;
    std::string media_type;
    std::uint64_t size = 0;
    Platform platform;
};
/// An OCI index or Docker's manifest list, by its media type: the same bytes for the same entries.
std::string write_list(std::string_view media_type, const std::vector<ListEntry>& entries);

struct Token {
    std::string value;
    std::chrono::seconds lifetime{60};
};
Result<Token> parse_token(std::string_view text);

/// "DENIED: requested access to the resource is denied" from an error answer; plain text is cut and cleaned.
std::string error_words(std::string_view body);

struct RawAuth {
    std::string key;
    std::string auth; ///< base64 "user:password"
    std::string username;
    std::string password;
    std::string identity_token;
};
struct RawAuthFile {
    std::vector<RawAuth> auths;
    bool has_helpers = false;
};
Result<RawAuthFile> parse_auth_file(std::string_view text);

} // namespace slipway::registry
