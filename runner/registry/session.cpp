#include "registry/session.hpp"

#include "base/encoding.hpp"
#include "http/options.hpp"

#include <algorithm>

namespace slipway::registry {

namespace fs = std::filesystem;

namespace {

/// <dir>/<host[:port]>/: *.crt are authorities, the first *.cert with its *.key is our certificate.
void add_certs_d(const std::vector<fs::path>& directories, const std::string& host, http::Tls& tls) {
    for (const fs::path& directory : directories) {
        std::error_code error;
        std::vector<fs::path> files;
        for (fs::directory_iterator it(directory / host, error), end; !error && it != end;
             it.increment(error)) {
            files.push_back(it->path());
        }
        if (files.empty()) {
            continue;
        }
        std::ranges::sort(files);
        for (const fs::path& file : files) {
            if (file.extension() == ".crt") {
                tls.extra_ca_files.push_back(file.string());
            } else if (file.extension() == ".cert" && tls.client_certificate.empty()) {
                fs::path key = file;
                key.replace_extension(".key");
                if (std::ranges::contains(files, key)) {
                    tls.client_certificate = file.string();
                    tls.client_key = key.string();
                }
            }
        }
        return;
    }
}

} // namespace

Session::Session(const Options& options, Reference reference, Endpoint endpoint, Purpose purpose)
    : state_(std::make_unique<State>()) {
    state_->options = options;
    Reference lookup = reference;
    if (endpoint.mirror) { // a mirror has credentials of its own
        lookup.registry = endpoint.registry;
        lookup.repository = endpoint.repository;
    }
    state_->credentials = options.auth.find(lookup);
    state_->reference = std::move(reference);
    state_->host = endpoint.registry;
    state_->endpoint = std::move(endpoint);
    state_->purpose = purpose;
}

Session::~Session() = default;

std::string Session::username() const {
    if (!state_->credentials) {
        return {};
    }
    return state_->credentials->username.empty() ? "<token>" : state_->credentials->username;
}

bool Session::State::insecure() const {
    return options.tls_verify ? !*options.tls_verify : endpoint.insecure;
}

http::Client Session::State::make_client(bool verify_peer) const {
    http::Tls tls;
    tls.verify = verify_peer;
    add_certs_d(options.certs_dirs, endpoint.registry, tls);
    return http::Client(*options.http, std::move(tls));
}

std::string_view Session::State::error_code() const {
    return purpose == Purpose::pull ? code::cannot_pull_base_image : code::push_issue;
}

Error Session::State::nonsense(std::string message) const {
    Error error =
        make_error(ErrorClass::registry, error_code(), std::move(message),
                   "the registry, or a proxy before it, does not follow the OCI distribution protocol here");
    return error;
}

Error Session::State::explain(const http::Response& response, std::string_view what) const {
    const std::string words = error_words(response.body);
    const bool push = purpose == Purpose::push;
    const std::string who = credentials
                                ? "as " + (credentials->username.empty() ? std::string("the token's owner")
                                                                         : credentials->username)
                                : "without credentials";
    Error error;
    switch (response.status) {
    case 401:
    case 403:
        error = make_error(ErrorClass::auth, push ? code::push_issue : code::registry_auth,
                           host + " denies access to " + std::string(what) + " (" + who + ")");
        if (!credentials) {
            error.hint = "give credentials for " + host + " in the auth file" +
                         (push ? "" : "; some registries answer so for images that do not exist");
        } else {
            error.hint = push ? "check that these credentials may write to the repository"
                              : "check that these credentials may read it, and that it exists";
        }
        break;
    case 404:
        error = push ? make_error(ErrorClass::registry, code::push_issue,
                                  host + " does not know " + std::string(what),
                                  "check that the repository exists and takes pushes")
                     : make_error(ErrorClass::build, code::cannot_pull_base_image,
                                  "no such image: " + reference.text(), "check name and tag");
        break;
    case 429:
        error = make_error(ErrorClass::registry, error_code(), "the rate limit of " + host + " is reached",
                           credentials ? "wait, or use a mirror"
                                       : "log in to the registry, wait, or use a mirror");
        break;
    case 413:
        error = make_error(ErrorClass::registry, error_code(),
                           host + " finds " + std::string(what) + " too large",
                           "a proxy before the registry may limit the size of requests");
        break;
    default:
        error =
            make_error(ErrorClass::registry, error_code(),
                       host + " answered " + std::to_string(response.status) + " for " + std::string(what));
        if (response.status >= 500) {
            error.hint = "the registry has a problem: try again later";
        } else if (response.status == 405 && push) {
            error.hint = "the registry may be read-only";
        }
    }
    error.cause = "HTTP " + std::to_string(response.status) + (words.empty() ? "" : " " + words);
    error.transient = http::is_transient_status(response.status);
    error.retry_after = response.retry_after();
    return error;
}

std::string Session::State::scope_for(std::string_view repository, Purpose why) const {
    return "repository:" + std::string(repository) + (why == Purpose::pull ? ":pull" : ":pull,push");
}

Status Session::State::find_out() {
    const std::lock_guard lock(mutex);
    if (known) {
        return {};
    }
    const std::string connect_to =
        endpoint.registry == "docker.io" ? "registry-1.docker.io" : endpoint.registry;
    struct Way {
        const char* scheme;
        bool verify;
    };
    const std::vector<Way> ways =
        insecure() ? std::vector<Way>{{"https", false}, {"http", false}} : std::vector<Way>{{"https", true}};
    Error first;
    for (std::size_t i = 0; i < ways.size(); ++i) {
        TRY_ASSIGN(http::Url url, http::parse_url(std::string(ways[i].scheme) + "://" + connect_to + "/v2/"));
        http::Client client = make_client(ways[i].verify);
        http::Request request;
        request.url = url;
        auto response = client.send(request, options.stop);
        if (!response) {
            if (options.stop.requested() || response.error().klass != ErrorClass::network) {
                return fail(std::move(response).error());
            }
            if (i == 0) {
                first = std::move(response).error();
                if (first.hint.contains("plain http")) {
                    first.hint += "; --tls-verify=false allows that";
                }
            }
            continue;
        }
        if (response->status != 200 && response->status != 401) {
            Error error = explain(*response, "its /v2/ page");
            if (response->status == 404) {
                error = nonsense(host + " is no registry: it has no /v2/");
                error.cause = "HTTP 404";
            }
            return fail(std::move(error));
        }
        base = url;
        verify = ways[i].verify;
        if (response->status == 401) {
            for (const auto& [name, value] : response->headers) {
                if (std::ranges::equal(name, std::string_view("www-authenticate"), [](char a, char b) {
                        return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b;
                    })) {
                    const Challenge one = parse_challenge(value);
                    if (challenge.scheme != Challenge::Scheme::bearer &&
                        one.scheme != Challenge::Scheme::none) {
                        challenge = one;
                    }
                }
            }
        }
        known = true;
        return {};
    }
    return fail(std::move(first));
}

Result<Token> Session::State::fetch_token(http::Client& client, const std::string& scope) {
    auto realm = http::parse_url(challenge.realm);
    if (!realm) {
        return fail(nonsense(host + " names no usable token server"));
    }
    // Credentials go over TLS wherever the registry itself is trusted only over TLS.
    if (!realm->https && verify && credentials) {
        return fail(nonsense(host + " wants credentials sent to " + realm->origin() + " without TLS"));
    }
    std::string query = "service=" + percent_encode(challenge.service);
    // One parameter per scope: mounting asks for two repositories at once.
    std::string_view rest = scope;
    while (!rest.empty()) {
        const auto space = std::min(rest.find(' '), rest.size());
        query += "&scope=" + percent_encode(rest.substr(0, space));
        rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    http::Request request;
    request.url = *realm;
    request.body_limit = std::size_t{1} << 20U;
    if (credentials && !credentials->identity_token.empty()) {
        request.method = "POST";
        request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
        request.body = "grant_type=refresh_token&service=" + percent_encode(challenge.service) +
                       "&client_id=slipway&scope=" + percent_encode(scope) +
                       "&refresh_token=" + percent_encode(credentials->identity_token);
    } else {
        request.url.target += (request.url.target.contains('?') ? "&" : "?") + query;
        if (credentials) {
            request.url.target += "&account=" + percent_encode(credentials->username);
            request.headers.emplace_back(
                "Authorization",
                "Basic " + base64_encode(credentials->username + ":" + credentials->password));
        }
    }
    TRY_ASSIGN(http::Response response, client.send(request, options.stop));
    if (!response.ok()) {
        Error error = explain(response, reference.name());
        if (response.status == 400 || response.status == 404) {
            error.klass = response.status == 404 ? ErrorClass::registry : ErrorClass::auth;
            error.code = purpose == Purpose::push ? code::push_issue : code::registry_auth;
            error.message = "the token server of " + host + " refuses a token for " + reference.name();
            error.hint = "check the credentials";
        }
        return fail(std::move(error));
    }
    auto token = parse_token(response.body);
    if (!token) {
        return fail(nonsense(host + ": " + token.error().message));
    }
    return token;
}

Result<std::string> Session::State::authorization(http::Client& client, const std::string& scope,
                                                  bool renew) {
    const std::lock_guard lock(mutex);
    switch (challenge.scheme) {
    case Challenge::Scheme::none: return std::string();
    case Challenge::Scheme::basic:
        if (!credentials || (credentials->username.empty() && credentials->password.empty())) {
            return std::string();
        }
        return "Basic " + base64_encode(credentials->username + ":" + credentials->password);
    case Challenge::Scheme::bearer: break;
    }
    const auto now = std::chrono::steady_clock::now();
    if (const auto found = tokens.find(scope); found != tokens.end() && !renew && found->second.until > now) {
        return "Bearer " + found->second.value;
    }
    TRY_ASSIGN(const Token token, fetch_token(client, scope));
    tokens[scope] = {token.value, now + token.lifetime * 9 / 10};
    return "Bearer " + token.value;
}

} // namespace slipway::registry
