// Whole-file reading and writing, and opening paths that somebody else chose.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace slipway {

/// Content of a file we or our caller named (options, mounted secrets). Not found is class usage.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit = 16U << 20U);

/// Replaces `path` in one step: a temporary file beside it, then rename. `mode` is set whatever the umask.
Status write_file_atomic(const std::filesystem::path& path, std::string_view content, mode_t mode = 0644);

/// Creates `path` and its missing parents with `mode` (umask applies). Existing is fine.
Status make_directories(const std::filesystem::path& path, mode_t mode = 0775);

/// Opens `relative` below the directory `root` with openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS):
/// neither `..` nor an absolute name nor a symlink can leave the directory. `flags` as for open(2).
/// A path that tries is class build, code contextissue; a missing one is too, with `missing` in errno terms:
/// the Error's `cause` ends in "No such file or directory".
Result<Fd> open_beneath(int root, const std::filesystem::path& relative, int flags, mode_t mode = 0);

/// Opens a directory (O_PATH is not set: it can be read).
Result<Fd> open_directory(const std::filesystem::path& path);

/// A directory of our own, mode 0700, removed with everything in it when the object goes.
class TemporaryDirectory {
  public:
    /// Below `parent`, or below $TMPDIR or /tmp when it is empty.
    static Result<TemporaryDirectory> create(std::string_view prefix,
                                             const std::filesystem::path& parent = {});

    TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept;
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory();

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  private:
    explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    std::filesystem::path path_;
};

} // namespace slipway
