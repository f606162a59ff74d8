#include "steps/fetch_lfs.hpp"

#include "base/file.hpp"
#include "http/options.hpp"
#include "lfs/fetch.hpp"
#include "source/git.hpp"
#include "source/lfs_files.hpp"
#include "source/lfs_server.hpp"
#include "source/ssh_command.hpp"

#include <algorithm>
#include <format>
#include <set>

namespace slipway::steps {

namespace {

constexpr int command_not_found = 127;

/// Credentials for `url`; those that name no host only where the fetch itself is meant.
source::GitCredentials credentials(const LfsWork& work, const cli::Fetch& params, const std::string& url) {
    source::CredentialStore store = work.store;
    if (!source::is_same_service(work.url, url)) {
        std::erase_if(store.entries, [](const source::CredentialEntry& entry) { return entry.host.empty(); });
    }
    source::GitCredentials found = source::credentials_for(store, url);
    found.accept_new_host_key = params.accept_new_host_key;
    // Credentials in a URL are the user's explicit word; the remote's own hold for its LFS server too.
    for (const std::string& text : {url, source::is_same_service(work.url, url) ? work.url : std::string()}) {
        const auto parsed = source::parse_git_url(text);
        if (parsed && parsed->scheme != source::GitUrl::Scheme::ssh &&
            (parsed->has_password || !parsed->username.empty())) {
            found.basic = source::BasicAuth{.username = parsed->username, .password = parsed->password};
            break;
        }
    }
    return found;
}

/// Over ssh the server itself says where its objects are and what opens them.
Status ask_over_ssh(const source::LfsServer& server, const LfsWork& work, const cli::Fetch& params,
                    Step& step, std::string& url, lfs::Endpoint& endpoint) {
    source::GitOptions options;
    options.url = server.ssh_url;
    options.credentials = credentials(work, params, server.ssh_url);
    source::GitCallbacks callbacks;
    TRY_ASSIGN(const source::SshAnswer answer,
               source::run_ssh_command(options, server.ssh_command, callbacks, step.stop));
    if (answer.exit == command_not_found ||
        (answer.exit != 0 && answer.err.contains("git-lfs-authenticate") &&
         answer.err.contains("not found"))) {
        return {}; // the server does not know the command: its https address it is, with credentials for that
    }
    if (answer.exit != 0) {
        Error error = make_error(ErrorClass::auth, code::git_auth,
                                 "the server denies access to Git LFS objects over ssh",
                                 "check what the key may read, and that the server offers Git LFS");
        error.cause = answer.err;
        return fail(std::move(error));
    }
    const auto now = step.clock.now();
    TRY_ASSIGN(const lfs::Action action, lfs::parse_authentication(answer.out, now));
    step.secrets(action.secrets());
    url = action.href.empty() ? url : action.href;
    endpoint.headers = action.headers;
    endpoint.expires = action.expires;
    return {};
}

Result<lfs::Endpoint> endpoint(const source::LfsServer& server, const LfsWork& work, const cli::Fetch& params,
                               Step& step) {
    lfs::Endpoint endpoint;
    std::string url = server.url;
    if (!server.ssh_url.empty()) {
        TRY(ask_over_ssh(server, work, params, step, url, endpoint));
    }
    const auto parsed = http::parse_url(url);
    if (!parsed) {
        return fail(ErrorClass::build, code::git_checkout,
                    "Git LFS: the server's address is not an http or https URL",
                    "check lfs.url in .lfsconfig");
    }
    endpoint.url = *parsed;
    if (const auto basic = credentials(work, params, url).basic; basic && endpoint.headers.empty()) {
        endpoint.basic = lfs::Basic{.username = basic->username, .password = basic->password};
    }
    return endpoint;
}

Result<lfs::Options> lfs_options(const source::LfsTree& tree, const LfsWork& work, const cli::Fetch& params,
                                 Step& step) {
    const std::string& configured = tree.url.empty() ? tree.remote_url : tree.url;
    step.secrets(source::secrets_in_url(configured));
    TRY_ASSIGN(source::LfsServer server,
               source::find_lfs_server(source::rewrite_url(work.store, configured), work.url));
    TRY_ASSIGN(http::Options http, http::Options::from_environment());
    http.ca_file = step.common.ca_file.string();
    http.user_agent = "slipway/" + program_version();
    lfs::Options options;
    options.tree = work.tree;
    options.scratch = tree.git_dir;
    options.server.endpoint = [server = std::move(server), &work, &params, &step] {
        return endpoint(server, work, params, step);
    };
    options.server.ref = work.ref;
    options.server.http = std::make_shared<const http::Options>(std::move(http));
    options.server.tls.verify = params.tls_verify;
    options.server.retry.retries = params.retries;
    options.server.on_retry = step.on_retry("Git LFS");
    options.server.on_secrets = [&step](const std::vector<std::string>& secrets) { step.secrets(secrets); };
    options.on_progress = [&step](std::uint64_t done, std::uint64_t total) {
        step.stream.emit(frames::Progress{
            .what = "fetch", .id = "lfs", .current = done, .total = total, .unit = frames::Unit::bytes});
    };
    return options;
}

} // namespace

Status fetch_lfs(const LfsWork& work, const cli::Fetch& params, Step& step) {
    TRY_ASSIGN(const source::LfsTree tree, source::find_lfs_files(work.tree));
    std::vector<lfs::File> files;
    for (const source::LfsFile& file : tree.files) {
        // A file that should be a pointer and is none stays as it is, as git-lfs has it.
        if (auto pointer = lfs::parse_pointer(file.text)) {
            files.push_back({.path = file.path, .pointer = *std::move(pointer)});
        }
    }
    if (tree.excluded > 0) {
        step.warn("gitlfs", std::format("{} files stay Git LFS pointers", tree.excluded),
                  "lfs.fetchinclude or lfs.fetchexclude in .lfsconfig leaves them out");
    }
    if (files.empty()) {
        return {};
    }
    if (!params.lfs) {
        step.warn("gitlfs", std::format("{} files are Git LFS pointers, not content", files.size()),
                  "fetch with --lfs to have what they stand for");
        return {};
    }
    TRY_ASSIGN(const lfs::Options options, lfs_options(tree, work, params, step));
    TRY_ASSIGN(const lfs::Summary summary, lfs::fetch(files, options, step.stop));
    return source::refresh_index(work.tree, summary.paths);
}

} // namespace slipway::steps
