// containers-registries.conf(5), version 2: what a short name means, where a repository really is, and
// whether TLS is checked there.
//
// Read: unqualified-search-registries, [aliases], [[registry]] prefix, location, insecure, blocked,
// mirror[].{location,insecure,pull-from-mirror}, mirror-by-digest-only. "*.example.com" prefixes work.
// Not read: short-name-mode (nobody is there to be asked), credential helpers.
#pragma once

#include "base/result.hpp"
#include "registry/reference.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

/// One place to ask, in order of preference.
struct Endpoint {
    std::string registry;   ///< host[:port] to connect to
    std::string repository; ///< repository there (a mirror may nest it)
    bool insecure = false;
    bool mirror = false;
};

class RegistriesConf {
  public:
    /// Nothing rewritten, nothing insecure.
    RegistriesConf() = default;

    /// The files container tools would read: `explicit_file` if not empty (must exist), else
    /// <home>/.config/containers/registries.conf, else /etc/containers/registries.conf, each with its .d
    /// directory in name order. Absent files are fine; a malformed one is usage/missingorinvalidargument.
    static Result<RegistriesConf> load(const std::filesystem::path& explicit_file,
                                       const std::filesystem::path& home = {});
    /// Adds one file's text; a later entry with the same prefix replaces an earlier one.
    Status add(std::string_view text, std::string_view name);

    /// What `text` may stand for, in order of preference, never empty. A name that begins with a registry
    /// stands for itself. A short one ("debian:13", "team/app") stands for its alias, else for itself in
    /// each of the search registries, else, as with Docker, for an image of docker.io. Error: as
    /// parse_reference has it.
    [[nodiscard]] Result<std::vector<Reference>> meanings(std::string_view text) const;

    /// Where to read `registry`/`repository` from: mirrors first, the location itself last. `by_digest`: the
    /// reference has a digest. Error build/cannotpullbaseimage when the registry is blocked.
    [[nodiscard]] Result<std::vector<Endpoint>>
    pull_endpoints(std::string_view registry, std::string_view repository, bool by_digest) const;
    /// Where to push: the location itself, never a mirror. Error usage when blocked.
    [[nodiscard]] Result<Endpoint> push_endpoint(std::string_view registry,
                                                 std::string_view repository) const;

  private:
    struct Mirror {
        std::string location;
        bool insecure = false;
        enum class When { all, digest_only, tag_only } when = When::all;
    };
    struct Rule {
        std::string prefix;
        std::string location;
        bool insecure = false;
        bool blocked = false;
        bool digest_only = false;
        std::vector<Mirror> mirrors;
    };
    [[nodiscard]] const Rule* find(std::string_view name) const;
    std::vector<Rule> rules_;
    std::map<std::string, std::string, std::less<>> aliases_; ///< an empty value takes an earlier one back
    std::vector<std::string> search_;
};

} // namespace slipway::registry
