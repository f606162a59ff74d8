// Sparse checkout in git's cone mode (git-sparse-checkout(1)): whole directories, and of the root and of
// every directory above them the files that lie in it immediately. Pure.
#pragma once

#include "base/result.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

class SparseCone {
  public:
    /// Directories relative to the tree's root; a `/` or `./` in front and a `/` at the end mean nothing.
    /// Error: class usage for `..`, control characters, empty ones, more than 10,000.
    static Result<SparseCone> of(const std::vector<std::string>& directories);

    /// Whether the file, link or submodule at `path` is written.
    [[nodiscard]] bool contains(std::string_view path);

    /// Directories nothing beneath which has been asked for, as written in git's file.
    [[nodiscard]] std::vector<std::string> missed() const;

    /// What git wants in .git/info/sparse-checkout.
    [[nodiscard]] std::string patterns() const;

  private:
    std::map<std::string, bool, std::less<>> whole_; ///< none within another; whether something was asked for
    std::set<std::string, std::less<>> parents_;     ///< of those, without the root
};

} // namespace slipway::source
