// The text formats credentials come in: git-credential-store(1), what git-config(1) says of them, keys, and
// the part of ssh_config(5) that binds hosts to keys. Pure; what is malformed is passed over.
#pragma once

#include "source/credentials.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

/// One `https://user:password@host[:port][/path]` a line, percent-encoded.
std::vector<CredentialEntry> parse_git_credentials(std::string_view text);

struct GitConfigText {
    std::vector<UrlRewrite> rewrites;
    /// `[credential "URL"] username`: which account to take there. `basic` has the name only.
    std::vector<CredentialEntry> accounts;
};

/// A .gitconfig; its credential helpers are programs, and never run.
GitConfigText parse_git_config(std::string_view text);

/// Whether a private key, in PEM or OpenSSH's format, takes a passphrase.
bool key_is_encrypted(std::string_view key);

struct SshHost {
    std::string pattern; ///< the patterns of its Host line, separated by spaces
    std::string host_name;
    std::string user;
    int port = 0;
    std::vector<std::string> identity_files;
};

/// `Host` blocks with HostName, User, Port, IdentityFile. `Match` blocks and everything else are passed over.
std::vector<SshHost> parse_ssh_config(std::string_view text);

/// ssh_config's patterns: `*`, `?`, `!` negates.
bool ssh_pattern_matches(std::string_view patterns, std::string_view host);

} // namespace slipway::source
