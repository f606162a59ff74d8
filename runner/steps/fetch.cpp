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
#include "steps/fetch_artifact.hpp"
#include "steps/fetch_lfs.hpp"
#include "steps/fetch_target.hpp"
#include "steps/reproduce.hpp"
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
    store.bind_passwords(source::rewrite_url(store, params.url));
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
    const bool six = proxy->host.contains(':');
    return std::format("http://{}{}{}{}:{}", user, six ? "[" : "", proxy->host, six ? "]" : "", proxy->port);
}

/// What submodules are reached with: the same store and rules, each URL for itself.
std::function<Result<source::GitAccess>(const std::string&)>
access_by_url(Step& step, source::CredentialStore store, http::Options http, bool accept_new_host_key) {
    return [&step, store = std::move(store), http = std::move(http),
            accept_new_host_key](const std::string& url) -> Result<source::GitAccess> {
        step.secrets(source::secrets_in_url(url));
        source::GitAccess access;
        access.url = source::rewrite_url(store, url);
        access.credentials = source::credentials_for(store, access.url);
        access.credentials.accept_new_host_key = accept_new_host_key;
        TRY_ASSIGN(access.ca_file,
                   http::find_ca_bundle(http, /*optional=*/!access.url.starts_with("https://")));
        access.proxy_url = proxy_url(http.proxies, access.url);
        return access;
    };
}

Result<source::GitOptions> git_options(const cli::Fetch& params, Step& step) {
    TRY_ASSIGN(auto store, credential_store(params));
    step.secrets(store.secrets());
    TRY_ASSIGN(http::Options http, http::Options::from_environment());
    http.ca_file = step.common.ca_file.string();
    step.secrets(http.proxies.secrets());

    source::GitOptions options;
    options.access = access_by_url(step, std::move(store), std::move(http), params.accept_new_host_key);
    TRY_ASSIGN(source::GitAccess access, options.access(params.url));
    options.url = std::move(access.url);
    options.original_url = params.url;
    options.credentials = std::move(access.credentials);
    options.ca_file = std::move(access.ca_file);
    options.proxy_url = std::move(access.proxy_url);
    options.revision = params.revision;
    options.refspec = params.refspec;
    options.depth = params.depth;
    options.tags = params.tags;
    options.sparse = params.sparse;
    options.submodules = params.submodules;
    options.submodule_paths = params.submodule_paths;
    options.into = params.into;
    options.tls_verify = params.tls_verify;
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
    calls.on_submodule = [&step](std::string_view path, std::string_view url, std::string_view commit) {
        step.stream.log(frames::Lane::err, std::format("submodule {}: {} at {}", path, url, commit));
    };
    calls.on_retry = step.on_retry("fetch");
    return calls;
}

/// Content for Git LFS pointers, of every repository from its own server; where that fails no tree is left
/// behind.
Status lfs(const cli::Fetch& params, const source::GitOptions& options, const source::Checkout& checkout,
           Step& step) {
    TRY_ASSIGN(const source::CredentialStore store, credential_store(params));
    Status status = fetch_lfs({.tree = options.into, .url = options.url, .ref = checkout.ref, .store = store},
                              params, step);
    for (const source::SubmoduleCheckout& each : checkout.submodules) {
        if (status) {
            status = fetch_lfs(
                {.tree = options.into / each.path, .url = each.fetched_from, .ref = {}, .store = store},
                params, step);
        }
    }
    if (!status) {
        std::vector<std::string> notes;
        TRY(source::empty_directory(options.into, notes));
    }
    return status;
}

Result<handoff::Source> fetch_repository(const cli::Fetch& params, Step& step) {
    step.secrets(source::secrets_in_url(params.url));
    step.hello("fetch " + params.url + (params.revision.empty() ? "" : " at " + params.revision));
    TRY(handoff::forget_from(step.state, "source"));
    step.phase(frames::PhaseName::unpacking);
    TRY_ASSIGN(const source::GitOptions options, git_options(params, step));
    TRY_ASSIGN(const source::Checkout checkout, source::fetch_git(options, callbacks(step), step.stop));

    for (const std::string& note : checkout.notes) {
        step.warn("fetchnote", note);
    }
    if (checkout.has_submodules && !params.submodules) {
        step.warn("submodules", "the repository has submodules; they were not fetched",
                  "builds that need their files will fail");
    }
    if (checkout.lfs_pointers > 0) {
        TRY(lfs(params, options, checkout, step));
    }
    handoff::Source value{.directory = options.into.string(),
                          .commit = checkout.commit,
                          .url = checkout.url,
                          .ref = checkout.ref,
                          .committer_date = checkout.committer_date,
                          .committer_time = checkout.committer_time,
                          .subject = checkout.subject,
                          .archive_digest = {},
                          .author = std::format("{} <{}>", checkout.author_name, checkout.author_email),
                          .author_date = checkout.author_date,
                          .tree = checkout.tree,
                          .options = selecting_options(params)};
    TRY(handoff::write(step.state, value));
    step.result("commit", value.commit);
    step.result("short-commit", value.commit.substr(0, 7));
    step.result("url", value.url);
    step.result("committer-date", value.committer_date);
    step.result("CHAINS-GIT_COMMIT", value.commit);
    step.result("CHAINS-GIT_URL", value.url);
    return value;
}

} // namespace

Result<handoff::Source> fetch(const cli::Fetch& params, Step& step) {
    cli::Fetch placed = params;
    auto target = fetch_target(params, step.state);
    if (!target) {
        step.hello("fetch the source");
        return fail(std::move(target).error());
    }
    placed.into = std::move(*target);
    placed.subdirectory.clear();
    if (!params.url.empty()) {
        return fetch_repository(placed, step);
    }
    if (params.archive.empty() && params.dockerfile_only.empty()) {
        return take_existing(placed.into, step);
    }
    return is_artifact(placed.archive) ? fetch_artifact(placed, step) : fetch_archive(placed, step);
}

} // namespace slipway::steps
