// Registry credentials from the file docker, podman and Kubernetes share.
//
// Reads config.json / auth.json ({"auths": {…}}) and the older .dockercfg form ({…} alone). Keys follow
// containers-auth.json(5): "quay.io/ns/repo" before "quay.io/ns" before "quay.io", and docker's
// "https://index.docker.io/v1/" for docker.io. Credential helpers are not run: they are named in a hint.
#pragma once

#include "base/result.hpp"
#include "registry/reference.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

struct Credentials {
    std::string username;
    std::string password;
    std::string identity_token; ///< OAuth2 refresh token; then username and password may be empty

    bool operator==(const Credentials&) const = default;
};

class AuthFile {
  public:
    /// No credentials at all: anonymous access.
    AuthFile() = default;

    /// `path` is the file, or a directory (a mounted secret, a workspace) holding .dockerconfigjson,
    /// config.json, auth.json or .dockercfg, tried in that order. A directory with none of them is an empty
    /// AuthFile; a file that cannot be read or parsed is usage/missingorinvalidargument.
    static Result<AuthFile> load(const std::filesystem::path& path);

    /// The file load() would read; empty when the directory holds none.
    static std::filesystem::path locate(const std::filesystem::path& path);

    /// `name` stands in messages. The text itself never does.
    static Result<AuthFile> parse(std::string_view text, std::string_view name);

    /// The most specific entry for a repository.
    [[nodiscard]] std::optional<Credentials> find(const Reference& reference) const;

    /// Everything that must never be printed: passwords, tokens, and the base64 `auth` values.
    [[nodiscard]] std::vector<std::string> secrets() const;

    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  private:
    struct Entry {
        std::string key; ///< normalised: no scheme, no trailing slash or API version
        Credentials credentials;
    };
    std::vector<Entry> entries_;
    std::vector<std::string> secrets_;
};

} // namespace slipway::registry
