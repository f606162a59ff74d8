// A commit's tree as files: writing it out, and saying what is in it.
#pragma once

#include "source/git.hpp"

#include <git2.h>

namespace slipway::source {

struct CheckoutWatch {
    const StopToken& stop;
    const std::function<void(std::uint64_t done, std::uint64_t total)>& on_checkout;
};

/// Writes the commit's tree into the (empty) work tree; content as stored, without filters or conversions.
/// Returns libgit2's code.
int checkout_tree(git_repository* repository, const git_commit* commit, CheckoutWatch& watch);

/// Id, dates, author, subject.
void describe_commit(const git_commit* commit, Checkout& into);

/// Counts, submodules, Git LFS pointers, from the index just written. Returns libgit2's code.
int describe_tree(git_repository* repository, Checkout& into);

} // namespace slipway::source
