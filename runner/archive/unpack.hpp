// Unpacks an archive nobody vouches for into an empty directory, contained and limited.
//
// Input: a regular file of any content (read with pread) and an open, empty directory. What it is, its bytes
// say (sniff.hpp): tar, zip, gzip, bzip2, xz or zstd round a tar or round a lone Dockerfile, or a lone
// Dockerfile; one layer of compression. Output: the tree (rules: tree.hpp), or one file `Dockerfile`.
//
// Kept: symbolic links as they are, whatever they point to (later steps open beneath the tree), `.git` and
// every other name. Left out, and said in `notes`: devices, fifos and sockets. Refused: names that lead out,
// links through which something would be written, encrypted or inconsistent zips, everything past a limit.
//
// Errors: build/cannotextractbuildpack for whatever the archive is to blame for, with the limit's name where
// it is one; resource/outofdisk; the stop token's. What was written by then stays: the caller empties the
// directory.
#pragma once

#include "base/result.hpp"
#include "base/stop.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::archive {

struct Limits {
    std::uint64_t bytes = std::uint64_t{20} << 30U; ///< of all content, holes included
    std::uint64_t entries = 1'000'000;              ///< files, links and directories
    /// Content may be so many times as large as the archive, once it is past `ratio_from`; 0 = no limit.
    std::uint64_t ratio = 250;
    std::uint64_t ratio_from = std::uint64_t{100} << 20U;
};

struct UnpackOptions {
    Limits limits;
    int strip_components = 0; ///< leading parts of each name to drop, as tar does
};

struct UnpackCallbacks {
    /// Bytes written so far. Often.
    std::function<void(std::uint64_t bytes)> on_progress;
};

struct Unpacked {
    std::string what; ///< "a gzip-compressed tar archive"
    bool lone_dockerfile = false;
    std::uint64_t entries = 0; ///< files, links and directories made
    std::uint64_t bytes = 0;
    std::vector<std::string> notes; ///< one line each, for warnings
};

/// What the directory holds already, of an earlier one, is treated as if this archive had put it there.
Result<Unpacked> unpack(int archive, int directory, const UnpackOptions& options,
                        const UnpackCallbacks& callbacks, const StopToken& stop);

/// Whether unpack() would take the file for an archive, by its bytes.
Result<bool> is_archive(int file);

/// Puts the file as it is into the directory, under a name nobody vouches for.
Result<Unpacked> place_file(int file, int directory, std::string_view name, const Limits& limits,
                            const StopToken& stop);

/// Puts the file as it is into the directory, as `Dockerfile`. Archives and empty files are refused (class
/// usage).
Result<Unpacked> place_dockerfile(int file, int directory, const StopToken& stop);

} // namespace slipway::archive
