#include "source/credential_files.hpp"

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

/// A git-config value: quotes taken off, escapes undone, a trailing comment cut.
std::string config_value(std::string_view text) {
    std::string out;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\' && i + 1 < text.size()) {
            out += text[++i];
        } else if (!quoted && (c == '#' || c == ';')) {
            break;
        } else {
            out += c;
        }
    }
    return quoted ? out : std::string(trimmed(out));
}

/// "[url "base"]" → base.
std::optional<std::string> url_section(std::string_view line) {
    line = line.substr(1, line.find_last_of(']') - 1);
    const std::size_t quote = line.find('"');
    if (quote == std::string_view::npos || lower(trimmed(line.substr(0, quote))) != "url") {
        return std::nullopt;
    }
    return config_value(line.substr(quote));
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
        // A bare host is the usual line and no repository's URL: give it a path to be parsed with.
        const std::size_t authority = line.find("://");
        if (authority == std::string_view::npos || entries.size() >= most_entries) {
            return;
        }
        std::string whole(line);
        const std::size_t slash = whole.find('/', authority + 3);
        const bool bare = slash == std::string::npos || slash + 1 == whole.size();
        if (bare) {
            whole.resize(std::min(slash, whole.size()));
            whole += "/x";
        }
        const Result<GitUrl> url = parse_git_url(whole);
        if (!url || (url->scheme != GitUrl::Scheme::https && url->scheme != GitUrl::Scheme::http)) {
            return;
        }
        CredentialEntry entry;
        entry.scheme = url->scheme == GitUrl::Scheme::https ? "https" : "http";
        entry.host = url->host;
        entry.port = url->port;
        entry.path = bare ? "" : url->path;
        entry.basic = BasicAuth{.username = url->username, .password = url->password};
        entries.push_back(std::move(entry));
    });
    return entries;
}

std::vector<UrlRewrite> parse_git_rewrites(std::string_view text) {
    std::vector<UrlRewrite> rules;
    std::optional<std::string> base;
    for_lines(text, [&](std::string_view line) {
        if (line.starts_with('[')) {
            base = line.contains(']') ? url_section(line) : std::nullopt;
            return;
        }
        const std::size_t equals = line.find('=');
        if (!base || equals == std::string_view::npos ||
            lower(trimmed(line.substr(0, equals))) != "insteadof" || rules.size() >= most_entries) {
            return;
        }
        std::string instead_of = config_value(trimmed(line.substr(equals + 1)));
        if (!instead_of.empty()) {
            rules.push_back({.base = *base, .instead_of = std::move(instead_of)});
        }
    });
    return rules;
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
