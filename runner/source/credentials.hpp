// Credentials for fetching a source, and reading them from where Kubernetes and Tekton put them.
//
// Inputs: a directory mounted from a Secret (kubernetes.io/basic-auth, kubernetes.io/ssh-auth, or the layout
// Tekton's git-clone documents), $HOME, or the directory Tekton's entrypoint fills from a ServiceAccount.
// Output: a list of candidates, each bound to a host; `credentials_for` keeps what belongs to one URL.
// Errors: class usage when a directory the caller named is missing, unreadable or holds nothing usable;
// an automatic place ($HOME, Tekton's) that is missing or unreadable simply yields nothing.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

struct BasicAuth {
    std::string username; ///< may be empty (a bare token); some hosts then want any name
    std::string password; ///< password or token
};

struct SshKey {
    std::string private_key; ///< PEM or OpenSSH format; always ends in a newline
    std::string passphrase;  ///< empty = none
    std::string name;        ///< file it came from, for messages
};

/// What may be shown to one server. Empty = anonymous.
struct GitCredentials {
    std::optional<BasicAuth> basic;
    std::vector<SshKey> keys; ///< tried in order
    std::string ssh_user;     ///< from an ssh config's `User`, when the URL names none
    std::string
        ssh_host_name;       ///< from an ssh config's `HostName`: where to connect in place of the URL's host
    int ssh_port = 0;        ///< from an ssh config's `Port`, when the URL names none
    std::string known_hosts; ///< content in OpenSSH's format; empty = no host is known
    /// With no known_hosts at all: take whatever key the server shows (reported through on_host_key). A key
    /// that contradicts known_hosts is refused whatever stands here.
    bool accept_new_host_key = false;

    /// Everything that must never be shown: passwords, keys, passphrases.
    [[nodiscard]] std::vector<std::string> secrets() const;
};

/// One `machine` of a credential store: where it may be used and what with.
struct CredentialEntry {
    std::string scheme; ///< "https", "http", "ssh"; empty = any that fits its kind
    std::string host;   ///< lower case; empty = any host (a directory bound to this one fetch)
    int port = 0;       ///< 0 = the scheme's own
    bool any_port = false;
    std::string path; ///< prefix of the repository's path on a segment border; empty = any
    std::optional<BasicAuth> basic;
    std::vector<SshKey> keys;
    std::string ssh_user;
    std::string ssh_host_name;
    int ssh_port = 0;
};

/// `GIT_CONFIG`'s url.<base>.insteadOf, which Tekton writes for ssh secrets with a path.
struct UrlRewrite {
    std::string base;
    std::string instead_of;
};

struct CredentialStore {
    std::vector<CredentialEntry> entries;
    std::vector<UrlRewrite> rewrites;
    std::vector<CredentialEntry> accounts; ///< whose name is taken where a URL has none; no passwords
    std::string known_hosts;

    /// Adds another store's content behind this one's.
    void append(CredentialStore other);
    /// Passwords that came without a host are meant for `url`'s and for no other, such as a submodule's.
    /// (Keys without a host may be offered anywhere, as ssh does: they are never shown.)
    void bind_passwords(std::string_view url);
    [[nodiscard]] std::vector<std::string> secrets() const;
};

/// `--basic-auth-dir`: files `username` and `password` (kubernetes.io/basic-auth), or `.git-credentials` with
/// an optional `.gitconfig`, or `.netrc`. A username/password pair has no host of its own: it is offered to
/// the URL's host.
Result<CredentialStore> read_basic_auth_dir(const std::filesystem::path& directory);

/// `--ssh-dir`: `ssh-privatekey` (kubernetes.io/ssh-auth), `id_*` keys, `config`, `known_hosts`, and an
/// optional `passphrase` file. A `config` binds keys to hosts; without one they are offered to the URL's
/// host.
Result<CredentialStore> read_ssh_dir(const std::filesystem::path& directory);

/// A home as git and ssh expect it: `.git-credentials`, `.gitconfig`, `.netrc`, `.ssh/`. Also
/// what /tekton/creds holds. Whatever is absent or unreadable is left out.
CredentialStore read_home(const std::filesystem::path& home);

/// What of `store` may go to `url` (any form fetch_git accepts): the first basic entry and all keys whose
/// host, scheme, port and path match, specific ones first.
GitCredentials credentials_for(const CredentialStore& store, std::string_view url);

/// `url` after the store's insteadOf rules (the longest match wins); unchanged when none fits.
std::string rewrite_url(const CredentialStore& store, std::string_view url);

} // namespace slipway::source
