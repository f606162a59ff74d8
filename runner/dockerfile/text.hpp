// Small text helpers for this room and lint: blanks as Dockerfiles mean them, case, likely misspellings.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace slipway::dockerfile {

/// Blanks between words: space, tab, CR, VT, FF (never LF, which does not occur inside a line).
bool is_blank(char c) noexcept;

/// Length of the leading white space, Unicode's no-break and wide spaces included (editors paste them).
std::size_t leading_space(std::string_view text) noexcept;

std::string_view trim(std::string_view text) noexcept;
std::string_view trim_right(std::string_view text) noexcept;

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// The candidate nearest to `word` (case ignored) within a distance that suggests a slip; empty when none is.
std::string_view closest(std::string_view word, std::span<const std::string_view> candidates);

/// `text` fit for a message: cut to 100 bytes, control characters shown as '?'.
std::string shown(std::string_view text);

} // namespace slipway::dockerfile
