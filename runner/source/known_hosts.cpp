#include "source/known_hosts.hpp"

#include "base/encoding.hpp"
#include "source/pattern.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <optional>
#include <span>

namespace slipway::source {
namespace {

std::string_view next_field(std::string_view& line) {
    const std::size_t start = std::min(line.find_first_not_of(" \t"), line.size());
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    const std::string_view field = line.substr(0, end);
    line.remove_prefix(end);
    return field;
}

/// "|1|salt|hash": HMAC-SHA1 of the name, keyed with the salt.
bool hashed_match(std::string_view field, std::string_view name) {
    const std::size_t border = field.find('|', 3);
    if (border == std::string_view::npos) {
        return false;
    }
    const std::optional<std::string> salt = base64_decode(field.substr(3, border - 3));
    const std::optional<std::string> hash = base64_decode(field.substr(border + 1));
    if (!salt || !hash) {
        return false;
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned int size = 0;
    const std::string data(name);
    if (HMAC(EVP_sha1(), salt->data(), static_cast<int>(salt->size()),
             reinterpret_cast<const unsigned char*>(data.data()), data.size(), mac.data(),
             &size) == nullptr) {
        return false;
    }
    return std::ranges::equal(*hash, std::span(mac.data(), size),
                              [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; });
}

bool names_match(std::string_view field, std::string_view name) {
    if (field.starts_with("|1|")) {
        return hashed_match(field, name);
    }
    return pattern_list_match(field, ',', name);
}

/// The first length-prefixed string of a key blob: its type.
std::string_view blob_type(std::string_view blob) {
    if (blob.size() < 4) {
        return {};
    }
    std::size_t size = 0;
    for (const char c : blob.substr(0, 4)) {
        size = (size << 8U) | static_cast<unsigned char>(c);
    }
    return size <= 64 && size + 4 <= blob.size() ? blob.substr(4, size) : std::string_view{};
}

} // namespace

HostKeys HostKeys::for_host(std::string_view content, std::string_view host, int port) {
    HostKeys found;
    found.name_ = port == 0 || port == 22 ? std::string(host) : std::format("[{}]:{}", host, port);
    while (!content.empty()) {
        const std::size_t end = std::min(content.find('\n'), content.size());
        std::string_view line = content.substr(0, end);
        content.remove_prefix(std::min(end + 1, content.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        std::string_view names = next_field(line);
        const bool revoked = names == "@revoked";
        const bool authority = names == "@cert-authority";
        if (revoked || authority) {
            names = next_field(line);
        }
        if (names.empty() || names.starts_with('#') || names.starts_with('@') ||
            !names_match(names, found.name_)) {
            continue;
        }
        if (authority) {
            found.has_authority_ = true;
            continue;
        }
        const std::string_view type = next_field(line);
        std::optional<std::string> blob = base64_decode(next_field(line));
        if (blob && !type.empty() && blob_type(*blob) == type) {
            found.keys_.push_back({.type = std::string(type), .blob = std::move(*blob), .revoked = revoked});
        }
    }
    return found;
}

HostKeyVerdict HostKeys::check(std::string_view key_blob) const {
    bool others = false;
    bool matched = false;
    for (const Key& key : keys_) {
        if (key.blob == key_blob) {
            if (key.revoked) {
                return HostKeyVerdict::revoked;
            }
            matched = true;
        }
        others = others || !key.revoked;
    }
    if (matched) {
        return HostKeyVerdict::match;
    }
    return others ? HostKeyVerdict::mismatch : HostKeyVerdict::unknown;
}

std::string HostKeys::plain_lines() const {
    std::string lines;
    for (const Key& key : keys_) {
        if (!key.revoked) {
            lines += std::format("{} {} {}\n", name_, key.type, base64_encode(key.blob));
        }
    }
    return lines;
}

std::vector<std::string> HostKeys::types() const {
    std::vector<std::string> types;
    for (const Key& key : keys_) {
        if (!key.revoked) {
            types.push_back(key.type);
        }
    }
    return types;
}

std::string host_key_fingerprint(std::string_view key_blob) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_Digest(key_blob.data(), key_blob.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
        return {};
    }
    std::string text = base64_encode(std::string(digest.begin(), digest.begin() + size));
    text.erase(std::min(text.find('='), text.size()));
    return std::format("{} SHA256:{}", blob_type(key_blob), text);
}

} // namespace slipway::source
