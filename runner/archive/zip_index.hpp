// A zip's central directory, read and held against the local headers before anything is unpacked.
//
// A zip says everything twice: programs that believe one place and unpack by the other can be shown one tree
// and given another, and overlapping entries make a small file a huge tree. So: the end record must end the
// file, every entry's local header must name the same file and method, entries may not overlap each other or
// the directory. Source of the format: PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5 (with zip64; no split
// archives).
//
// The names are also needed because libarchive, without a character set library, gives none for what is
// marked UTF-8.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace slipway::archive {

struct ZipEntry {
    std::uint64_t offset = 0; ///< of its local header
    std::string name;         ///< bytes as stored: UTF-8, or a code page nobody wrote down
};

/// Entries in the order of their offsets, which is libarchive's. `size` is the file's; more than `limit`
/// entries are an error. Errors: build/cannotextractbuildpack; errno's.
Result<std::vector<ZipEntry>> read_zip_index(int fd, std::uint64_t size, std::uint64_t limit);

} // namespace slipway::archive
