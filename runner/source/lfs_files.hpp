// What a checked-out tree says about Git LFS: which files may be pointers, what .lfsconfig asks for; and
// telling the index, afterwards, that their content is theirs.
//
// Read from the index and the objects behind it, never from files of the work tree, which a checkout may have
// converted. Errors: build/gitfailure for more candidates than `most_lfs_files`.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace slipway::source {

inline constexpr std::size_t most_lfs_files = 500'000;

struct LfsFile {
    std::string path; ///< relative to the tree, as the index has it
    std::string text; ///< content of the blob, under 1,024 bytes: a pointer or not
};

struct LfsTree {
    std::filesystem::path git_dir;
    /// Regular files that are checked out, whose attributes say filter=lfs and whose blob is as small as a
    /// pointer.
    std::vector<LfsFile> files;
    std::size_t excluded = 0; ///< left out as lfs.fetchinclude and lfs.fetchexclude want it
    std::string url;          ///< lfs.url of .lfsconfig; empty = none
    std::string remote_url;   ///< remote.origin.lfsurl of .lfsconfig; empty = none
};

/// `tree` is a repository's work tree.
Result<LfsTree> find_lfs_files(const std::filesystem::path& tree);

/// Takes the present size and times of `paths` into the index, whose ids stay: as `git update-index
/// --refresh` does where git-lfs is installed, and what keeps `git status` quiet where it is not.
Status refresh_index(const std::filesystem::path& tree, const std::vector<std::string>& paths);

} // namespace slipway::source
