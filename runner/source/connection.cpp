#include "source/connection.hpp"

#include "base/encoding.hpp"
#include "source/credential_files.hpp"
#include "source/known_hosts.hpp"

#include <format>
#include <git2/sys/errors.h>
#include <utility>

namespace slipway::source {
namespace {

Connection& self(void* payload) {
    return *static_cast<Connection*>(payload);
}

/// Bytes: libgit2 keeps the refs in memory. A million of them take about half.
constexpr std::uint64_t longest_advertisement = std::uint64_t{256} << 20U;

int default_port(GitUrl::Scheme scheme) {
    switch (scheme) {
    case GitUrl::Scheme::https: return 443;
    case GitUrl::Scheme::http: return 80;
    case GitUrl::Scheme::git: return 9418;
    case GitUrl::Scheme::ssh: return 22;
    case GitUrl::Scheme::file: return 0;
    }
    return 0;
}

int port_of(const GitUrl& url) {
    return url.port != 0 ? url.port : default_port(url.scheme);
}

} // namespace

const std::string& Connection::host() const {
    return url_.scheme == GitUrl::Scheme::ssh && !options_.credentials.ssh_host_name.empty()
               ? options_.credentials.ssh_host_name
               : url_.host;
}

int Connection::port() const {
    if (url_.port == 0 && url_.scheme == GitUrl::Scheme::ssh && options_.credentials.ssh_port != 0) {
        return options_.credentials.ssh_port;
    }
    return port_of(url_);
}

std::string Connection::ssh_user() const {
    if (!url_.username.empty()) {
        return url_.username;
    }
    return options_.credentials.ssh_user.empty() ? "git" : options_.credentials.ssh_user;
}

std::string Connection::connect_url() const {
    if (url_.scheme == GitUrl::Scheme::file) {
        return url_.path; // as a path: libgit2's file:// takes what is behind it undecoded
    }
    if (url_.scheme != GitUrl::Scheme::ssh) {
        return url_.clean;
    }
    const std::string user = ssh_user();
    const bool six = host().contains(':');
    if (!url_.scp_like) {
        return std::format("ssh://{}@{}{}{}:{}{}", percent_encode(user), six ? "[" : "", host(),
                           six ? "]" : "", port(), url_.path);
    }
    // The scp-like form is kept because only it can say a path relative to the user's home.
    if (six || port() != 22) {
        return std::format("[{}@{}{}{}:{}]:{}", user, six ? "[" : "", host(), six ? "]" : "", port(),
                           url_.path);
    }
    return std::format("{}@{}:{}", user, host(), url_.path);
}

Status Connection::prepare(const std::filesystem::path& git_dir) {
    if (url_.scheme == GitUrl::Scheme::https || url_.scheme == GitUrl::Scheme::http) {
        TRY_ASSIGN(TlsTrust trust, make_trust(options_.ca_file, options_.tls_verify)); // http may redirect
        net_.trust(std::move(trust));
        if (!options_.proxy_url.empty()) {
            TRY_ASSIGN(const GitUrl proxy,
                       parse_git_url(options_.proxy_url + "/proxy")); // it insists on a path
            const bool six = proxy.host.contains(':');
            proxy_url_ =
                std::format("http://{}{}{}:{}", six ? "[" : "", proxy.host, six ? "]" : "", port_of(proxy));
            net_.go_through(
                {.host = proxy.host,
                 .port = std::to_string(port_of(proxy)),
                 .authorization = proxy.username.empty() && !proxy.has_password
                                      ? ""
                                      : "Basic " + base64_encode(proxy.username + ":" + proxy.password)});
        }
    }
    if (url_.scheme == GitUrl::Scheme::ssh) {
        // libgit2 looks for known_hosts in a home directory and nowhere else; this one holds this host's
        // lines.
        TRY_ASSIGN(home_, TemporaryDirectory::create("slipway-home-", git_dir));
        TRY(make_directories(home_->path() / ".ssh", 0700));
        TRY(write_file_atomic(
            home_->path() / ".ssh" / "known_hosts",
            HostKeys::for_host(options_.credentials.known_hosts, host(), port()).plain_lines()));
        if (const int rc = git_libgit2_opts(GIT_OPT_SET_HOMEDIR, home_->path().c_str()); rc < 0) {
            Error error =
                make_error(ErrorClass::internal, code::internal_error, "known_hosts could not be set up");
            error.cause = take_error(rc).text;
            return fail(std::move(error));
        }
    }
    return {};
}

git_proxy_options Connection::proxy_options() const {
    git_proxy_options proxy{};
    git_proxy_options_init(&proxy, GIT_PROXY_OPTIONS_VERSION);
    proxy.type = GIT_PROXY_NONE;
    if (!proxy_url_.empty()) {
        proxy.type = GIT_PROXY_SPECIFIED;
        proxy.url = proxy_url_.c_str();
    }
    return proxy;
}

git_remote_connect_options Connection::connect_options() {
    net_.take_at_most(longest_advertisement);
    git_remote_connect_options options{};
    git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
    options.callbacks = remote_callbacks();
    options.proxy_opts = proxy_options();
    options.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL;
    return options;
}

git_fetch_options Connection::fetch_options(int depth) {
    net_.take_at_most(0); // a pack goes to disk, whose size is its limit
    git_fetch_options options{};
    git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
    options.callbacks = remote_callbacks();
    options.proxy_opts = proxy_options();
    options.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL;
    options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
    options.prune = GIT_FETCH_NO_PRUNE;
    options.update_fetchhead = 0;
    options.depth = depth;
    return options;
}

git_remote_callbacks Connection::remote_callbacks() {
    git_remote_callbacks calls{};
    git_remote_init_callbacks(&calls, GIT_REMOTE_CALLBACKS_VERSION);
    calls.payload = this;
    calls.credentials = [](git_credential** out, const char* url, const char* user, unsigned int allowed,
                           void* payload) { return self(payload).credentials(out, url, user, allowed); };
    calls.certificate_check = [](git_cert* cert, int, const char*, void* payload) {
        return self(payload).host_key(cert);
    };
    calls.transfer_progress = [](const git_indexer_progress* stats, void* payload) -> int {
        Connection& me = self(payload);
        if (stats->total_objects > 0 && stats->received_objects == stats->total_objects) {
            me.net_.all_received();
        }
        if (me.callbacks_.on_progress) {
            me.callbacks_.on_progress({.received_objects = stats->received_objects,
                                       .indexed_objects = stats->indexed_objects,
                                       .total_objects = stats->total_objects,
                                       .received_bytes = stats->received_bytes});
        }
        return me.net_.stop().requested() ? GIT_EUSER : 0;
    };
    calls.sideband_progress = [](const char* text, int size, void* payload) -> int {
        Connection& me = self(payload);
        for (const char c : std::string_view(text, size > 0 ? static_cast<std::size_t>(size) : 0)) {
            if (c == '\n') {
                me.say();
            } else if (c == '\r') {
                me.repaint_ = true; // "Counting objects: 37%" a hundred times over: only its end is said
            } else {
                if (std::exchange(me.repaint_, false)) {
                    me.line_.clear();
                }
                if (me.line_.size() < 4096) {
                    me.line_ += c;
                }
            }
        }
        return me.net_.stop().requested() ? GIT_EUSER : 0;
    };
    return calls;
}

void Connection::say() {
    const std::string line = clean_line(line_);
    line_.clear();
    repaint_ = false;
    if (line.empty()) {
        return;
    }
    if (!line.contains('%')) {
        seen_.server_words = line;
    }
    if (callbacks_.on_message) {
        callbacks_.on_message(line);
    }
}

int Connection::refuse(Observed::Auth why, std::string_view text) {
    seen_.auth = why;
    git_error_set_str(GIT_ERROR_CALLBACK, std::string(text).c_str());
    return GIT_EAUTH;
}

int Connection::credentials(git_credential** out, const char* url, const char* user, unsigned int allowed) {
    if (net_.stop().requested()) {
        return GIT_EUSER;
    }
    const GitCredentials& have = options_.credentials;
    if (url_.scheme == GitUrl::Scheme::ssh) {
        const std::string name = user == nullptr ? "git" : user;
        if ((allowed & GIT_CREDENTIAL_USERNAME) != 0) {
            return git_credential_username_new(out, name.c_str());
        }
        while (next_key_ < have.keys.size() && have.keys[next_key_].passphrase.empty() &&
               key_is_encrypted(have.keys[next_key_].private_key)) {
            seen_.locked_key = have.keys[next_key_++].name;
        }
        if ((allowed & GIT_CREDENTIAL_SSH_MEMORY) != 0 && next_key_ < have.keys.size()) {
            const SshKey& key = have.keys[next_key_++];
            seen_.offered_key = true;
            return git_credential_ssh_key_memory_new(out, name.c_str(), nullptr, key.private_key.c_str(),
                                                     key.passphrase.empty() ? nullptr
                                                                            : key.passphrase.c_str());
        }
        if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) != 0 && have.basic && !basic_used_) {
            basic_used_ = true;
            return git_credential_userpass_plaintext_new(out, name.c_str(), have.basic->password.c_str());
        }
        const bool tried = seen_.offered_key || basic_used_;
        return refuse(tried ? Observed::Auth::rejected : Observed::Auth::missing,
                      tried ? "every credential was refused" : "no credential for this host");
    }

    // After a redirect this is another server's question. It gets an answer only where the user's own URL
    // points.
    const Result<GitUrl> asking = parse_git_url(url == nullptr ? "" : url);
    const bool upgraded = asking && url_.scheme == GitUrl::Scheme::http &&
                          asking->scheme == GitUrl::Scheme::https && url_.port == 0 && asking->port == 0;
    const bool same = asking && asking->host == url_.host &&
                      (upgraded || (asking->scheme == url_.scheme && port_of(*asking) == port_of(url_)));
    if (!same) {
        seen_.elsewhere = asking ? asking->host + (asking->port != 0 ? std::format(":{}", asking->port) : "")
                                 : std::string("another place");
        return refuse(Observed::Auth::elsewhere, "credentials are for another host");
    }
    if ((allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT) == 0 || !have.basic) {
        return refuse(Observed::Auth::missing, "no credential for this host");
    }
    if (basic_used_) {
        return refuse(Observed::Auth::rejected, "the credential was refused");
    }
    basic_used_ = true;
    return git_credential_userpass_plaintext_new(out, have.basic->username.c_str(),
                                                 have.basic->password.c_str());
}

int Connection::host_key(git_cert* cert) {
    if (cert == nullptr || cert->cert_type != GIT_CERT_HOSTKEY_LIBSSH2) {
        return 0; // TLS has judged its own
    }
    const auto* shown = reinterpret_cast<const git_cert_hostkey*>(cert);
    if ((shown->type & GIT_CERT_SSH_RAW) == 0) {
        seen_.host_key = Observed::HostKey::unknown;
        return GIT_ECERTIFICATE;
    }
    return admits_host_key({shown->hostkey, shown->hostkey_len}) ? 0 : GIT_ECERTIFICATE;
}

bool Connection::admits_host_key(std::string_view blob) {
    const std::string fingerprint = clean_line(host_key_fingerprint(blob), 256);
    seen_.host_key_shown = fingerprint;
    const HostKeys known = HostKeys::for_host(options_.credentials.known_hosts, host(), port());
    seen_.host_authority = known.has_authority();
    switch (known.check(blob)) {
    case HostKeyVerdict::match: return true;
    case HostKeyVerdict::mismatch: seen_.host_key = Observed::HostKey::mismatch; return false;
    case HostKeyVerdict::revoked: seen_.host_key = Observed::HostKey::revoked; return false;
    case HostKeyVerdict::unknown: break;
    }
    if (options_.credentials.known_hosts.empty() && options_.credentials.accept_new_host_key) {
        if (callbacks_.on_host_key) {
            callbacks_.on_host_key(host(), fingerprint);
        }
        return true;
    }
    seen_.host_key = Observed::HostKey::unknown;
    return false;
}

} // namespace slipway::source
