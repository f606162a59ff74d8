// Go's view of text and paths, which decides what an ignore pattern means. Internal to the room.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace slipway::context {

struct Rune {
    char32_t value = 0;
    std::size_t length = 1; ///< bytes
};

/// The first character of `text` (not empty); a byte that begins no well-formed one is U+FFFD of length 1.
Rune decode_rune(std::string_view text) noexcept;

void append_rune(std::string& to, char32_t rune);

/// Without Unicode's white space at both ends.
std::string_view trim_space(std::string_view text) noexcept;

std::string_view trim_slashes(std::string_view text) noexcept;

/// Shortest lexically equal path: no `.`, no doubled or trailing slash, `..` resolved; "." for nothing.
std::string clean_path(std::string_view path);

} // namespace slipway::context
