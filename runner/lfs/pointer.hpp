// Git LFS pointers (git-lfs's docs/spec.md, version 1): the small text file git keeps in place of a large
// one.
//
// Read as git-lfs itself reads them: any of the three version URLs ever written, blank lines and CR before LF
// passed over, keys in the order version, ext-…, oid, size and no others, under 1,024 bytes in all. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::lfs {

inline constexpr std::size_t longest_pointer = 1023;
/// SHA-256 of nothing.
inline constexpr std::string_view empty_oid =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct Pointer {
    std::string oid;        ///< SHA-256 of the content, 64 lower-case hexadecimal digits
    std::uint64_t size = 0; ///< bytes, at most 2^63-1
    /// Names of the extensions ("ext-N-NAME"): programs of the author's machine the content has gone through
    /// since, so what the server keeps is not what the file held.
    std::vector<std::string> extensions;
};

/// What a file says as a pointer; nothing when it is none.
std::optional<Pointer> parse_pointer(std::string_view text);

/// 64 lower-case hexadecimal digits?
bool is_oid(std::string_view text) noexcept;

} // namespace slipway::lfs
