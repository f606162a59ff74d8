// The text formats credentials come in: git-credential-store(1), the url.*.insteadOf of git-config(1), and
// the part of ssh_config(5) that binds hosts to keys. Pure; malformed lines are passed over.
#pragma once

#include "source/credentials.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

/// One `https://user:password@host[:port][/path]` a line, percent-encoded.
std::vector<CredentialEntry> parse_git_credentials(std::string_view text);

std::vector<UrlRewrite> parse_git_rewrites(std::string_view text);

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
