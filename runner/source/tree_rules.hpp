// What has a say in one checkout besides the tree itself: --sparse, and the .gitattributes in that tree
// (those of the machine are not looked at).
#pragma once

#include "source/attributes.hpp"
#include "source/checkout.hpp"
#include "source/sparse.hpp"

#include <git2.h>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace slipway::source {

class TreeRules {
  public:
    TreeRules(git_repository* repository, const git_commit* commit, const std::vector<std::string>& sparse)
        : repository_(repository), commit_(commit), sparse_(sparse) {}

    /// Writes what git wants to find in .git of a sparse checkout.
    Status prepare();

    /// For checkout_tree, once, while `*this` lives. Relies on its asking about every path before it converts
    /// any.
    [[nodiscard]] CheckoutRules rules();

    /// Afterwards, a line each: what was not done, and what was not found.
    [[nodiscard]] std::vector<std::string> notes() const;

  private:
    using Converted = std::expected<std::optional<std::string>, LibraryError>;

    bool is_written(std::string_view path);
    Converted convert(std::string_view path, std::string_view stored);
    void load_attributes();

    git_repository* repository_;
    const git_commit* commit_;
    const std::vector<std::string>& sparse_;
    std::optional<SparseCone> cone_;
    std::set<std::string, std::less<>> attribute_directories_;
    std::once_flag loaded_;
    Attributes attributes_;
    std::optional<LibraryError> unreadable_;
    std::mutex mutex_; ///< of what follows
    std::set<std::string, std::less<>> filters_;
    std::set<std::string, std::less<>> encodings_;
};

} // namespace slipway::source
