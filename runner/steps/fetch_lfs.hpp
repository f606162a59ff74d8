// Git LFS within the fetch step: pointers of a checked-out repository become content.
#pragma once

#include "base/result.hpp"
#include "cli/params.hpp"
#include "source/credentials.hpp"
#include "steps/step.hpp"

#include <filesystem>
#include <string>

namespace slipway::steps {

/// One repository's work tree; a submodule is another.
struct LfsWork {
    std::filesystem::path tree;
    std::string url; ///< as fetched from, after insteadOf; may hold credentials
    std::string ref; ///< full name of what was fetched; empty = a bare commit
    const source::CredentialStore& store;
};

/// Fetches what the pointers stand for, or with --lfs=false says how many there are. On failure files are in
/// any state: the caller empties the tree.
Status fetch_lfs(const LfsWork& work, const cli::Fetch& params, Step& step);

} // namespace slipway::steps
