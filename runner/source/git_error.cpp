#include "source/git_error.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>

namespace slipway::source {
namespace {

bool any_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::ranges::any_of(words, [text](std::string_view word) { return text.contains(word); });
}

std::string lower(std::string text) {
    for (char& c : text) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return text;
}

Error network(std::string message, bool transient, std::string hint = {}) {
    Error error = make_error(ErrorClass::network, code::git_failure, std::move(message), std::move(hint));
    error.transient = transient;
    return error;
}

Error auth(std::string message, std::string hint) {
    return make_error(ErrorClass::auth, code::git_auth, std::move(message), std::move(hint));
}

Error missing_repository(const GitUrl& url, bool with_credentials) {
    return make_error(
        ErrorClass::build, code::git_failure, "there is no repository at " + url.clean,
        with_credentials
            ? "check the URL; many hosts also answer so when the credentials have no access to it"
            : "check the URL; many hosts also answer so for a private repository without credentials");
}

std::optional<Error> from_fault(const NetFault& fault, const GitOptions& options) {
    using Kind = NetFault::Kind;
    std::string where = fault.port.empty() ? fault.host : fault.host + ":" + fault.port;
    if (options.proxy_url.ends_with("@" + where) || options.proxy_url.ends_with("//" + where)) {
        where.insert(0, "the proxy ");
    }
    switch (fault.kind) {
    case Kind::none:
    case Kind::stopped: return std::nullopt;
    case Kind::unresolved:
        return network("unknown host " + fault.host, false, "check the URL's host name and the pod's DNS");
    case Kind::resolver:
        return network("the name " + fault.host + " could not be resolved", true, "check the pod's DNS");
    case Kind::unreachable:
        return network(std::format("cannot connect to {}: {}", where, fault.detail), true,
                       "check that the server runs and that network policies let the pod reach it");
    case Kind::connect_timeout:
        return network(
            std::format("{} did not answer within {}", where, format_duration(options.connect_timeout)), true,
            "check that network policies and firewalls let the pod reach it");
    case Kind::stalled:
        return network(std::format("{} sent nothing for {}", where, format_duration(options.stall_timeout)),
                       true);
    case Kind::broken:
        return network(std::format("the connection to {} broke: {}", where, fault.detail), true);
    case Kind::too_much:
        return make_error(ErrorClass::build, code::git_failure, "the git server sends " + fault.detail,
                          "check that the URL is one git can clone");
    case Kind::tls:
        return network("no TLS connection with " + where, false,
                       "the server may speak plain http there, or only TLS older than 1.2");
    case Kind::certificate_expired:
        return network("the certificate of " + where + " has expired", false,
                       "the server needs a new certificate; check the node's clock too");
    case Kind::certificate_early:
        return network("the certificate of " + where + " is not valid yet", false, "check the node's clock");
    case Kind::certificate_name:
        return network("the certificate of " + where + " is made out to another name", false,
                       "use the name it was issued for");
    case Kind::certificate_unknown:
        return network("the certificate of " + where + " is not signed by a known authority", false,
                       "give the authority that signed it with --ca-file");
    }
    return std::nullopt;
}

Error from_status(int status, const GitUrl& url, bool with_credentials) {
    switch (status) {
    case 401: return auth("the git server wants other credentials", "check user name and token");
    case 403:
        return auth(
            "the git server denies access to " + url.clean,
            "the token may lack the right to read this repository, or the host limits who may connect");
    case 404:
    case 410: return missing_repository(url, with_credentials);
    case 407: return auth("the proxy wants credentials", "put them into the proxy's URL");
    case 408:
    case 425:
    case 429: return network(std::format("the git server asks to try later (HTTP {})", status), true);
    default: break;
    }
    if (status >= 500 && status < 600) {
        // Not implemented, and no such version of HTTP, will not change.
        const bool transient = status != 501 && status != 505;
        return network(std::format("the git server failed (HTTP {})", status), transient);
    }
    return make_error(ErrorClass::build, code::git_failure,
                      std::format("{} does not answer like a git server (HTTP {})", url.host, status),
                      "check that the URL is one git can clone");
}

/// Number after "unexpected http status code: ".
int http_status(std::string_view text) {
    constexpr std::string_view before = "http status code: ";
    const std::size_t at = text.find(before);
    int status = 0;
    if (at != std::string_view::npos) {
        std::from_chars(text.data() + at + before.size(), text.data() + text.size(), status);
    }
    return status;
}

Error from_host_key(const Observed& seen, const GitUrl& url) {
    if (seen.host_key == Observed::HostKey::unknown) {
        return auth(
            std::format("the host key of {} is not known ({})", url.host, seen.host_key_shown),
            seen.host_authority
                ? "known_hosts vouches for it by @cert-authority only, and host certificates are not "
                  "supported: add the host's key itself"
                : "add the host's key to known_hosts in the ssh secret; without any known_hosts, accepting "
                  "a new key can be allowed");
    }
    return auth(std::format("the host key of {} {} ({})", url.host,
                            seen.host_key == Observed::HostKey::revoked ? "has been revoked"
                                                                        : "is not the one in known_hosts",
                            seen.host_key_shown),
                "somebody may stand in between; if the host has really changed its key, update known_hosts");
}

Error from_auth(const Observed& seen, const GitUrl& url) {
    if (!seen.locked_key.empty()) {
        return auth(
            std::format("the ssh key {} is encrypted, and there is no passphrase for it", seen.locked_key),
            "put the passphrase into a file “passphrase” beside the key, or use a key without one");
    }
    switch (seen.auth) {
    case Observed::Auth::elsewhere:
        return auth(std::format("{} redirects to {}, which wants credentials; they were not sent there",
                                url.host, seen.elsewhere),
                    "use the URL the server redirects to, with credentials for that host");
    case Observed::Auth::missing:
        return auth(std::format("{} wants credentials and none were given for it", url.host),
                    url.scheme == GitUrl::Scheme::ssh
                        ? "give an ssh key for this host; for a public repository use its https URL"
                        : "give a user name and token for this host; a misspelt public repository is also "
                          "answered so");
    default: break;
    }
    return auth(
        std::format("{} refused the credentials", url.host),
        url.scheme == GitUrl::Scheme::ssh
            ? "check that the key belongs to an account or deploy key that may read the repository"
            : "check user name and token, and that the token has not expired and may read the repository");
}

/// What servers say in words: git's "ERR" packets and what ssh commands write to stderr.
std::optional<Error> from_words(const std::string& words, const GitUrl& url, const GitOptions& options) {
    if (any_of(words, {"not our ref", "no such remote ref", "couldn't find remote ref"})) {
        return make_error(ErrorClass::build, code::git_checkout,
                          "the server no longer has what was asked for");
    }
    if (any_of(words, {"repository not found", "not found", "does not appear to be a git repository",
                       "not exported", "no such file or directory", "does not exist", "could not be found",
                       "could not find repository", "failed to resolve path"})) {
        return missing_repository(url, options.credentials.basic || !options.credentials.keys.empty());
    }
    if (any_of(words, {"access denied", "permission denied", "permission to", "forbidden", "unauthorized",
                       "not authorized", "don't have permission", "deploy key"})) {
        return auth("the git server denies access to " + url.clean, "check what the credentials may read");
    }
    if (any_of(words, {"too many", "rate limit", "try again", "temporarily", "unavailable", "timed out"})) {
        return network("the git server asks to try later", true);
    }
    return std::nullopt;
}

Error judge(const LibraryError& failure, const Observed& seen, const NetSession& net, const GitUrl& url,
            const GitOptions& options) {
    const std::string words = lower(failure.text);
    if (any_of(words, {"no space left", "disk quota exceeded"})) {
        return make_error(ErrorClass::resource, code::out_of_disk, "no space left for the source",
                          "give the volume more space, or fetch less history (--depth 1)");
    }
    if (seen.stage != Observed::Stage::connect && url.scheme != GitUrl::Scheme::file &&
        any_of(words, {"object not found", "cannot be peeled to a tree", "target oid for the reference"})) {
        return network(url.host + " left objects out that it should have sent", true,
                       "if it stays so, the repository there is damaged");
    }
    if (words.contains("object format 'sha256'")) {
        return make_error(ErrorClass::build, code::git_failure,
                          "SHA-256 repositories are not supported: " + url.clean,
                          "only repositories with SHA-1 object names can be fetched");
    }
    if (seen.stage == Observed::Stage::checkout) {
        // "File exists": two entries of the tree want the same name.
        const bool local = !words.contains("file exists") &&
                           (failure.klass == GIT_ERROR_OS || failure.klass == GIT_ERROR_FILESYSTEM);
        return local ? make_error(ErrorClass::internal, code::internal_error,
                                  "the source could not be written out")
                     : make_error(ErrorClass::build, code::git_failure,
                                  "the repository's tree cannot be checked out",
                                  "a file name in it is not allowed in a work tree, or an object is damaged");
    }
    if (seen.host_key != Observed::HostKey::none) {
        return from_host_key(seen, url);
    }
    if (seen.auth != Observed::Auth::none) {
        return from_auth(seen, url);
    }
    if (auto error = from_fault(net.fault(), options)) {
        return *std::move(error);
    }
    // Some proxies say 401 where 407 is due.
    if (net.http_status() == 407 || (net.tunnelling() && net.http_status() == 401)) {
        return from_status(407, url, false);
    }
    if (net.tunnelling() && net.http_status() != 0 && net.http_status() != 200) {
        return network(
            std::format("the proxy does not let us reach {} (HTTP {})", url.host, net.http_status()),
            net.http_status() >= 500, "check the proxy's rules, or no_proxy");
    }
    if (const int status = http_status(words); status != 0) {
        return from_status(status, url, options.credentials.basic.has_value());
    }
    if (words.contains("doesn't support shallow")) {
        return make_error(ErrorClass::build, code::git_failure,
                          "the git server of " + url.host + " cannot cut the history short",
                          "fetch all of it: --depth 0");
    }
    if (words.contains("unexpected authentication failure")) { // a 401 for the pack, none for the refs
        Observed late = seen;
        late.auth = options.credentials.basic ? Observed::Auth::rejected : Observed::Auth::missing;
        return from_auth(late, url);
    }
    if (failure.rc == GIT_EAUTH) {
        return auth(url.host + " wants a kind of credentials that is not supported",
                    "use a token or an ssh key");
    }
    if (any_of(words, {"cannot redirect", "unexpected redirect", "redirect without location",
                       "too many redirects"})) {
        return make_error(ErrorClass::build, code::git_failure,
                          "the git server redirects to where a fetch may not follow",
                          "use the URL the server redirects to");
    }
    if (words.contains("content-type")) {
        return make_error(ErrorClass::build, code::git_failure,
                          url.host + " does not answer like a git server",
                          "check that the URL is one git can clone");
    }
    if (url.scheme == GitUrl::Scheme::file &&
        (failure.rc == GIT_ENOTFOUND || any_of(words, {"could not find repository", "failed to resolve path",
                                                       "unsupported url protocol"}))) {
        return missing_repository(url, false);
    }
    if (failure.klass == GIT_ERROR_NET || failure.klass == GIT_ERROR_SSH || failure.rc == GIT_EEOF) {
        if (auto error = from_words(words, url, options)) {
            return *std::move(error);
        }
    }
    if (failure.klass == GIT_ERROR_SSH && seen.offered_key &&
        any_of(words, {"authenticate", "public key", "private key", "signature", "passphrase"})) {
        return auth(
            "the ssh key cannot be used for " + url.host,
            "it may be damaged, of a kind the server does not take, or protected by another passphrase");
    }
    if (failure.klass == GIT_ERROR_SSH && words.contains("failed to start ssh session") &&
        !net.closed_by_peer()) {
        return network("no ssh session with " + url.host, false, "client and server share no algorithm");
    }
    switch (failure.klass) {
    case GIT_ERROR_NET:
    case GIT_ERROR_HTTP:
    case GIT_ERROR_SSH:
    case GIT_ERROR_SSL:
    case GIT_ERROR_INDEXER:
    case GIT_ERROR_ZLIB:
        return network(net.closed_by_peer()
                           ? url.host + " ended the connection before everything was there"
                           : "fetching from " + (url.host.empty() ? url.clean : url.host) + " failed",
                       url.scheme != GitUrl::Scheme::file);
    case GIT_ERROR_OS:
    case GIT_ERROR_FILESYSTEM:
    case GIT_ERROR_NOMEMORY:
    case GIT_ERROR_THREAD:
        return make_error(ErrorClass::internal, code::internal_error, "the source could not be stored");
    case GIT_ERROR_NONE: // libgit2's reader of pkt-lines has no words for everything
        if (url.scheme != GitUrl::Scheme::file) {
            return network(url.host + " sent something that is not git's protocol", true);
        }
        break;
    default: break;
    }
    return make_error(ErrorClass::build, code::git_failure, "fetching " + url.clean + " failed");
}

} // namespace

Error classify(const LibraryError& failure, const Observed& seen, const NetSession& net, const GitUrl& url,
               const GitOptions& options) {
    if (net.stop().requested()) {
        return net.stop().error();
    }
    Error error = judge(failure, seen, net, url, options);
    if (error.transient) {
        error.retry_after = net.retry_after();
    }
    error.cause = failure.text;
    if (!seen.server_words.empty() && seen.stage != Observed::Stage::checkout) {
        error.cause += (error.cause.empty() ? "" : "; ") + ("the server said: " + seen.server_words);
    }
    return error;
}

} // namespace slipway::source
