// A commit's tree written out as files, and .git/index with them.
//
// Inputs: a repository whose object database holds the tree; the work tree's directory, which holds .git and
// otherwise nothing. Output: files, links, directories (an empty one for each submodule), the index with true
// stat data, and counts. Modes as git has them: 0644 or 0755 under the umask; links as links.
//
// The tree is somebody else's: a name that is empty, `.`, `..`, holds a slash or is `.git` in any disguise
// (other case, what HFS+ ignores, what NTFS takes for it), an entry that stands in its tree twice and a path
// no system call would take are refused before anything is written but what EarlyFiles has. Nothing is
// written through a link: links are made when all else is there.
//
// Errors are libgit2's (git_error.hpp says what they mean): klass OS with the system's words for what this
// machine refused; klass CHECKOUT or TREE, or whatever reading an object gave, for what is wrong with the
// repository; GIT_EUSER when the stop token fired.
#pragma once

#include "base/stop.hpp"
#include "source/early_files.hpp"
#include "source/library.hpp"

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <git2.h>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::source {

/// Who has a say in what is written. Both empty: everything, as it is stored. Paths are relative to the work
/// tree, with '/', any bytes but NUL.
struct CheckoutRules {
    /// Whether this file, link or submodule is written. Those that are not stand in the index alone, marked
    /// skip-worktree, and no directory is made for them. Asked once each, in the index's order, on the
    /// calling thread.
    std::function<bool(std::string_view path)> is_written;
    /// A regular file's content as the work tree has it; nothing = as stored. Called from several threads at
    /// once.
    std::function<std::expected<std::optional<std::string>, LibraryError>(std::string_view path,
                                                                          std::string_view stored)>
        convert;
};

struct CheckoutWatch {
    const StopToken& stop;
    /// Files, links and submodules. Called on the calling thread, at last with done == total.
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_checkout;
};

/// What was written.
struct CheckoutFacts {
    std::uint64_t files = 0; ///< regular files and links
    std::uint64_t bytes = 0; ///< of their content, as written
    bool has_submodules = false;
    /// Files that are Git LFS pointers, in a tree whose .gitattributes name that filter.
    std::uint64_t lfs_pointers = 0;
};

/// `early`: what has been written already, if anything; none where `rules.is_written` may say no.
std::expected<CheckoutFacts, LibraryError>
checkout_tree(git_repository* repository, const git_commit* commit, const std::filesystem::path& into,
              const CheckoutRules& rules, const CheckoutWatch& watch, const EarlyFiles* early = nullptr);

} // namespace slipway::source
