#include "registry/client.hpp"

#include "base/encoding.hpp"
#include "digest/sha256.hpp"
#include "http/options.hpp"
#include "registry/session.hpp"

#include <algorithm>
#include <array>

namespace slipway::registry {

namespace {

constexpr std::array manifest_types{media::oci_index, media::oci_manifest, media::docker_list,
                                    media::docker_manifest};

Result<std::string> digest_of(std::string_view expected, std::string_view body) {
    auto parsed = digest::parse_digest(expected);
    if (!parsed) {
        return fail(std::move(parsed).error());
    }
    digest::Hasher hasher(parsed->algorithm);
    hasher.update(body);
    return hasher.finish();
}

} // namespace

struct Repository::Impl {
    std::shared_ptr<Session> session;
    std::optional<http::Client> client;

    [[nodiscard]] Session::State& state() const { return *session->state_; }

    Status ready();
    /// Sends with the authorization `scope` needs, once more with a fresh token after a 401. `request.url`
    /// has to be set; credentials go to the registry's own origin only.
    Result<http::Response> call(http::Request request, const std::string& scope);
    [[nodiscard]] http::Request request(std::string_view method, std::string_view path) const;
    [[nodiscard]] std::string own_scope() const {
        return state().scope_for(state().endpoint.repository, state().purpose);
    }
    Result<http::Url> upload_location(const http::Response& response) const;
    Result<http::Url> start_upload(const std::string& query, const std::string& scope, int& status);
    [[nodiscard]] std::unexpected<Error> refused(const http::Response& response,
                                                 std::string_view what) const {
        return fail(state().explain(response, what));
    }
};

Repository::Repository(std::shared_ptr<Session> session) : impl_(std::make_unique<Impl>()) {
    impl_->session = std::move(session);
}
Repository::~Repository() = default;
Repository::Repository(Repository&&) noexcept = default;
Repository& Repository::operator=(Repository&&) noexcept = default;

Status Repository::Impl::ready() {
    TRY(state().find_out());
    if (!client) {
        client = state().make_client(state().verify);
    }
    return {};
}

Status Repository::ping() {
    return impl_->ready();
}

http::Request Repository::Impl::request(std::string_view method, std::string_view path) const {
    http::Request out;
    out.method = method;
    out.url = state().base;
    out.url.target = "/v2/" + state().endpoint.repository + std::string(path);
    return out;
}

Result<http::Response> Repository::Impl::call(http::Request request, const std::string& scope) {
    const bool own = request.url.same_origin(state().base);
    for (int attempt = 1;; ++attempt) {
        std::erase_if(request.headers, [](const auto& header) { return header.first == "Authorization"; });
        if (own) {
            TRY_ASSIGN(const std::string value, state().authorization(*client, scope, attempt > 1));
            if (!value.empty()) {
                request.headers.emplace_back("Authorization", value);
            }
        }
        TRY_ASSIGN(http::Response response, client->send(request, state().options.stop));
        if (response.status != 401 || attempt > 1 || !own || !response.url.same_origin(state().base)) {
            return response;
        }
        // A registry may let anybody see /v2/ and ask only here.
        const Challenge challenge = parse_challenge(response.header("WWW-Authenticate"));
        const std::lock_guard lock(state().mutex);
        if (challenge.scheme != Challenge::Scheme::none) {
            state().challenge = challenge;
        }
        if (state().challenge.scheme != Challenge::Scheme::bearer && !state().credentials) {
            return response;
        }
    }
}

Result<Manifest> Repository::manifest(std::string_view tag_or_digest) {
    TRY(impl_->ready());
    http::Request request = impl_->request("GET", "/manifests/" + std::string(tag_or_digest));
    for (const std::string_view type : manifest_types) {
        request.headers.emplace_back("Accept", type);
    }
    request.body_limit = longest_manifest;
    const std::string what = "the image " + impl_->state().reference.text();
    TRY_ASSIGN(http::Response response, impl_->call(std::move(request), impl_->own_scope()));
    if (response.status != 200) {
        return impl_->refused(response, what);
    }
    Manifest out;
    const std::string_view answered = response.header("Docker-Content-Digest");
    const std::string_view asked =
        digest::is_valid_digest(tag_or_digest) ? tag_or_digest : std::string_view();
    const std::string_view expected = !asked.empty()                      ? asked
                                      : digest::is_valid_digest(answered) ? answered
                                                                          : std::string_view();
    out.digest = expected.empty() ? digest::sha256(response.body) : *digest_of(expected, response.body);
    if (!expected.empty() && out.digest != expected) {
        Error error = impl_->state().nonsense("the manifest " + impl_->state().host +
                                              " sent is not the one with digest " + std::string(expected));
        error.cause = "got " + out.digest;
        error.transient = true; // a broken cache on the way is as likely as a broken registry
        return fail(std::move(error));
    }
    out.media_type = one_line(response.header("Content-Type"), 200);
    out.body = std::move(response.body);
    return out;
}

Result<std::optional<std::string>> Repository::manifest_digest(std::string_view tag_or_digest) {
    TRY(impl_->ready());
    http::Request request = impl_->request("HEAD", "/manifests/" + std::string(tag_or_digest));
    for (const std::string_view type : manifest_types) {
        request.headers.emplace_back("Accept", type);
    }
    TRY_ASSIGN(const http::Response response, impl_->call(std::move(request), impl_->own_scope()));
    if (response.status == 404) {
        return std::optional<std::string>();
    }
    if (response.status != 200) {
        return impl_->refused(response, "the image " + impl_->state().reference.text());
    }
    const std::string_view answered = response.header("Docker-Content-Digest");
    return digest::is_valid_digest(answered) ? std::optional(std::string(answered)) : std::nullopt;
}

Status Repository::blob(std::string_view digest, const std::function<Status(std::string_view)>& sink) {
    TRY(impl_->ready());
    TRY_ASSIGN(const digest::Digest expected, digest::parse_digest(digest));
    digest::Hasher hasher(expected.algorithm);
    http::Request request = impl_->request("GET", "/blobs/" + std::string(digest));
    bool failed = false;
    request.sink = [&](std::string_view piece) -> Status {
        hasher.update(piece);
        auto status = sink(piece);
        failed = !status;
        return status;
    };
    TRY_ASSIGN(const http::Response response, impl_->call(std::move(request), impl_->own_scope()));
    const std::string what = "the blob " + std::string(digest);
    if (response.status != 200) {
        Error error = impl_->state().explain(response, what);
        if (response.status == 404) { // the manifest is there, so this is the registry's fault
            error = impl_->state().nonsense(impl_->state().host + " does not have " + what + " of " +
                                            impl_->state().reference.text());
            error.cause = "HTTP 404";
        }
        return fail(std::move(error));
    }
    if (const std::string got = hasher.finish(); got != digest) {
        Error error = impl_->state().nonsense("what " + impl_->state().host + " sent as " + what +
                                              " is something else");
        error.cause = "got " + got;
        error.transient = true;
        return fail(std::move(error));
    }
    return {};
}

Result<std::string> Repository::blob(std::string_view digest, std::size_t limit) {
    std::string out;
    TRY(blob(digest, [&](std::string_view piece) -> Status {
        if (out.size() + piece.size() > limit) {
            return fail(impl_->state().nonsense("the blob " + std::string(digest) + " of " +
                                                impl_->state().reference.text() + " is larger than " +
                                                humane_bytes(limit)));
        }
        out += piece;
        return {};
    }));
    return out;
}

Result<bool> Repository::blob_exists(std::string_view digest) {
    TRY(impl_->ready());
    TRY_ASSIGN(const http::Response response,
               impl_->call(impl_->request("HEAD", "/blobs/" + std::string(digest)), impl_->own_scope()));
    if (response.ok()) {
        return true;
    }
    if (response.status == 404) {
        return false;
    }
    return impl_->refused(response, impl_->state().reference.name());
}

Result<http::Url> Repository::Impl::upload_location(const http::Response& response) const {
    const auto url = http::resolve_url(response.url, response.header("Location"));
    if (!url) {
        return fail(state().nonsense(state().host + " accepts an upload, but names no place for it"));
    }
    const http::Url& base = state().base;
    if (base.https && !url->https) {
        // Behind a proxy that ends TLS, a registry may take itself for plain http.
        if (url->host == base.host && (url->port == 80 || url->port == base.port)) {
            http::Url fixed = *url;
            fixed.https = true;
            fixed.port = base.port;
            return fixed;
        }
        if (state().verify) {
            return fail(state().nonsense(state().host + " wants the upload sent to " + url->origin() +
                                         " without TLS"));
        }
    }
    return *url;
}

Result<http::Url> Repository::Impl::start_upload(const std::string& query, const std::string& scope,
                                                 int& status) {
    http::Request start = request("POST", "/blobs/uploads/" + query);
    start.headers.emplace_back("Content-Length", "0");
    TRY_ASSIGN(const http::Response response, call(std::move(start), scope));
    status = response.status;
    if (status == 201) {
        return response.url;
    }
    if (status != 202) {
        return refused(response, state().reference.name());
    }
    return upload_location(response);
}

Result<bool> Repository::mount(std::string_view digest, std::string_view from_repository) {
    TRY(impl_->ready());
    const Session::State& state = impl_->state();
    const std::string scope = impl_->own_scope() + " " + state.scope_for(from_repository, Purpose::pull);
    int status = 0;
    TRY_ASSIGN(const http::Url location, impl_->start_upload("?mount=" + percent_encode(digest) +
                                                                 "&from=" + percent_encode(from_repository),
                                                             scope, status));
    if (status == 201) {
        return true;
    }
    // It opened an upload instead: give that back, whatever it says.
    http::Request cancel;
    cancel.method = "DELETE";
    cancel.url = location;
    [[maybe_unused]] const auto ignored = impl_->call(std::move(cancel), impl_->own_scope());
    return false;
}

Status Repository::upload(std::string_view digest, std::uint64_t size, const BlobSource& source,
                          std::uint64_t piece) {
    TRY(impl_->ready());
    const std::string scope = impl_->own_scope();
    const std::string what = impl_->state().reference.name();
    int status = 0;
    TRY_ASSIGN(http::Url location, impl_->start_upload("", scope, status));
    if (status == 201) {
        return fail(
            impl_->state().nonsense(impl_->state().host + " says a blob is there before it was sent"));
    }
    std::uint64_t done = 0;
    while (done < size) {
        const std::uint64_t length = piece == 0 ? size : std::min(piece, size - done);
        http::Request patch;
        patch.method = "PATCH";
        patch.url = location;
        patch.headers.emplace_back("Content-Type", "application/octet-stream");
        if (piece != 0) {
            patch.headers.emplace_back("Content-Range",
                                       std::to_string(done) + "-" + std::to_string(done + length - 1));
        }
        patch.source = [&](std::uint64_t offset, std::span<char> buffer) {
            return source(done + offset, buffer);
        };
        patch.source_size = length;
        TRY_ASSIGN(const http::Response response, impl_->call(std::move(patch), scope));
        // 202 by the specification; 204 and 201 are seen too.
        if (response.status != 202 && response.status != 204 && response.status != 201) {
            Error error = impl_->state().explain(response, what);
            error.transient = error.transient || response.status == 404 || response.status == 416;
            return fail(std::move(error));
        }
        if (!response.header("Location").empty()) {
            TRY_ASSIGN(location, impl_->upload_location(response));
        }
        done += length;
    }
    if (size == 0) { // the source still has to say that nothing is what was meant
        TRY(source(0, {}));
    }
    http::Request put;
    put.method = "PUT";
    put.url = location;
    put.url.target += (location.target.contains('?') ? "&digest=" : "?digest=") + percent_encode(digest);
    put.headers.emplace_back("Content-Type", "application/octet-stream");
    TRY_ASSIGN(const http::Response response, impl_->call(std::move(put), scope));
    if (response.status != 201 && response.status != 204) {
        Error error = impl_->state().explain(response, what);
        // The upload is gone, or what arrived is not what was sent: from the start again.
        error.transient = error.transient || response.status == 404 || response.status == 400;
        return fail(std::move(error));
    }
    return {};
}

Result<std::string> Repository::put_manifest(std::string_view tag_or_digest, std::string_view media_type,
                                             std::string_view body) {
    TRY(impl_->ready());
    http::Request request = impl_->request("PUT", "/manifests/" + std::string(tag_or_digest));
    request.headers.emplace_back("Content-Type", media_type);
    request.body = body;
    TRY_ASSIGN(const http::Response response, impl_->call(std::move(request), impl_->own_scope()));
    const std::string ours =
        digest::is_valid_digest(tag_or_digest) ? std::string(tag_or_digest) : digest::sha256(body);
    if (response.status != 201 && response.status != 200 && response.status != 202) {
        return impl_->refused(response, impl_->state().reference.name() + " (manifest)");
    }
    const std::string_view answered = response.header("Docker-Content-Digest");
    if (digest::is_valid_digest(answered) && answered != ours &&
        answered.starts_with(ours.substr(0, ours.find(':')))) {
        Error error =
            impl_->state().nonsense(impl_->state().host + " stored the manifest under another digest");
        error.cause = "sent " + ours + ", answered " + std::string(answered);
        return fail(std::move(error));
    }
    return digest::is_valid_digest(answered) ? std::string(answered) : ours;
}

} // namespace slipway::registry
