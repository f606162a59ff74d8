// The part of a checkout that makes directories, files and links, with several threads.
#pragma once

#include "base/fd.hpp"
#include "source/checkout.hpp"
#include "source/checkout_index.hpp"
#include "source/early_files.hpp"

#include <atomic>
#include <cstdint>
#include <git2.h>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>

namespace slipway::source {

struct CheckoutItem {
    IndexFile::Entry entry;
    std::uint32_t directory = 0; ///< how much of its path, the slash included
    std::uint32_t mode = 0;      ///< a git_filemode_t, no tree
};

/// Whether attributes say that files of theirs are kept by Git LFS.
[[nodiscard]] bool names_lfs_filter(std::string_view attributes);

/// Whether this may be what stands for a file that is kept by Git LFS.
[[nodiscard]] bool looks_like_lfs_pointer(std::string_view content);

/// Makes a file that is not there yet: `name` in `directory`, of a git_filemode_t. On an error, which the
/// system gave (a value of errno), there is none.
std::expected<void, int> create_file(int directory, const std::string& name, std::uint32_t mode,
                                     std::string_view content, struct stat& info);

class CheckoutWriter {
  public:
    /// `root`: the work tree. The index gets the items' stat data.
    CheckoutWriter(git_odb* objects, int root, IndexFile& index, const CheckoutRules& rules,
                   const CheckoutWatch& watch)
        : objects_(objects), root_(root), index_(index), rules_(rules), watch_(watch) {}

    /// Once. Items in the index's order; `early` has been there before, with directories of the same tree.
    std::expected<CheckoutFacts, LibraryError> run(std::span<const CheckoutItem> items,
                                                   const EarlyFiles* early, const CheckoutFacts& written);

    /// Some .gitattributes written names the LFS filter.
    [[nodiscard]] bool uses_lfs() const { return uses_lfs_; }

  private:
    using Done = std::expected<void, LibraryError>;
    /// What one thread works with.
    struct Worker {
        Fd directory;
        std::string_view path; ///< of `directory`
        CheckoutFacts facts;
    };

    Done make_directories();
    Done write_files();
    Done write_links();
    void work(Worker& worker, bool tells);
    Done write_file(Worker& worker, const CheckoutItem& item);
    Done write_content(Worker& worker, const CheckoutItem& item, std::string_view content);
    Done enter(Worker& worker, const CheckoutItem& item);
    void fail_with(LibraryError error);
    void tell() const;

    git_odb* objects_;
    int root_;
    IndexFile& index_;
    const CheckoutRules& rules_;
    const CheckoutWatch& watch_;
    std::span<const CheckoutItem> items_;
    const EarlyFiles* early_ = nullptr;
    CheckoutFacts facts_;
    std::size_t early_count_ = 0;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> done_{0};
    std::atomic<bool> uses_lfs_{false};
    std::atomic<bool> failed_{false};
    std::mutex mutex_;
    LibraryError error_; ///< the first one
};

} // namespace slipway::source
