#include "lfs/pointer.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace slipway::lfs {

namespace {

constexpr std::string_view white = " \t\r\n\v\f";
constexpr std::array<std::string_view, 3> keys{"version", "oid", "size"};
constexpr std::array<std::string_view, 3> versions{
    "https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2"};

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

/// "sha256:<oid>" → the oid; empty when it is not that.
std::string_view oid_of(std::string_view value) noexcept {
    constexpr std::string_view method = "sha256:";
    if (!value.starts_with(method) || !is_oid(value.substr(method.size()))) {
        return {};
    }
    return value.substr(method.size());
}

/// "ext-N-NAME" → NAME.
std::string_view extension_of(std::string_view key) noexcept {
    const bool sound = key.size() > 6 && key.starts_with("ext-") && is_digit(key[4]) && key[5] == '-';
    return sound ? key.substr(6) : std::string_view();
}

} // namespace

bool is_oid(std::string_view text) noexcept {
    return text.size() == 64 &&
           std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

std::optional<Pointer> parse_pointer(std::string_view text) {
    if (text.size() > longest_pointer) {
        return std::nullopt;
    }
    Pointer pointer;
    std::size_t next_key = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line = line.substr(0, line.find_last_not_of(white) + 1);
        if (line.empty()) {
            continue;
        }
        const std::size_t border = line.find(' ');
        if (border == std::string_view::npos || next_key == keys.size()) {
            return std::nullopt;
        }
        const std::string_view key = line.substr(0, border);
        const std::string_view value = line.substr(border + 1);
        if (key != keys[next_key]) {
            const std::string_view extension = extension_of(key);
            if (next_key == 0 || extension.empty() || oid_of(value).empty()) {
                return std::nullopt;
            }
            pointer.extensions.emplace_back(extension);
            continue;
        }
        ++next_key;
        if (key == "version" && std::ranges::find(versions, value) == versions.end()) {
            return std::nullopt;
        }
        if (key == "oid") {
            pointer.oid = oid_of(value);
            if (pointer.oid.empty()) {
                return std::nullopt;
            }
        }
        if (key == "size") {
            std::int64_t size = -1;
            const auto [stop, failure] = std::from_chars(value.data(), value.data() + value.size(), size);
            if (failure != std::errc{} || stop != value.data() + value.size() || size < 0) {
                return std::nullopt;
            }
            pointer.size = static_cast<std::uint64_t>(size);
        }
    }
    return next_key == keys.size() ? std::optional(std::move(pointer)) : std::nullopt;
}

} // namespace slipway::lfs
