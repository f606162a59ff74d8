#include "context/text.hpp"

#include "base/encoding.hpp"

#include <vector>

namespace slipway::context {

namespace {

bool is_space(char32_t rune) noexcept {
    return (rune >= 0x09 && rune <= 0x0d) || rune == ' ' || rune == 0x85 || rune == 0xa0 || rune == 0x1680 ||
           (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 || rune == 0x2029 || rune == 0x202f ||
           rune == 0x205f || rune == 0x3000;
}

} // namespace

Rune decode_rune(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    if (byte(0) < 0x80) {
        return {.value = byte(0), .length = 1};
    }
    const Utf8Step step = utf8_step(text.substr(0, 4));
    if (!step.valid) {
        return {.value = 0xfffd, .length = 1};
    }
    char32_t value = byte(0) & (0xffU >> (step.length + 1));
    for (std::size_t i = 1; i < step.length; ++i) {
        value = (value << 6U) | (byte(i) & 0x3fU);
    }
    return {.value = value, .length = step.length};
}

void append_rune(std::string& to, char32_t rune) {
    if (rune < 0x80) {
        to += static_cast<char>(rune);
        return;
    }
    const int more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
    const unsigned lead = more == 1 ? 0xc0 : more == 2 ? 0xe0 : 0xf0;
    to += static_cast<char>(lead | (rune >> (6U * static_cast<unsigned>(more))));
    for (int i = more - 1; i >= 0; --i) {
        to += static_cast<char>(0x80U | ((rune >> (6U * static_cast<unsigned>(i))) & 0x3fU));
    }
}

std::string_view trim_space(std::string_view text) noexcept {
    while (!text.empty()) {
        const Rune first = decode_rune(text);
        if (!is_space(first.value)) {
            break;
        }
        text.remove_prefix(first.length);
    }
    while (!text.empty()) {
        std::size_t at = text.size() - 1;
        for (int i = 0; i < 3 && at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U; ++i) {
            --at;
        }
        const Rune last = decode_rune(text.substr(at));
        if (at + last.length != text.size() || !is_space(last.value)) {
            break;
        }
        text.remove_suffix(last.length);
    }
    return text;
}

std::string_view trim_slashes(std::string_view text) noexcept {
    while (text.starts_with('/')) {
        text.remove_prefix(1);
    }
    while (text.ends_with('/')) {
        text.remove_suffix(1);
    }
    return text;
}

std::string clean_path(std::string_view path) {
    const bool rooted = path.starts_with('/');
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
        if (part.empty() || part == ".") {
            continue;
        }
        if (part == ".." && !parts.empty() && parts.back() != "..") {
            parts.pop_back();
        } else if (part != ".." || !rooted) {
            parts.push_back(part);
        }
    }
    std::string out = rooted ? "/" : "";
    for (const std::string_view part : parts) {
        out += out.empty() || out == "/" ? "" : "/";
        out += part;
    }
    return out.empty() ? "." : out;
}

} // namespace slipway::context
