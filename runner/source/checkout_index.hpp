// .git/index in the making: version 2, or 3 once an entry is marked skip-worktree, with the cache of trees
// that lets `git status` pass over what HEAD has as well. Format: git's index-format documentation.
#pragma once

#include "source/library.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <git2.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

namespace slipway::source {

/// What the index keeps of a file's stat data. There may be very many: 40 bytes where the system's take 144.
struct FileStat {
    explicit FileStat(const struct stat& info);

    std::uint64_t size = 0;
    std::uint32_t changed_seconds = 0;
    std::uint32_t changed_nanoseconds = 0;
    std::uint32_t modified_seconds = 0;
    std::uint32_t modified_nanoseconds = 0;
    std::uint32_t device = 0;
    std::uint32_t inode = 0;
    std::uint32_t user = 0;
    std::uint32_t group = 0;
};

/// Entries are added in the index's order and never move, so several threads may each give stat data to
/// entries of their own.
class IndexFile {
  public:
    IndexFile();

    struct Entry {
        std::size_t at = 0; ///< of the record in the file
    };

    /// Trees nest: everything added between the two is below `name` (empty for the root).
    void open_tree(std::string_view name, const git_oid& id);
    void close_tree();
    Entry add(std::string_view directory, std::string_view name, std::uint32_t mode, const git_oid& id,
              bool skip_worktree);

    void set_stat(Entry entry, const FileStat& info);
    /// Ends in a NUL that is not part of it. Valid until the next entry is added.
    [[nodiscard]] std::string_view path(Entry entry) const;
    [[nodiscard]] git_oid id(Entry entry) const;

    [[nodiscard]] std::size_t size() const { return file_.size(); }

    /// The whole file; nothing can be added afterwards.
    [[nodiscard]] std::string_view finish();

  private:
    struct Tree {
        std::string name;
        git_oid id;
        std::uint32_t entries = 0; ///< number of the first one; once closed, how many
        std::uint32_t subtrees = 0;
    };

    std::string file_;
    std::vector<Tree> trees_;
    std::vector<std::size_t> open_;
    std::uint32_t count_ = 0;
    bool extended_ = false;
};

} // namespace slipway::source
