#include "source/lfs_server.hpp"

#include <algorithm>
#include <format>

namespace slipway::source {
namespace {

bool is_http(const GitUrl& url) {
    return url.scheme == GitUrl::Scheme::https || url.scheme == GitUrl::Scheme::http;
}

int port_of(const GitUrl& url) {
    return url.port != 0 ? url.port : url.scheme == GitUrl::Scheme::https ? 443 : 80;
}

std::string without_slashes(std::string text) {
    while (text.ends_with('/')) {
        text.pop_back();
    }
    return text;
}

std::string with_info(std::string url) {
    url = without_slashes(std::move(url));
    return url + (url.ends_with(".git") ? "/info/lfs" : ".git/info/lfs");
}

/// The word of a command line: as it is where that is safe, else quoted as git quotes paths for a server.
std::string shell_word(std::string_view path) {
    const bool plain = std::ranges::all_of(path, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("/._-+@:,%=").contains(c);
    });
    if (plain) {
        return std::string(path);
    }
    std::string out = "'";
    for (const char c : path) {
        out += c == '\'' || c == '!' ? std::format("'\\{}'", c) : std::string(1, c);
    }
    return out + "'";
}

std::string https_of(const GitUrl& url) {
    const std::string host = url.host.contains(':') ? "[" + url.host + "]" : url.host;
    return std::format("https://{}{}{}", host, url.path.starts_with('/') ? "" : "/", url.path);
}

std::unexpected<Error> none(std::string message, std::string hint) {
    return fail(ErrorClass::build, code::git_checkout, "Git LFS: " + std::move(message), std::move(hint));
}

} // namespace

Result<LfsServer> find_lfs_server(const std::string& configured, const std::string& remote) {
    const Result<GitUrl> url = parse_git_url(configured.empty() ? remote : configured);
    if (!url) {
        return none(configured.empty() ? "the repository's URL names no server"
                                       : "lfs.url in .lfsconfig is no URL",
                    "set lfs.url to the https URL of a Git LFS server");
    }
    if (is_http(*url)) {
        // What stands before '@' goes along: a token in the URL is meant for it.
        return LfsServer{.url = configured.empty() ? with_info(remote) : without_slashes(configured),
                         .ssh_url = {},
                         .ssh_command = {}};
    }
    if (url->scheme == GitUrl::Scheme::ssh) {
        return LfsServer{.url = with_info(https_of(*url)),
                         .ssh_url = configured.empty() ? remote : configured,
                         .ssh_command =
                             std::format("git-lfs-authenticate {} download", shell_word(url->path))};
    }
    if (!configured.empty()) {
        return none("lfs.url in .lfsconfig is neither http, https nor ssh",
                    "set lfs.url to the https URL of a Git LFS server");
    }
    if (url->scheme == GitUrl::Scheme::git) {
        return LfsServer{.url = with_info(https_of(*url)), .ssh_url = {}, .ssh_command = {}};
    }
    return none("a repository on this machine's disk names no server to fetch objects from",
                "set lfs.url in .lfsconfig, fetch over https or ssh, or leave pointers with --lfs=false");
}

bool is_same_service(const std::string& remote, const std::string& url) {
    const Result<GitUrl> from = parse_git_url(remote);
    const Result<GitUrl> to = parse_git_url(url);
    if (!from || !to || from->host != to->host || from->host.empty()) {
        return false;
    }
    if (from->scheme == to->scheme) {
        return !is_http(*from) || port_of(*from) == port_of(*to);
    }
    return to->scheme == GitUrl::Scheme::https && port_of(*to) == 443 &&
           (from->scheme != GitUrl::Scheme::http || port_of(*from) == 80);
}

} // namespace slipway::source
