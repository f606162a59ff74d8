#include "lfs/server.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <format>

namespace slipway::lfs {

namespace {

constexpr std::string_view media_type = "application/vnd.git-lfs+json";
constexpr int most_redirects = 5;

std::string basic_authorization(const Basic& basic) {
    return "Basic " + base64_encode(basic.username + ":" + basic.password);
}

bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool refused(int status) {
    return status == 401 || status == 403 || status == 404;
}

Error network(std::string message, bool transient, std::string hint = {}) {
    Error error = make_error(ErrorClass::network, code::git_failure, std::move(message), std::move(hint));
    error.transient = transient;
    return error;
}

} // namespace

Error status_error(int status, const std::string& who, std::string words,
                   std::optional<std::chrono::seconds> retry_after) {
    Error error;
    switch (status) {
    case 401:
        error = make_error(ErrorClass::auth, code::git_auth, who + " wants other credentials for Git LFS",
                           "give a user name and token for this host that may read the repository");
        break;
    case 403:
        error = make_error(ErrorClass::auth, code::git_auth, who + " denies access to Git LFS objects",
                           "the token may lack the right to read them, or the account's quota is used up");
        break;
    case 404:
    case 410:
        error =
            make_error(ErrorClass::build, code::git_failure, "there is no such Git LFS repository at " + who,
                       "check lfs.url in .lfsconfig and the repository's URL; many hosts also answer so when "
                       "credentials are missing");
        break;
    case 509:
        error = make_error(ErrorClass::auth, code::git_auth,
                           "the Git LFS bandwidth limit at " + who + " is used up",
                           "whoever pays for the repository must raise it, or wait until it is reset");
        break;
    case 501:
        error = make_error(ErrorClass::build, code::git_failure, who + " offers no Git LFS downloads",
                           "check lfs.url in .lfsconfig");
        break;
    case 429: error = network(who + " asks to try later (HTTP 429)", true); break;
    default:
        error =
            status >= 500 || http::is_transient_status(status)
                ? network(std::format("the Git LFS server {} failed (HTTP {})", who, status),
                          http::is_transient_status(status))
                : make_error(ErrorClass::build, code::git_failure,
                             std::format("{} does not answer like a Git LFS server (HTTP {})", who, status),
                             "check lfs.url in .lfsconfig and the repository's URL");
        break;
    }
    error.retry_after = retry_after;
    error.cause = words.empty() ? std::format("HTTP {}", status) : std::move(words);
    return error;
}

Error as_git_failure(Error error) {
    if (error.code == code::network) {
        error.code = code::git_failure;
    }
    return error;
}

Server::Server(const ServerOptions& options, StopToken stop)
    : options_(options), stop_(std::move(stop)), client_(*options.http, options.tls) {}

Result<std::vector<Answer>> Server::batch(const std::vector<Object>& objects) {
    const std::scoped_lock lock(mutex_);
    return ask_in_parts(objects);
}

Result<std::vector<Answer>> Server::ask_in_parts(std::span<const Object> objects) {
    std::vector<Answer> answers;
    while (!objects.empty()) {
        const auto part = objects.first(std::min(objects.size(), batch_size_));
        const std::vector<Object> asked(part.begin(), part.end());
        auto some = with_retries<std::vector<Answer>>(options_.retry, stop_, options_.on_retry,
                                                      [&] { return ask(asked); });
        if (!some) {
            if (some.error().cause == "HTTP 413" && asked.size() > 1) {
                batch_size_ = asked.size() / 2;
                continue;
            }
            return some;
        }
        std::ranges::move(*some, std::back_inserter(answers));
        objects = objects.subspan(part.size());
    }
    return answers;
}

Status Server::renew() {
    TRY_ASSIGN(endpoint_, options_.endpoint());
    return {};
}

Result<std::vector<Answer>> Server::ask(const std::vector<Object>& objects) {
    bool fresh = !endpoint_;
    if (!endpoint_ || Action{.href = {}, .headers = {}, .expires = endpoint_->expires}.expired(
                          std::chrono::system_clock::now())) {
        TRY(renew());
        fresh = true;
    }
    const std::string body = batch_request(objects, options_.ref);
    TRY_ASSIGN(http::Response response, post(body));
    if (refused(response.status) && !challenged_ && endpoint_->basic) {
        // Anonymous first, as git does; some hosts hide what is private behind 404.
        challenged_ = true;
        TRY_ASSIGN(response, post(body));
    } else if (refused(response.status) && !fresh && !endpoint_->headers.empty()) {
        TRY(renew());
        TRY_ASSIGN(response, post(body));
    }
    if (!response.ok()) {
        const std::string words = response.status == 413 ? "HTTP 413" : error_message(response.body);
        if (options_.on_secrets) {
            options_.on_secrets(Action{.href = {}, .headers = endpoint_->headers, .expires = {}}.secrets());
        }
        return fail(status_error(response.status, endpoint_->url.text(), words, response.retry_after()));
    }
    return parse_batch(response.body, objects, std::chrono::system_clock::now());
}

Result<http::Response> Server::post(const std::string& body) {
    http::Request request;
    request.method = "POST";
    request.body = body;
    // Followed here: the method stays POST whatever the kind of redirect, as git-lfs has it.
    request.follow_redirects = false;
    request.url = endpoint_->url;
    // The path alone: a query, should the URL have one, stays behind it.
    std::string& target = request.url.target;
    const std::size_t query = std::min(target.find('?'), target.size());
    const std::size_t end = target.find_last_not_of('/', query == 0 ? 0 : query - 1) + 1;
    target = target.substr(0, std::min(end, query)) + "/objects/batch" + target.substr(query);
    for (int hops = 0;; ++hops) {
        request.headers = {{"Accept", std::string(media_type)}, {"Content-Type", std::string(media_type)}};
        if (request.url.same_origin(endpoint_->url)) {
            request.headers.insert(request.headers.end(), endpoint_->headers.begin(),
                                   endpoint_->headers.end());
            const bool has_own = std::ranges::any_of(endpoint_->headers, [](const auto& header) {
                return header.first == "Authorization" || header.first == "authorization";
            });
            if (challenged_ && endpoint_->basic && !has_own) {
                request.headers.emplace_back("Authorization", basic_authorization(*endpoint_->basic));
            }
        }
        Result<http::Response> response = client_.send(request, stop_);
        if (!response) {
            return fail(as_git_failure(std::move(response).error()));
        }
        if (!is_redirect(response->status) || response->header("Location").empty()) {
            return response;
        }
        const auto next = http::resolve_url(request.url, response->header("Location"));
        if (!next || hops >= most_redirects) {
            return fail(make_error(ErrorClass::build, code::git_failure,
                                   endpoint_->url.text() + " redirects to where a question cannot follow",
                                   "check lfs.url in .lfsconfig and the repository's URL"));
        }
        TRY(admit_locked(*next));
        request.url = *next;
    }
}

http::Headers Server::login_for(const http::Url& url) {
    const std::scoped_lock lock(mutex_);
    if (!endpoint_ || !endpoint_->basic || !url.same_origin(endpoint_->url)) {
        return {};
    }
    return {{"Authorization", basic_authorization(*endpoint_->basic)}};
}

Status Server::admit(const http::Url& url) {
    const std::scoped_lock lock(mutex_);
    return admit_locked(url);
}

Status Server::admit_locked(const http::Url& url) const {
    if (endpoint_ && endpoint_->url.https && !url.https && options_.tls.verify) {
        return fail(make_error(
            ErrorClass::build, code::git_failure,
            std::format("the Git LFS server {} leads from https to {}", endpoint_->url.authority(),
                        url.origin()),
            "the server must know its own address as https; nothing is sent or taken unencrypted"));
    }
    return {};
}

} // namespace slipway::lfs
