#include "archive/sniff.hpp"

#include "archive/name.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

namespace slipway::archive {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t tar_block = 512;
constexpr std::size_t longest_quote = 120;

struct Magic {
    std::string_view bytes;
    Kind kind;
    std::string_view words;
};

constexpr auto magics = std::to_array<Magic>({
    {"PK\x03\x04"sv, Kind::zip, "a zip archive"},
    {"PK\x05\x06"sv, Kind::zip, "a zip archive"},
    {"\x1f\x8b\x08"sv, Kind::gzip, "gzip-compressed"},
    {"\xfd\x37\x7a\x58\x5a\x00"sv, Kind::xz, "xz-compressed"},
    {"\x28\xb5\x2f\xfd"sv, Kind::zstd, "zstd-compressed"},
    {"PK\x07\x08"sv, Kind::other, "one part of a split zip archive"},
    {"7z\xbc\xaf\x27\x1c"sv, Kind::other, "a 7-Zip archive"},
    {"Rar!\x1a\x07"sv, Kind::other, "a RAR archive"},
    {"MSCF"sv, Kind::other, "a cabinet archive"},
    {"xar!"sv, Kind::other, "a xar archive"},
    {"070701"sv, Kind::other, "a cpio archive"},
    {"070702"sv, Kind::other, "a cpio archive"},
    {"070707"sv, Kind::other, "a cpio archive"},
    {"\xc7\x71"sv, Kind::other, "a cpio archive"},
    {"!<arch>\n"sv, Kind::other, "an ar archive or Debian package"},
    {"\xed\xab\xee\xdb"sv, Kind::other, "an RPM package"},
    {"\x04\x22\x4d\x18"sv, Kind::other, "lz4-compressed"},
    {"LZIP"sv, Kind::other, "lzip-compressed"},
    {"\x89LZO"sv, Kind::other, "lzop-compressed"},
    {"\x1f\x9d"sv, Kind::other, "compressed by compress (.Z)"},
    {"\x5d\x00\x00"sv, Kind::other, "lzma-compressed"},
    {"hsqs"sv, Kind::other, "a squashfs file system"},
    {"# v2 git bundle"sv, Kind::other, "a git bundle"},
    {"# v3 git bundle"sv, Kind::other, "a git bundle"},
    {"\x7f"
     "ELF"sv,
     Kind::other, "a Linux program"},
    {"MZ"sv, Kind::other, "a Windows program"},
    {"%PDF"sv, Kind::other, "a PDF document"},
    {"\x89PNG"sv, Kind::other, "a PNG image"},
    {"\xff\xfe"sv, Kind::other, "UTF-16 text"},
    {"\xfe\xff"sv, Kind::other, "UTF-16 text"},
});

bool is_bzip2(std::string_view head) {
    return head.size() >= 10 && head.starts_with("BZh") && head[3] >= '1' && head[3] <= '9' &&
           (head.substr(4, 6) == "\x31\x41\x59\x26\x53\x59"sv ||
            head.substr(4, 6) == "\x17\x72\x45\x38\x50\x90"sv);
}

/// A skippable frame may come before zstd's first.
bool is_zstd_skippable(std::string_view head) {
    return head.size() >= 8 && (static_cast<unsigned char>(head[0]) & 0xf0U) == 0x50 &&
           head.substr(1, 3) == "\x2a\x4d\x18"sv;
}

/// The checksum makes a tar header recognisable without a magic, as v7 has none. Old tars summed signed
/// bytes.
bool is_tar(std::string_view head) {
    if (head.size() < tar_block) {
        return false;
    }
    const std::string_view block = head.substr(0, tar_block);
    if (block.find_first_not_of('\0') == std::string_view::npos) {
        return true; // the end of a tar that holds nothing
    }
    constexpr std::size_t field = 148;
    constexpr std::size_t field_size = 8;
    long stored = 0;
    bool digits = false;
    for (const char c : block.substr(field, field_size)) {
        if (c >= '0' && c <= '7') {
            stored = stored * 8 + (c - '0');
            digits = true;
        } else if (digits || c != ' ') {
            break;
        }
    }
    long unsigned_sum = 0;
    long signed_sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const char c = i >= field && i < field + field_size ? ' ' : block[i];
        unsigned_sum += static_cast<unsigned char>(c);
        signed_sum += static_cast<signed char>(c);
    }
    return digits && (stored == unsigned_sum || stored == signed_sum);
}

bool is_text(std::string_view head) {
    return std::ranges::all_of(head, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= 0x20 ? byte != 0x7f : (c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v');
    });
}

bool begins_with_word(std::string_view text, std::string_view word) {
    return text.size() >= word.size() &&
           std::ranges::equal(text.substr(0, word.size()), word, [](char a, char b) {
               return std::tolower(static_cast<unsigned char>(a)) ==
                      std::tolower(static_cast<unsigned char>(b));
           });
}

/// As the Dockerfile grammar has it: comments, blank lines and directives, then FROM or ARG.
bool is_dockerfile(std::string_view text) {
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        line.remove_prefix(std::min(line.find_first_not_of(" \t\r\f\v"), line.size()));
        if (line.empty() || line.starts_with('#')) {
            continue;
        }
        for (const std::string_view word : {"from"sv, "arg"sv}) {
            if (begins_with_word(line, word) && line.size() > word.size() &&
                " \t\\"sv.contains(line[word.size()])) {
                return true;
            }
        }
        return false;
    }
    return false;
}

std::string first_words(std::string_view text) {
    std::string quote = printable_name(text.substr(0, 4 * longest_quote));
    // Line ends and indentation say nothing here.
    std::string squeezed;
    for (const char c : quote) {
        if (c != ' ' || (!squeezed.empty() && squeezed.back() != ' ')) {
            squeezed += c;
        }
    }
    return printable_name(squeezed, longest_quote);
}

Sniffed sniff_text(std::string_view text) {
    std::string_view trimmed = text;
    trimmed.remove_prefix(std::min(trimmed.find_first_not_of(" \t\r\n\f\v"), trimmed.size()));
    if (trimmed.empty()) {
        return {.kind = Kind::empty, .words = "nothing but white space", .quote = {}};
    }
    if (is_dockerfile(text)) {
        return {.kind = Kind::dockerfile, .words = "a Dockerfile", .quote = {}};
    }
    std::string_view words = "text that is no Dockerfile: its first instruction is neither FROM nor ARG";
    if (begins_with_word(trimmed, "<!doctype html") || begins_with_word(trimmed, "<html")) {
        words = "an HTML page";
    } else if (trimmed.starts_with('<')) {
        words = "an XML document";
    } else if (trimmed.starts_with('{') || trimmed.starts_with('[')) {
        words = "a JSON document";
    } else if (trimmed.starts_with("version https://git-lfs")) {
        words = "a Git LFS pointer";
    }
    return {.kind = Kind::other, .words = std::string(words), .quote = first_words(trimmed)};
}

} // namespace

Sniffed sniff(std::string_view head) {
    if (head.empty()) {
        return {.kind = Kind::empty, .words = "empty", .quote = {}};
    }
    // Before the magic numbers: a tar begins with a file name, and a file may be called "MZ" or "BZh9…".
    if (is_tar(head)) {
        return {.kind = Kind::tar, .words = "a tar archive", .quote = {}};
    }
    if (is_bzip2(head)) {
        return {.kind = Kind::bzip2, .words = "bzip2-compressed", .quote = {}};
    }
    if (is_zstd_skippable(head)) {
        return {.kind = Kind::zstd, .words = "zstd-compressed", .quote = {}};
    }
    for (const Magic& magic : magics) {
        if (head.starts_with(magic.bytes)) {
            return {.kind = magic.kind, .words = std::string(magic.words), .quote = {}};
        }
    }
    constexpr std::string_view utf8_mark = "\xef\xbb\xbf";
    const std::string_view text = head.starts_with(utf8_mark) ? head.substr(utf8_mark.size()) : head;
    if (is_text(text)) {
        return sniff_text(text);
    }
    return {.kind = Kind::other, .words = "neither an archive nor text", .quote = {}};
}

} // namespace slipway::archive
