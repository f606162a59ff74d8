#include "http/url.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace slipway::http {

namespace {

constexpr std::size_t longest_url = 8192;

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    // What stands before '@' may be a password: only the host part is quoted.
    std::string shown(text.substr(0, 200));
    if (const auto at = shown.rfind('@'); at != std::string::npos) {
        const auto scheme = shown.find("://");
        const auto from = scheme == std::string::npos ? 0 : scheme + 3;
        if (at > from) {
            shown.replace(from, at - from, "***");
        }
    }
    return fail_usage("not a usable URL: \"" + to_valid_utf8(shown) + "\" (" + std::string(why) + ")",
                      "give an absolute http:// or https:// URL");
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

bool clean(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127; });
}

/// RFC 3986 §5.2.4, on the path alone.
std::string without_dot_segments(std::string_view path) {
    std::vector<std::string_view> kept;
    bool slash_at_end = false;
    while (!path.empty()) {
        path.remove_prefix(1); // the '/'
        const auto end = std::min(path.find('/'), path.size());
        const std::string_view segment = path.substr(0, end);
        path.remove_prefix(end);
        slash_at_end = false;
        if (segment == ".." || segment == ".") {
            if (segment == ".." && !kept.empty()) {
                kept.pop_back();
            }
            slash_at_end = true;
        } else {
            kept.push_back(segment);
        }
    }
    std::string out;
    for (const std::string_view segment : kept) {
        out += "/";
        out += segment;
    }
    if (slash_at_end || out.empty()) {
        out += "/";
    }
    return out;
}

} // namespace

std::string Url::authority() const {
    std::string out = host.contains(':') ? "[" + host + "]" : host;
    if (port != (https ? 443 : 80)) {
        out += ":" + std::to_string(port);
    }
    return out;
}

std::string Url::origin() const {
    return (https ? "https://" : "http://") + authority();
}

std::string Url::text() const {
    return origin() + target;
}

Result<Url> parse_url(std::string_view text) {
    if (text.size() > longest_url) {
        return bad(text, "longer than 8 KiB");
    }
    if (!clean(text)) {
        return bad(text, "holds white space, control or non-ASCII characters");
    }
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string_view::npos) {
        return bad(text, "no scheme");
    }
    Url url;
    const std::string scheme = lower(text.substr(0, scheme_end));
    if (scheme == "https") {
        url.https = true;
    } else if (scheme == "http") {
        url.https = false;
    } else {
        return bad(text, "scheme is neither http nor https");
    }
    url.port = url.https ? 443 : 80;
    std::string_view rest = text.substr(scheme_end + 3);
    rest = rest.substr(0, rest.find('#'));
    const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
    std::string_view authority = rest.substr(0, authority_end);
    const std::string_view target = rest.substr(authority_end);
    if (authority.find_first_of("\\\"<>^`{|}") != std::string_view::npos) {
        return bad(text,
                   "holds a character no host or user name has"); // parsers disagree about where it ends
    }
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        const std::string_view user = authority.substr(0, at);
        const auto colon = user.find(':');
        url.username = percent_decode(user.substr(0, colon));
        if (colon != std::string_view::npos) {
            url.password = percent_decode(user.substr(colon + 1));
        }
        authority.remove_prefix(at + 1);
    }
    std::string_view port;
    bool has_port = false;
    if (authority.starts_with('[')) {
        const auto close = authority.find(']');
        if (close == std::string_view::npos) {
            return bad(text, "unclosed [");
        }
        url.host = lower(authority.substr(1, close - 1));
        if (!std::ranges::all_of(url.host, [](char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
            })) {
            return bad(text, "not an IPv6 address");
        }
        const std::string_view after = authority.substr(close + 1);
        if (!after.empty() && !after.starts_with(':')) {
            return bad(text, "something follows ]");
        }
        has_port = !after.empty();
        port = has_port ? after.substr(1) : after;
    } else {
        const auto colon = authority.find(':');
        url.host = lower(authority.substr(0, colon));
        has_port = colon != std::string_view::npos;
        port = has_port ? authority.substr(colon + 1) : std::string_view();
        if (!std::ranges::all_of(url.host, [](char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '_';
            })) {
            return bad(text, "a host name is letters, digits, dots and dashes");
        }
    }
    if (url.host.empty() || url.host.size() > 253) {
        return bad(text, "no host");
    }
    if (has_port && !port.empty()) {
        unsigned value = 0;
        const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), value);
        if (ec != std::errc() || end != port.data() + port.size() || value == 0 || value > 65535) {
            return bad(text, "bad port");
        }
        url.port = static_cast<std::uint16_t>(value);
    }
    url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
    return url;
}

Result<Url> resolve_url(const Url& base, std::string_view location) {
    if (location.size() > longest_url || !clean(location) || location.empty()) {
        return bad(location, "in a Location header");
    }
    const auto scheme_end = location.find("://");
    if (scheme_end != std::string_view::npos && scheme_end < location.find_first_of("/?#")) {
        return parse_url(location);
    }
    if (location.starts_with("//")) {
        return parse_url((base.https ? "https:" : "http:") + std::string(location));
    }
    Url url = base;
    url.username.clear();
    url.password.clear();
    location = location.substr(0, location.find('#'));
    const std::string_view base_path = std::string_view(base.target).substr(0, base.target.find('?'));
    const auto query = std::min(location.find('?'), location.size());
    const std::string_view path = location.substr(0, query);
    const std::string_view rest = location.substr(query);
    if (path.empty()) {
        url.target = std::string(base_path) + std::string(rest);
    } else if (path.starts_with('/')) {
        url.target = without_dot_segments(path) + std::string(rest);
    } else {
        const std::string merged =
            std::string(base_path.substr(0, base_path.rfind('/') + 1)) + std::string(path);
        url.target = without_dot_segments(merged) + std::string(rest);
    }
    return url;
}

} // namespace slipway::http
