#include "source/credentials.hpp"

#include "base/file.hpp"
#include "source/credential_files.hpp"
#include "source/git.hpp"
#include "source/netrc.hpp"

#include <algorithm>
#include <fcntl.h>
#include <format>
#include <iterator>
#include <sys/stat.h>

namespace slipway::source {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_file = 1U << 20U;
constexpr std::size_t longest_secret = 64U << 10U;
constexpr std::size_t most_files = 64;

/// Content, or nothing where there is no readable regular file (a Secret's files are links to regular ones).
std::optional<std::string> try_read(const fs::path& path, std::size_t limit = longest_file) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)); // a FIFO must not hold us up
    struct stat info{};
    if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
        return std::nullopt;
    }
    Result<std::string> content = read_all(fd.get(), limit);
    return content ? std::optional(*std::move(content)) : std::nullopt;
}

std::string without_newline(std::string text) {
    while (text.ends_with('\n') || text.ends_with('\r')) {
        text.pop_back();
    }
    return text;
}

bool looks_like_key(std::string_view text) {
    return text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----");
}

/// Secrets are often made with the final newline cut off or with a Windows editor; OpenSSL minds both.
std::string mended_key(std::string_view text) {
    std::string out;
    for (const char c : text.substr(text.find("-----BEGIN "))) {
        if (c != '\r') {
            out += c;
        }
    }
    if (!out.ends_with('\n')) {
        out += '\n';
    }
    return out;
}

Status check_directory(const fs::path& directory, std::string_view option) {
    std::error_code failure;
    if (!fs::is_directory(directory, failure)) {
        Error error =
            make_error(ErrorClass::usage, code::missing_or_invalid_argument,
                       std::format("{}: {} is not a directory that can be read", option, directory.string()),
                       "bind the workspace or mount the Secret there");
        error.cause = failure.message();
        return fail(std::move(error));
    }
    return {};
}

std::vector<fs::path> files_in(const fs::path& directory) {
    std::vector<fs::path> files;
    std::error_code failure;
    for (fs::directory_iterator it(directory, failure), end;
         !failure && it != end && files.size() < most_files; it.increment(failure)) {
        if (!it->path().filename().string().starts_with("..")) { // Kubernetes' own ..data
            files.push_back(it->path());
        }
    }
    std::ranges::sort(files); // the order of keys must not depend on the file system
    return files;
}

std::vector<SshKey> keys_in(const fs::path& directory) {
    const std::string passphrase =
        without_newline(try_read(directory / "passphrase", longest_secret).value_or(""));
    std::vector<SshKey> keys;
    for (const fs::path& file : files_in(directory)) {
        const std::string name = file.filename().string();
        if (name.ends_with(".pub") || name == "known_hosts" || name == "config" ||
            name == "authorized_keys") {
            continue;
        }
        const std::optional<std::string> text = try_read(file, longest_secret);
        if (text && looks_like_key(*text)) {
            keys.push_back({.private_key = mended_key(*text), .passphrase = passphrase, .name = name});
        }
    }
    // ed25519 and ecdsa before rsa, as ssh does: shorter to try, and servers allow few tries.
    std::ranges::stable_partition(keys, [](const SshKey& key) { return !key.name.contains("rsa"); });
    return keys;
}

void take_ssh(const fs::path& directory, CredentialStore& store) {
    const std::vector<SshKey> keys = keys_in(directory);
    const std::vector<SshHost> hosts = parse_ssh_config(try_read(directory / "config").value_or(""));
    std::vector<std::string> bound;
    for (const SshHost& host : hosts) {
        CredentialEntry entry;
        entry.scheme = "ssh";
        entry.host = host.pattern;
        entry.ssh_user = host.user;
        entry.ssh_host_name = host.host_name;
        entry.ssh_port = host.port;
        for (const std::string& identity : host.identity_files) {
            // The path is of the machine the file was written for; what counts is the name, in this
            // directory.
            const std::string name = fs::path(identity).filename().string();
            const auto key = std::ranges::find(keys, name, &SshKey::name);
            if (key != keys.end()) {
                entry.keys.push_back(*key);
                bound.push_back(name);
            }
        }
        store.entries.push_back(std::move(entry));
    }
    CredentialEntry any;
    any.scheme = "ssh";
    for (const SshKey& key : keys) {
        if (std::ranges::find(bound, key.name) == bound.end()) {
            any.keys.push_back(key);
        }
    }
    if (!any.keys.empty()) {
        store.entries.push_back(std::move(any));
    }
    std::string known = try_read(directory / "known_hosts").value_or("");
    if (!known.empty()) {
        store.known_hosts += known + (known.ends_with('\n') ? "" : "\n");
    }
}

void take_git_files(const fs::path& directory, CredentialStore& store) {
    std::ranges::move(parse_git_credentials(try_read(directory / ".git-credentials").value_or("")),
                      std::back_inserter(store.entries));
    GitConfigText config = parse_git_config(try_read(directory / ".gitconfig").value_or(""));
    std::ranges::move(config.rewrites, std::back_inserter(store.rewrites));
    std::ranges::move(config.accounts, std::back_inserter(store.accounts));
    std::ranges::move(parse_netrc(try_read(directory / ".netrc").value_or("")),
                      std::back_inserter(store.entries));
}

void add_secrets(std::vector<std::string>& secrets, const std::optional<BasicAuth>& basic,
                 const std::vector<SshKey>& keys) {
    if (basic) {
        secrets.push_back(basic->password);
        if (basic->password.empty() || basic->password == "x-oauth-basic") {
            secrets.push_back(basic->username); // the token stands where the name does
        }
    }
    for (const SshKey& key : keys) {
        secrets.push_back(key.private_key);
        secrets.push_back(key.passphrase);
    }
    std::erase(secrets, "");
}

std::string_view scheme_name(GitUrl::Scheme scheme) {
    switch (scheme) {
    case GitUrl::Scheme::https: return "https";
    case GitUrl::Scheme::http: return "http";
    case GitUrl::Scheme::ssh: return "ssh";
    case GitUrl::Scheme::git: return "git";
    case GitUrl::Scheme::file: return "file";
    }
    return "";
}

int default_port(std::string_view scheme) {
    return scheme == "https" ? 443 : scheme == "http" ? 80 : scheme == "ssh" ? 22 : 0;
}

/// How well an entry fits, −1 = not at all; a host counts more than a path.
int fit(const CredentialEntry& entry, const GitUrl& url) {
    const std::string_view scheme = scheme_name(url.scheme);
    const bool ssh = scheme == "ssh";
    if (!ssh && scheme != "https" && scheme != "http") {
        return -1;
    }
    if (!entry.scheme.empty() ? entry.scheme != scheme : (ssh ? entry.keys.empty() : !entry.basic)) {
        return -1;
    }
    int points = 0;
    if (!entry.host.empty()) {
        if (ssh ? !ssh_pattern_matches(entry.host, url.host) : entry.host != url.host) {
            return -1;
        }
        points += entry.host.find_first_of("*?! ") == std::string::npos ? 2000 : 1000;
    }
    if (entry.port != 0) {
        if (entry.port != (url.port != 0 ? url.port : default_port(scheme))) {
            return -1;
        }
        points += 100;
    } else if (!ssh && !entry.any_port && !entry.host.empty() && url.port != 0 &&
               url.port != default_port(scheme)) {
        return -1; // a host without a port means the scheme's own
    }
    if (!entry.path.empty()) {
        const std::string_view path = url.path;
        const bool prefix = path.starts_with(entry.path) &&
                            (path.size() == entry.path.size() || path[entry.path.size()] == '/' ||
                             path.substr(entry.path.size()) == ".git");
        if (!prefix) {
            return -1;
        }
        points += static_cast<int>(std::min<std::size_t>(entry.path.size(), 90));
    }
    return points;
}

/// Which of a host's accounts is meant: the URL's user, else what a .gitconfig says; empty = any.
std::string account_for(const CredentialStore& store, const GitUrl& url) {
    std::string name = url.username;
    int best = -1;
    for (const CredentialEntry& entry : store.accounts) {
        if (const int points = fit(entry, url); url.username.empty() && points > best) {
            best = points;
            name = entry.basic->username;
        }
    }
    return name;
}

} // namespace

std::vector<std::string> GitCredentials::secrets() const {
    std::vector<std::string> out;
    add_secrets(out, basic, keys);
    return out;
}

void CredentialStore::append(CredentialStore other) {
    std::ranges::move(other.entries, std::back_inserter(entries));
    std::ranges::move(other.rewrites, std::back_inserter(rewrites));
    std::ranges::move(other.accounts, std::back_inserter(accounts));
    known_hosts += other.known_hosts;
}

void CredentialStore::bind_passwords(std::string_view text) {
    const Result<GitUrl> url = parse_git_url(text);
    std::erase_if(entries, [&url](const CredentialEntry& entry) {
        return entry.basic && entry.host.empty() && (!url || url->host.empty());
    });
    for (CredentialEntry& entry : entries) {
        if (entry.basic && entry.host.empty()) {
            const bool http = url->scheme == GitUrl::Scheme::http || url->scheme == GitUrl::Scheme::https;
            entry.scheme =
                http ? scheme_name(url->scheme) : "https"; // what an ssh host has besides: Git LFS, say
            entry.host = url->host;
            entry.port = http ? url->port : 0;
            entry.any_port = false;
        }
    }
}

std::vector<std::string> CredentialStore::secrets() const {
    std::vector<std::string> out;
    for (const CredentialEntry& entry : entries) {
        add_secrets(out, entry.basic, entry.keys);
    }
    return out;
}

Result<CredentialStore> read_basic_auth_dir(const fs::path& directory) {
    TRY(check_directory(directory, "--basic-auth-dir"));
    CredentialStore store;
    const std::optional<std::string> password = try_read(directory / "password", longest_secret);
    if (password) {
        CredentialEntry entry;
        entry.basic = BasicAuth{
            .username = without_newline(try_read(directory / "username", longest_secret).value_or("")),
            .password = without_newline(*password),
        };
        store.entries.push_back(std::move(entry));
    }
    take_git_files(directory, store);
    if (store.entries.empty()) {
        return fail_usage(
            std::format("--basic-auth-dir: {} holds no credentials", directory.string()),
            "it needs the files username and password, .git-credentials or .netrc, readable by this user");
    }
    return store;
}

Result<CredentialStore> read_ssh_dir(const fs::path& directory) {
    TRY(check_directory(directory, "--ssh-dir"));
    CredentialStore store;
    take_ssh(directory, store);
    const bool any_key =
        std::ranges::any_of(store.entries, [](const CredentialEntry& entry) { return !entry.keys.empty(); });
    if (!any_key) {
        return fail_usage(
            std::format("--ssh-dir: {} holds no private key", directory.string()),
            "it needs ssh-privatekey or id_…, readable by this user (an ssh key begins “-----BEGIN”)");
    }
    return store;
}

CredentialStore read_home(const fs::path& home) {
    CredentialStore store;
    if (home.empty()) {
        return store;
    }
    take_git_files(home, store);
    take_ssh(home / ".ssh", store);
    return store;
}

GitCredentials credentials_for(const CredentialStore& store, std::string_view text) {
    GitCredentials found;
    found.known_hosts = store.known_hosts;
    const Result<GitUrl> url = parse_git_url(text);
    if (!url) {
        return found;
    }
    std::vector<std::pair<int, const CredentialEntry*>> fitting;
    for (const CredentialEntry& entry : store.entries) {
        if (const int points = fit(entry, *url); points >= 0) {
            fitting.emplace_back(points, &entry);
        }
    }
    std::ranges::stable_sort(fitting, std::greater<>{}, &std::pair<int, const CredentialEntry*>::first);
    const std::string account = account_for(store, *url);
    for (const auto& [points, entry] : fitting) {
        const bool meant = url->scheme == GitUrl::Scheme::ssh || account.empty() || !entry->basic ||
                           entry->basic->username.empty() || entry->basic->username == account;
        if (!found.basic && entry->basic && meant) {
            found.basic = entry->basic;
            if (found.basic->username.empty() && url->scheme != GitUrl::Scheme::ssh) {
                found.basic->username = account;
            }
        }
        for (const SshKey& key : entry->keys) {
            if (std::ranges::find(found.keys, key.private_key, &SshKey::private_key) == found.keys.end()) {
                found.keys.push_back(key);
            }
        }
        if (found.ssh_user.empty()) {
            found.ssh_user = entry->ssh_user;
        }
        if (found.ssh_host_name.empty()) {
            found.ssh_host_name = entry->ssh_host_name;
        }
        if (found.ssh_port == 0) {
            found.ssh_port = entry->ssh_port;
        }
    }
    return found;
}

std::string rewrite_url(const CredentialStore& store, std::string_view url) {
    const UrlRewrite* best = nullptr;
    for (const UrlRewrite& rule : store.rewrites) {
        if (!rule.instead_of.empty() && url.starts_with(rule.instead_of) &&
            (best == nullptr || rule.instead_of.size() > best->instead_of.size())) {
            best = &rule;
        }
    }
    return best == nullptr ? std::string(url) : best->base + std::string(url.substr(best->instead_of.size()));
}

} // namespace slipway::source
