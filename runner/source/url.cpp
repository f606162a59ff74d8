// Git URLs: understanding them strictly, and saying them again without what is secret.
#include "base/encoding.hpp"
#include "source/git.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

namespace slipway::source {
namespace {

constexpr std::size_t longest_url = 2048;

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
    }
    return out;
}

std::unexpected<Error> bad(std::string why) {
    return fail_usage(
        "not a usable git URL: " + std::move(why),
        "use https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, git://HOST/PATH or file:///PATH");
}

bool plain(std::string_view text) {
    return std::ranges::none_of(text,
                                [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
}

bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// `bracketed`: an IPv6 address, perhaps with a zone (RFC 6874, as people write it: "fe80::1%eth0").
bool host_is_sound(std::string_view host, bool bracketed) {
    if (host.empty() || host.size() > 253 || host.front() == '-') {
        return false;
    }
    const auto name = [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; };
    if (!bracketed) {
        return std::ranges::all_of(host, name);
    }
    const std::size_t zone = host.find('%');
    const std::string_view address = host.substr(0, zone);
    return address.contains(':') && address.find_first_not_of("0123456789abcdefABCDEF:.") == address.npos &&
           (zone == host.npos ||
            (zone + 1 < host.size() && std::ranges::all_of(host.substr(zone + 1), name)));
}

bool user_is_sound(std::string_view user) {
    return !user.starts_with('-') && plain(user) && !user.contains('\0');
}

/// "user:password" as it stands before '@'.
bool take_user(GitUrl& url, std::string_view text) {
    const std::size_t colon = text.find(':');
    url.username = percent_decode(text.substr(0, colon));
    if (colon != std::string_view::npos) {
        url.has_password = true;
        url.password = percent_decode(text.substr(colon + 1));
    }
    const auto sendable = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
    return user_is_sound(url.username) && std::ranges::all_of(url.password, sendable);
}

bool take_port(GitUrl& url, std::string_view text) {
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), url.port);
    return failure == std::errc{} && end == text.data() + text.size() && url.port > 0 && url.port < 65536;
}

bool take_host(GitUrl& url, std::string_view text, bool with_port) {
    std::string_view rest;
    bool bracketed = false;
    std::string_view host;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) {
            return false;
        }
        bracketed = true;
        host = text.substr(1, close - 1);
        rest = text.substr(close + 1);
    } else {
        const std::size_t colon = text.find(':');
        host = text.substr(0, colon);
        rest = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
    }
    url.host = lower(host);
    if (!host_is_sound(host, bracketed)) {
        return false;
    }
    if (rest.empty() || rest == ":") {
        return true;
    }
    return with_port && rest.front() == ':' && take_port(url, rest.substr(1));
}

std::string shown_host(const GitUrl& url) {
    std::string host = url.host.contains(':') ? "[" + url.host + "]" : url.host;
    return url.port == 0 ? host : std::format("{}:{}", host, url.port);
}

Result<GitUrl> parse_scp(std::string_view text) {
    GitUrl url;
    url.scheme = GitUrl::Scheme::ssh;
    url.scp_like = true;
    std::string_view rest = text;
    if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
        url.username = rest.substr(0, at);
        rest.remove_prefix(at + 1);
        if (url.username.empty() || url.username.contains(':') || !user_is_sound(url.username)) {
            return bad("the user before '@' is malformed");
        }
    }
    const std::size_t border = rest.starts_with('[') ? rest.find("]:") + 1 : rest.find(':');
    if (border == std::string_view::npos || border == 0 || !take_host(url, rest.substr(0, border), false)) {
        return bad("the host is malformed");
    }
    url.path = rest.substr(border + 1);
    if (url.path.empty() || url.path.starts_with('-')) {
        return bad("the path is malformed");
    }
    url.clean = text;
    return url;
}

} // namespace

Result<GitUrl> parse_git_url(std::string_view text) {
    if (text.empty()) {
        return bad("it is empty");
    }
    if (text.size() > longest_url) {
        return bad(std::format("it is longer than {} bytes", longest_url));
    }
    if (text.starts_with('-')) {
        return bad("it begins with '-'");
    }
    if (!plain(text)) {
        return bad("it contains white space or control characters");
    }
    if (to_valid_utf8(text) != text) {
        return bad("it is not valid UTF-8");
    }
    if (text.starts_with('/')) {
        GitUrl url;
        url.scheme = GitUrl::Scheme::file;
        url.path = url.clean = text;
        return url;
    }
    const std::size_t border = text.find("://");
    if (border == std::string_view::npos) {
        if (const std::size_t helper = text.find("::");
            helper != std::string_view::npos &&
            text.substr(0, helper).find_first_of("@[/") == std::string_view::npos) {
            return bad("remote helpers (“name::address”) are not supported");
        }
        if (text.find(':') < text.find('/')) {
            return parse_scp(text);
        }
        return bad("it names no scheme, and a local path must be absolute");
    }

    struct Known {
        std::string_view name;
        GitUrl::Scheme scheme;
    };
    constexpr std::array known = {
        Known{.name = "https", .scheme = GitUrl::Scheme::https},
        Known{.name = "http", .scheme = GitUrl::Scheme::http},
        Known{.name = "git", .scheme = GitUrl::Scheme::git},
        Known{.name = "ssh", .scheme = GitUrl::Scheme::ssh},
        Known{.name = "git+ssh", .scheme = GitUrl::Scheme::ssh},
        Known{.name = "ssh+git", .scheme = GitUrl::Scheme::ssh},
        Known{.name = "file", .scheme = GitUrl::Scheme::file},
    };
    const std::string scheme = lower(text.substr(0, border));
    const auto* found = std::ranges::find(known, std::string_view(scheme), &Known::name);
    if (found == known.end()) {
        return bad("its scheme is not one of https, http, ssh, git, file");
    }
    GitUrl url;
    url.scheme = found->scheme;
    std::string_view rest = text.substr(border + 3);

    const std::size_t slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    url.path = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash);
    if (url.scheme == GitUrl::Scheme::file) {
        if ((!authority.empty() && authority != "localhost") || url.path.size() < 2) {
            return bad("file:// takes an absolute path and no host");
        }
        url.path = percent_decode(url.path);
        if (url.path.contains('\0')) {
            return bad("the path contains a zero byte");
        }
        url.clean = "file://" + std::string(slash == std::string_view::npos ? "" : rest.substr(slash));
        return url;
    }
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        if (!take_user(url, authority.substr(0, at))) {
            return bad("the user information is malformed");
        }
        authority.remove_prefix(at + 1);
    }
    if (!take_host(url, authority, true)) {
        return bad("the host or port is malformed");
    }
    if (url.path.size() < 2) {
        return bad("it names no repository");
    }
    if (url.scheme == GitUrl::Scheme::ssh && url.path.starts_with("/-")) {
        return bad("the path begins with '-'");
    }
    if (url.scheme == GitUrl::Scheme::git && (url.has_password || !url.username.empty())) {
        return bad("git:// knows no user");
    }
    url.clean = scheme + "://";
    if (url.scheme == GitUrl::Scheme::ssh && !url.username.empty()) {
        url.clean += percent_encode(url.username) + "@";
    }
    url.clean += shown_host(url) + url.path;
    return url;
}

std::vector<std::string> secrets_in_url(std::string_view text) {
    std::vector<std::string> secrets;
    const auto add = [&secrets](std::string_view secret) {
        if (!secret.empty()) {
            secrets.emplace_back(secret);
            if (std::string decoded = percent_decode(secret); decoded != secret) {
                secrets.push_back(std::move(decoded));
            }
        }
    };
    // Deliberately looser than parse_git_url: what is not a URL may hold a password all the same.
    const std::size_t border = text.find("://");
    if (border == std::string_view::npos) {
        return secrets;
    }
    std::string_view authority = text.substr(border + 3);
    authority = authority.substr(0, authority.find('/'));
    const std::size_t at = authority.rfind('@');
    if (at == std::string_view::npos) {
        return secrets;
    }
    const std::string_view info = authority.substr(0, at);
    const std::size_t colon = info.find(':');
    if (colon != std::string_view::npos) {
        add(info.substr(colon + 1));
        // "https://TOKEN:x-oauth-basic@host": the name is the secret.
        if (info.substr(colon + 1) == "x-oauth-basic" || info.substr(colon + 1).empty()) {
            add(info.substr(0, colon));
        }
    } else if (text.starts_with("http")) {
        add(info); // "https://TOKEN@host"
    }
    return secrets;
}

} // namespace slipway::source
