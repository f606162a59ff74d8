#include "registry/auth.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "registry/documents.hpp"

#include <algorithm>

namespace slipway::registry {

namespace {

constexpr std::size_t longest_auth_file = std::size_t{1} << 20U;

/// "https://index.docker.io/v1/" → "docker.io", "https://quay.io/v2/" → "quay.io", "Quay.io/ns/" →
/// "quay.io/ns".
std::string normalise(std::string_view key) {
    bool url = false;
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (key.starts_with(scheme)) {
            key.remove_prefix(scheme.size());
            url = true;
        }
    }
    while (key.ends_with('/')) {
        key.remove_suffix(1);
    }
    const auto slash = std::min(key.find('/'), key.size());
    std::string host(key.substr(0, slash));
    std::ranges::transform(host, host.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (host == "index.docker.io" || host == "registry-1.docker.io") {
        host = "docker.io";
    }
    std::string_view path = key.substr(slash);
    if (path == "/v1" || path == "/v2") {
        path = {};
    }
    // docker writes registries as URLs; whatever path such a URL has, it means the whole registry.
    return url ? host : host + std::string(path);
}

void add_secret(std::vector<std::string>& secrets, const std::string& text) {
    if (!text.empty() && !std::ranges::contains(secrets, text)) {
        secrets.push_back(text);
    }
}

} // namespace

std::filesystem::path AuthFile::locate(const std::filesystem::path& path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) {
        return path;
    }
    for (const char* name : {".dockerconfigjson", "config.json", "auth.json", ".dockercfg"}) {
        if (std::filesystem::exists(path / name, ignored)) {
            return path / name;
        }
    }
    return {};
}

Result<AuthFile> AuthFile::load(const std::filesystem::path& path) {
    const std::filesystem::path file = locate(path);
    if (file.empty()) {
        return AuthFile();
    }
    TRY_ASSIGN(const std::string text, read_file(file, longest_auth_file));
    return parse(text, file.string());
}

Result<AuthFile> AuthFile::parse(std::string_view text, std::string_view name) {
    const auto invalid = [&](const std::string& why) {
        return fail_usage(
            "the credentials in " + std::string(name) + " cannot be used: " + why,
            "it must be a config.json or .dockerconfigjson: {\"auths\": {\"registry\": {\"auth\": …}}}");
    };
    auto raw = parse_auth_file(text);
    if (!raw) {
        return invalid(raw.error().message);
    }
    AuthFile out;
    // First of all, so that a refused entry's neighbours are known as secrets too.
    for (const RawAuth& one : raw->auths) {
        add_secret(out.secrets_, one.auth);
        add_secret(out.secrets_, one.password);
        add_secret(out.secrets_, one.identity_token);
    }
    for (const RawAuth& one : raw->auths) {
        Credentials credentials{one.username, one.password, one.identity_token};
        if (!one.auth.empty()) {
            std::string_view encoded = one.auth;
            while (!encoded.empty() &&
                   (encoded.back() == '\n' || encoded.back() == '\r' || encoded.back() == ' ')) {
                encoded.remove_suffix(1);
            }
            auto decoded = base64_decode(encoded);
            const auto colon = decoded ? decoded->find(':') : std::string::npos;
            if (colon == std::string::npos) {
                return invalid("\"auth\" for " + one_line(one.key, 100) + " is not base64 of user:password");
            }
            credentials.username = decoded->substr(0, colon);
            credentials.password = decoded->substr(colon + 1);
            // docker pads what it encodes with NUL bytes.
            credentials.password.resize(
                std::min(credentials.password.find('\0'), credentials.password.size()));
            add_secret(out.secrets_, credentials.password);
        }
        if (credentials.username.empty() && credentials.password.empty() &&
            credentials.identity_token.empty()) {
            continue; // docker leaves {} behind where a helper holds the credentials
        }
        if (credentials.username == "<token>") { // an identity token in a user name's place
            credentials.identity_token = std::exchange(credentials.password, {});
            credentials.username.clear();
        }
        out.entries_.push_back({normalise(one.key), std::move(credentials)});
    }
    return out;
}

std::optional<Credentials> AuthFile::find(const Reference& reference) const {
    std::string key = reference.name();
    while (true) {
        const auto found = std::ranges::find(entries_, key, &Entry::key);
        if (found != entries_.end()) {
            return found->credentials;
        }
        const auto slash = key.rfind('/');
        if (slash == std::string::npos) {
            return std::nullopt;
        }
        key.resize(slash);
    }
}

std::vector<std::string> AuthFile::secrets() const {
    return secrets_;
}

} // namespace slipway::registry
