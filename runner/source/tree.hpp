// What a commit and its trees say.
#pragma once

#include "source/git.hpp"
#include "source/library.hpp"

#include <cstdint>
#include <expected>
#include <git2.h>
#include <string_view>
#include <vector>

namespace slipway::source {

/// Id, dates, author, subject.
void describe_commit(const git_commit* commit, Checkout& into);

struct TreeEntry {
    std::uint32_t mode = 0; ///< one of git_filemode_t's, UNREADABLE excepted
    std::string_view name;  ///< within the tree's content
    git_oid id{};
};

/// The entries of a tree object, in its order. An error when it is no tree, or one that must not become a
/// work tree: a forbidden name (checkout_names.hpp), a name that stands in it twice, another order than
/// git's.
std::expected<std::vector<TreeEntry>, LibraryError> parse_tree(std::string_view content);

} // namespace slipway::source
