// What bytes are, told by the bytes: never by a name or a Content-Type, which servers get wrong.
//
// Input: the beginning of a file, up to `sniff_bytes` (less is fine: it is then taken for the whole file).
// Sources: POSIX ustar and v7 tar headers (checksum), PKWARE's APPNOTE, the magic numbers of RFC 1952, bzip2,
// xz and RFC 8878; the formats refused by name by their documented magic numbers.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace slipway::archive {

enum class Kind {
    empty,
    tar,
    zip,
    gzip,
    bzip2,
    xz,
    zstd,
    dockerfile, ///< text whose first instruction is FROM or ARG
    other,      ///< nothing that can be a source
};

inline constexpr std::size_t sniff_bytes = std::size_t{64} << 10U;

struct Sniffed {
    Kind kind = Kind::other;
    std::string words; ///< for a person, with its article: "a zip archive", "an HTML page"
    std::string quote; ///< of text that is no source: its first words, one printable line; may be empty
};

Sniffed sniff(std::string_view head);

/// gzip, bzip2, xz, zstd.
constexpr bool is_compression(Kind kind) noexcept {
    return kind == Kind::gzip || kind == Kind::bzip2 || kind == Kind::xz || kind == Kind::zstd;
}

} // namespace slipway::archive
