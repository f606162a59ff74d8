// The OCI distribution protocol against one repository: manifests, blobs, uploads, tokens.
//
// Source of the rules: OCI distribution-spec v1.1 and docker's token authentication. Every manifest and blob
// is checked against its digest here; nothing unverified is returned. One try per call: callers repeat what
// is transient (base/retry.hpp).
//
// Errors, by what the registry said (the code depends on the purpose): denied → auth; not found → build
// (pull) or registry (push); 429 and 5xx → registry, transient, with retry_after; nonsense → registry.
#pragma once

#include "base/result.hpp"
#include "registry/options.hpp"
#include "registry/reference.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace slipway::registry {

enum class Purpose { pull, push };

struct Manifest {
    std::string digest;
    std::string media_type; ///< Content-Type as answered, may be empty
    std::string body;
};

/// Reads up to buffer.size() bytes of a blob at `offset`.
using BlobSource = std::function<Result<std::size_t>(std::uint64_t offset, std::span<char> buffer)>;

/// What the connections of one operation share: how the registry is spoken to, credentials, tokens.
/// Thread-safe.
class Session {
  public:
    /// `reference` is what the user named: it selects credentials and stands in messages. `endpoint` is where
    /// that is (registries.conf).
    Session(const Options& options, Reference reference, Endpoint endpoint, Purpose purpose);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// User name of the credentials in use; empty = anonymous.
    [[nodiscard]] std::string username() const;

  private:
    friend class Repository;
    struct State;
    std::unique_ptr<State> state_;
};

/// One connection to a session's repository. For one thread at a time.
class Repository {
  public:
    explicit Repository(std::shared_ptr<Session> session);
    ~Repository();
    Repository(Repository&&) noexcept;
    Repository& operator=(Repository&&) noexcept;

    /// Finds out how to speak to the registry (scheme, authentication). Called by the others as needed.
    Status ping();

    /// By tag or digest. A digest asked for is verified; by tag, what Docker-Content-Digest says is.
    Result<Manifest> manifest(std::string_view tag_or_digest);
    /// Digest of a tag as the registry answers a HEAD; nothing when there is no such manifest, or no digest
    /// in the answer.
    Result<std::optional<std::string>> manifest_digest(std::string_view tag_or_digest);

    /// A small blob (an image's config), verified. Longer than `limit` is an error.
    Result<std::string> blob(std::string_view digest, std::size_t limit);
    /// A blob piece by piece; an error after the last piece if the digest is not right.
    Status blob(std::string_view digest, const std::function<Status(std::string_view)>& sink);
    Result<bool> blob_exists(std::string_view digest);

    /// Makes a blob of another repository of the registry one of ours. false: it could not be mounted.
    Result<bool> mount(std::string_view digest, std::string_view from_repository);
    /// POST, PATCH with the bytes, PUT with the digest: what every registry is used to, and nothing is kept
    /// before all bytes are checked. `piece` > 0: at most so many bytes per PATCH (a proxy limits requests).
    /// `source` is always read from 0 on, in order; it starts over at 0 when a redirect makes it so.
    Status upload(std::string_view digest, std::uint64_t size, const BlobSource& source,
                  std::uint64_t piece = 0);

    /// Returns the digest the registry answers with (ours where it names none). A different one is an error.
    Result<std::string> put_manifest(std::string_view tag_or_digest, std::string_view media_type,
                                     std::string_view body);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace slipway::registry
