#include "registry/reference.hpp"

#include "base/encoding.hpp"
#include "digest/sha256.hpp"

#include <algorithm>

namespace slipway::registry {

namespace {

bool is_lower_alnum(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_alnum(char c) noexcept {
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

/// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_path_component(std::string_view text) noexcept {
    if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) {
        return false;
    }
    for (std::size_t i = 0; i < text.size();) {
        if (is_lower_alnum(text[i])) {
            ++i;
            continue;
        }
        const char separator = text[i];
        std::size_t run = 0;
        while (i < text.size() && text[i] == separator) {
            ++run;
            ++i;
        }
        const bool fine =
            separator == '-' || (separator == '.' && run == 1) || (separator == '_' && run <= 2);
        if (!fine || !is_lower_alnum(text[i])) {
            return false;
        }
    }
    return true;
}

bool is_port(std::string_view text) noexcept {
    return !text.empty() && text.size() <= 5 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }) &&
           std::stoi(std::string(text)) > 0 && std::stoi(std::string(text)) <= 65535;
}

bool is_registry(std::string_view text) noexcept {
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos || close < 3) {
            return false;
        }
        const auto inside = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        return inside.contains(':') &&
               std::ranges::all_of(inside,
                                   [](char c) {
                                       return c == ':' || c == '.' || (c >= '0' && c <= '9') ||
                                              (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
                                   }) &&
               (rest.empty() || (rest.starts_with(':') && is_port(rest.substr(1))));
    }
    const auto colon = text.find(':');
    if (colon != std::string_view::npos && !is_port(text.substr(colon + 1))) {
        return false;
    }
    std::string_view host = text.substr(0, colon);
    if (host.empty() || host.size() > 253) {
        return false;
    }
    while (true) {
        const auto dot = host.find('.');
        const auto label = host.substr(0, dot);
        if (label.empty() || !is_alnum(label.front()) || !is_alnum(label.back()) ||
            !std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-' || c == '_'; })) {
            return false;
        }
        if (dot == std::string_view::npos) {
            return true;
        }
        host.remove_prefix(dot + 1);
    }
}

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    return fail_usage("\"" + one_line(text, 200) + "\" is not an image reference: " + std::string(why),
                      "write [registry[:port]/]name[:tag][@sha256:…], lower case");
}

} // namespace

bool is_valid_tag(std::string_view tag) noexcept {
    return !tag.empty() && tag.size() <= 128 && (is_alnum(tag.front()) || tag.front() == '_') &&
           std::ranges::all_of(tag, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

std::string Reference::text() const {
    return name() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

std::string Reference::with_digest(std::string_view other) const {
    return name() + "@" + std::string(other);
}

Result<Reference> parse_reference(std::string_view text) {
    const std::string_view whole = text;
    if (text.empty()) {
        return bad(whole, "it is empty");
    }
    if (text.size() > 600) {
        return bad(whole, "it is too long");
    }
    if (text.starts_with("docker://")) {
        text.remove_prefix(9);
    } else if (text.contains("://")) {
        return bad(whole, "it begins with a scheme");
    }
    Reference out;
    if (const auto at = text.find('@'); at != std::string_view::npos) {
        out.digest = text.substr(at + 1);
        if (!digest::is_valid_digest(out.digest)) {
            return bad(whole, "after @ stands no sha256 or sha512 digest");
        }
        text = text.substr(0, at);
    }
    const auto slash = text.rfind('/');
    const auto colon = text.find(':', slash == std::string_view::npos ? 0 : slash);
    if (colon != std::string_view::npos) {
        out.tag = text.substr(colon + 1);
        if (!is_valid_tag(out.tag)) {
            return bad(whole, "the tag after : is none");
        }
        text = text.substr(0, colon);
    }
    const auto first_slash = text.find('/');
    const std::string_view first = text.substr(0, first_slash);
    std::string_view path = text;
    // The first part is a registry when it looks like a host: a dot, a port, or localhost.
    if (first_slash != std::string_view::npos && (first.find_first_of(".:[") != std::string_view::npos ||
                                                  lower(first) == "localhost" || lower(first) != first)) {
        if (!is_registry(first)) {
            return bad(whole, "the registry's host is none");
        }
        out.registry = lower(first);
        path = text.substr(first_slash + 1);
    } else {
        out.registry = "docker.io";
        out.short_name = true;
    }
    if (out.registry == "index.docker.io" || out.registry == "registry-1.docker.io") {
        out.registry = "docker.io";
    }
    out.repository = path;
    if (out.registry == "docker.io" && !path.contains('/')) {
        out.repository = "library/" + std::string(path);
    }
    std::string_view rest = out.repository;
    while (true) {
        const auto next = rest.find('/');
        if (!is_path_component(rest.substr(0, next))) {
            return bad(whole, "a name is lower-case letters and digits, separated by single . or -, _ or __");
        }
        if (next == std::string_view::npos) {
            break;
        }
        rest.remove_prefix(next + 1);
    }
    if (out.repository.size() > 255) {
        return bad(whole, "the name is longer than 255 bytes");
    }
    if (out.tag.empty() && out.digest.empty()) {
        out.tag = "latest";
    }
    return out;
}

} // namespace slipway::registry
