// Image references: "alpine", "localhost:5000/a/b:tag", "quay.io/x/y@sha256:…".
//
// Grammar: the OCI distribution specification's, bounded (255 bytes of name, 128 of tag). Short names belong
// to docker.io, one-part names there to library/, as every container tool has it. index.docker.io is
// docker.io.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>

namespace slipway::registry {

struct Reference {
    std::string registry;    ///< host or host:port, lower case: "docker.io", "localhost:5000", "[::1]:5000"
    std::string repository;  ///< "library/alpine"
    std::string tag;         ///< empty when only a digest was given
    std::string digest;      ///< "sha256:…" or empty
    bool short_name = false; ///< written without a registry; docker.io is then an assumption

    /// "docker.io/library/alpine".
    [[nodiscard]] std::string name() const { return registry + "/" + repository; }
    /// name(), then ":tag" and "@digest" as far as they are set.
    [[nodiscard]] std::string text() const;
    /// name()@digest: what Tekton Chains and a Dockerfile pin by.
    [[nodiscard]] std::string with_digest(std::string_view other) const;

    bool operator==(const Reference& other) const { return text() == other.text(); }
};

/// Tag "latest" is assumed where neither tag nor digest stands. Error: usage/missingorinvalidargument,
/// message naming what is wrong with `text` (callers who know a Dockerfile line add `where` and class build).
Result<Reference> parse_reference(std::string_view text);

/// May `tag` stand after the colon of a reference?
bool is_valid_tag(std::string_view tag) noexcept;

} // namespace slipway::registry
