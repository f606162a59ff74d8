#include "source/credential_files.hpp"

#include "base/encoding.hpp"
#include "source/config_text.hpp"
#include "source/git.hpp"
#include "source/pattern.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace slipway::source {
namespace {

constexpr std::size_t most_entries = 1024;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t\r";
    text.remove_prefix(std::min(text.find_first_not_of(blank), text.size()));
    return text.substr(0, text.find_last_not_of(blank) + 1);
}

/// Calls `each` with every line, trimmed; empty lines and comments are left out.
template <class Each> void for_lines(std::string_view text, Each each) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!line.empty() && !line.starts_with('#') && !line.starts_with(';')) {
            each(line);
        }
    }
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

/// "https://user:password@host[:port][/path]".
std::optional<CredentialEntry> entry_of(std::string_view text) {
    const std::size_t authority = text.find("://");
    if (authority == std::string_view::npos) {
        return std::nullopt;
    }
    // A bare host is the usual case and no repository's URL: give it a path to be parsed with.
    std::string whole(text);
    const std::size_t slash = whole.find('/', authority + 3);
    const bool bare = slash == std::string::npos || slash + 1 == whole.size();
    if (bare) {
        whole.resize(std::min(slash, whole.size()));
        whole += "/x";
    }
    const Result<GitUrl> url = parse_git_url(whole);
    if (!url || (url->scheme != GitUrl::Scheme::https && url->scheme != GitUrl::Scheme::http)) {
        return std::nullopt;
    }
    CredentialEntry entry;
    entry.scheme = url->scheme == GitUrl::Scheme::https ? "https" : "http";
    entry.host = url->host;
    entry.port = url->port;
    entry.path = bare ? "" : url->path;
    entry.basic = BasicAuth{.username = url->username, .password = url->password};
    return entry;
}

std::string unquoted(std::string_view text) {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    return std::string(text);
}

} // namespace

std::vector<CredentialEntry> parse_git_credentials(std::string_view text) {
    std::vector<CredentialEntry> entries;
    for_lines(text, [&entries](std::string_view line) {
        if (entries.size() < most_entries) {
            if (std::optional<CredentialEntry> entry = entry_of(line)) {
                entries.push_back(*std::move(entry));
            }
        }
    });
    return entries;
}

GitConfigText parse_git_config(std::string_view text) {
    GitConfigText found;
    const Result<std::vector<ConfigEntry>> entries = parse_config(text);
    if (!entries) {
        return found;
    }
    for (const ConfigEntry& entry : *entries) {
        if (entry.value.empty() || found.rewrites.size() + found.accounts.size() >= most_entries) {
            continue;
        }
        if (entry.section == "url" && entry.name == "insteadof") {
            found.rewrites.push_back({.base = entry.subsection, .instead_of = entry.value});
        } else if (entry.section == "credential" && entry.name == "username") {
            std::optional<CredentialEntry> account =
                entry.subsection.empty() ? CredentialEntry{} : entry_of(entry.subsection);
            if (account) {
                account->basic = BasicAuth{.username = entry.value, .password = {}};
                found.accounts.push_back(*std::move(account));
            }
        }
    }
    return found;
}

bool key_is_encrypted(std::string_view key) {
    if (key.contains("BEGIN ENCRYPTED PRIVATE KEY") || key.contains("Proc-Type: 4,ENCRYPTED")) {
        return true;
    }
    constexpr std::string_view begin = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    const std::size_t at = key.find(begin);
    if (at == std::string_view::npos) {
        return false;
    }
    // "openssh-key-v1", a zero byte, then the length and name of the cipher (OpenSSH's PROTOCOL.key).
    constexpr std::string_view magic("openssh-key-v1\0", 15);
    const std::string_view start = key.substr(at + begin.size(), 40);
    const std::optional<std::string> bytes = base64_decode(start.substr(0, start.size() / 4 * 4));
    return bytes && bytes->starts_with(magic) &&
           !std::string_view(*bytes).substr(magic.size()).starts_with(std::string_view("\0\0\0\4none", 8));
}

std::vector<SshHost> parse_ssh_config(std::string_view text) {
    std::vector<SshHost> hosts;
    bool in_host = false;
    bool before_any = true;
    for_lines(text, [&](std::string_view line) {
        const std::size_t border = std::min(line.find_first_of(" \t="), line.size());
        const std::string keyword = lower(line.substr(0, border));
        std::string_view rest = trimmed(line.substr(border));
        if (rest.starts_with('=')) {
            rest = trimmed(rest.substr(1));
        }
        if (keyword == "host" || keyword == "match") {
            before_any = false;
            in_host = keyword == "host" && hosts.size() < most_entries;
            if (in_host) {
                SshHost host;
                host.pattern = rest;
                std::ranges::replace(host.pattern, '\t', ' ');
                hosts.push_back(std::move(host));
            }
            return;
        }
        if (before_any) { // what stands before the first block holds for every host
            before_any = false;
            in_host = true;
            hosts.push_back({.pattern = "*", .host_name = {}, .user = {}, .port = 0, .identity_files = {}});
        }
        if (!in_host) {
            return;
        }
        SshHost& host = hosts.back();
        if (keyword == "hostname" && !rest.contains('%')) {
            host.host_name = unquoted(rest);
        } else if (keyword == "user") {
            host.user = unquoted(rest);
        } else if (keyword == "port") {
            int port = 0;
            std::from_chars(rest.data(), rest.data() + rest.size(), port);
            host.port = port > 0 && port < 65536 ? port : 0;
        } else if (keyword == "identityfile" && host.identity_files.size() < 16) {
            host.identity_files.push_back(unquoted(rest));
        }
    });
    return hosts;
}

bool ssh_pattern_matches(std::string_view patterns, std::string_view host) {
    return pattern_list_match(patterns, ' ', host);
}

} // namespace slipway::source
