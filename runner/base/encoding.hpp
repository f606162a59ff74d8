// Text encodings of bytes: base64 (RFC 4648 §4), percent-encoding (RFC 3986), hexadecimal, UTF-8.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace slipway {

std::string base64_encode(std::string_view bytes);
/// Accepts both alphabets (§4 and §5), with or without padding; nothing else, not even white space.
std::optional<std::string> base64_decode(std::string_view text);

/// Everything but RFC 3986 "unreserved" becomes %XX (upper case).
std::string percent_encode(std::string_view bytes);
/// %XX → byte; a malformed escape stays as it is.
std::string percent_decode(std::string_view text);

std::string hex_encode(std::string_view bytes);

/// Valid UTF-8: every byte that is not part of a well-formed sequence becomes U+FFFD (one per maximal
/// subpart, as Unicode recommends).
std::string to_valid_utf8(std::string_view bytes);

/// Text from outside, fit to stand in a message: one line of valid UTF-8 without control characters (C0, DEL
/// and C1 become spaces), without blanks around it. What is longer than `limit` bytes is cut and ends in "…".
std::string one_line(std::string_view text, std::size_t limit = 300);

/// What stands at the start of bytes.
struct Utf8Step {
    std::size_t length = 0; ///< of the well-formed sequence, or of the maximal subpart to replace
    bool valid = false;
};

/// The first sequence of `bytes` (not empty), as Unicode table 3-7 has it.
Utf8Step utf8_step(std::string_view bytes);

} // namespace slipway
