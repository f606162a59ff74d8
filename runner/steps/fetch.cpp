#include "base/encoding.hpp"
#include "base/file.hpp"
#include "handoff/files.hpp"
#include "http/failure.hpp"
#include "http/options.hpp"
#include "source/credentials.hpp"
#include "source/git.hpp"
#include "source/workdir.hpp"
#include "steps/access.hpp"
#include "steps/fetch_archive.hpp"
#include "steps/fetch_lfs.hpp"
#include "steps/steps.hpp"

#include <format>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

/// Every credential that may be meant for a source: what the caller named first, then the automatic places.
Result<source::CredentialStore> credential_store(const cli::Fetch& params) {
    source::CredentialStore store;
    if (!params.basic_auth_dir.empty()) {
        TRY_ASSIGN(auto basic, source::read_basic_auth_dir(params.basic_auth_dir));
        store.append(std::move(basic));
    }
    if (!params.ssh_dir.empty()) {
        TRY_ASSIGN(auto ssh, source::read_ssh_dir(params.ssh_dir));
        store.append(std::move(ssh));
    }
    if (const std::string home = environment("HOME"); !home.empty()) {
        store.append(source::read_home(home));
    }
    store.append(source::read_home("/tekton/creds"));
    if (!params.known_hosts.empty()) {
        TRY_ASSIGN(store.known_hosts, read_file(params.known_hosts));
    }
    return store;
}

std::string proxy_url(const http::ProxyRules& rules, const std::string& url) {
    const auto proxy = rules.proxy_for(url);
    if (!proxy) {
        return {};
    }
    const std::string user = proxy->username.empty() ? ""
                                                     : percent_encode(proxy->username) + ":" +
                                                           percent_encode(proxy->password) + "@";
    return std::format("http://{}{}:{}", user, proxy->host, proxy->port);
}

Result<source::GitOptions> git_options(const cli::Fetch& params, Step& step) {
    TRY_ASSIGN(const auto store, credential_store(params));
    step.secrets(store.secrets());
    TRY_ASSIGN(http::Options http, http::Options::from_environment());
    http.ca_file = step.common.ca_file.string();
    step.secrets(http.proxies.secrets());

    source::GitOptions options;
    options.url = source::rewrite_url(store, params.url);
    options.revision = params.revision;
    options.refspec = params.refspec;
    options.depth = params.depth;
    options.into = params.into.empty() ? step.state / "source" : params.into;
    options.credentials = source::credentials_for(store, options.url);
    options.credentials.accept_new_host_key = params.accept_new_host_key;
    TRY_ASSIGN(options.ca_file,
               http::find_ca_bundle(http, /*optional=*/!options.url.starts_with("https://")));
    options.tls_verify = params.tls_verify;
    options.proxy_url = proxy_url(http.proxies, options.url);
    options.retry.retries = params.retries;
    options.connect_timeout = params.connect_timeout;
    options.stall_timeout = params.stall_timeout;
    return options;
}

source::GitCallbacks callbacks(Step& step) {
    source::GitCallbacks calls;
    calls.on_progress = [&step](const source::FetchProgress& progress) {
        step.stream.emit(frames::Progress{.what = "fetch",
                                          .id = "objects",
                                          .current = progress.received_objects,
                                          .total = progress.total_objects,
                                          .unit = frames::Unit::objects});
    };
    calls.on_checkout = [&step](std::uint64_t done, std::uint64_t total) {
        step.stream.emit(frames::Progress{.what = "fetch",
                                          .id = "checkout",
                                          .current = done,
                                          .total = total,
                                          .unit = frames::Unit::objects});
    };
    calls.on_message = [&step](std::string_view line) { step.stream.log(frames::Lane::err, line); };
    calls.on_host_key = [&step](std::string_view host, std::string_view fingerprint) {
        step.warn("newhostkey", std::format("took the host key of {} unseen: {}", host, fingerprint),
                  "put this key into known_hosts");
    };
    calls.on_retry = step.on_retry("fetch");
    return calls;
}

/// Content for Git LFS pointers; where that fails no tree is left behind.
Status lfs(const cli::Fetch& params, const source::GitOptions& options, const source::Checkout& checkout,
           Step& step) {
    TRY_ASSIGN(const source::CredentialStore store, credential_store(params));
    Status status = fetch_lfs({.tree = options.into, .url = options.url, .ref = checkout.ref, .store = store},
                              params, step);
    if (!status) {
        std::vector<std::string> notes;
        TRY(source::empty_directory(options.into, notes));
    }
    return status;
}

} // namespace

Result<handoff::Source> fetch(const cli::Fetch& params, Step& step) {
    if (params.url.empty()) {
        return fetch_archive(params, step);
    }
    step.secrets(source::secrets_in_url(params.url));
    step.hello("fetch " + params.url + (params.revision.empty() ? "" : " at " + params.revision));
    TRY(handoff::forget_from(step.state, "source"));
    step.phase(frames::PhaseName::unpacking);
    TRY_ASSIGN(const source::GitOptions options, git_options(params, step));
    TRY_ASSIGN(const source::Checkout checkout, source::fetch_git(options, callbacks(step), step.stop));

    for (const std::string& note : checkout.notes) {
        step.warn("fetchnote", note);
    }
    if (checkout.has_submodules) {
        step.warn("submodules", "the repository has submodules; they are not fetched yet",
                  "builds that need their files will fail");
    }
    TRY(lfs(params, options, checkout, step));
    handoff::Source value{.directory = fs::absolute(options.into).lexically_normal().string(),
                          .commit = checkout.commit,
                          .url = checkout.url,
                          .ref = checkout.ref,
                          .committer_date = checkout.committer_date,
                          .committer_time = checkout.committer_time,
                          .subject = checkout.subject,
                          .archive_digest = {}};
    TRY(handoff::write(step.state, value));
    step.result("commit", value.commit);
    step.result("url", value.url);
    step.result("committer-date", value.committer_date);
    step.result("CHAINS-GIT_COMMIT", value.commit);
    step.result("CHAINS-GIT_URL", value.url);
    return value;
}

} // namespace slipway::steps
