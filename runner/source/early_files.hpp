// Files of a checkout that are written while the pack that holds them is still arriving.
//
// A pack has a commit before its trees, and mostly a tree before what is in it; so what a file is called is
// known when its content comes by, inflated, and need not be read from the pack again. Taken ahead is what
// is simple: regular files, in directories whose .gitattributes have all come, that are written as they are
// stored. Links, submodules, .gitattributes, Git LFS pointers and what attributes convert or name a filter
// for are left to the checkout, and so is every error: at the first one nothing further is written here, and
// the checkout meets it again.
//
// The rules are the checkout's: a tree with a name that is refused is not looked into, nothing is replaced,
// nothing written through a link. Memory is bounded: 16 MiB of trees, and some 150 bytes for each of at most
// 250,000 entries; what lies beyond is the checkout's again.
#pragma once

#include "base/fd.hpp"
#include "source/attributes.hpp"
#include "source/checkout_index.hpp"
#include "source/pack_format.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <git2.h>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace slipway::source {

class EarlyFiles {
  public:
    /// The work tree need not be there before the first object is.
    explicit EarlyFiles(std::filesystem::path work_tree) : work_tree_(std::move(work_tree)) {}
    EarlyFiles(const EarlyFiles&) = delete;
    EarlyFiles& operator=(const EarlyFiles&) = delete;

    /// The commit that will be checked out, or a tag of it. Before that, and without it, nothing is written.
    void expect(const git_oid& commit) { awaited_commit_ = commit; }

    /// An object of a pack, once; one call at a time.
    void take(PackType type, const git_oid& id, std::string_view content);

    // Once all have come. Directories are numbers.

    /// The root of what was written. Nothing = nothing was.
    [[nodiscard]] std::optional<std::uint32_t> root() const;
    /// The tree that root is of.
    [[nodiscard]] const git_oid& tree() const { return awaited_tree_; }
    /// The directory that is a directory's entry; the number is that of its tree's order.
    [[nodiscard]] std::optional<std::uint32_t> directory(std::uint32_t directory, std::size_t entry) const;
    /// The file that is a directory's entry, if it was written.
    [[nodiscard]] const FileStat* file(std::uint32_t directory, std::size_t entry) const;
    /// Whether a directory of this path (no slash at its end) was made.
    [[nodiscard]] bool made(std::string_view directory) const { return made_.contains(directory); }

  private:
    struct Directory {
        std::uint32_t parent = 0; ///< the root is its own
        std::string_view name;
        std::string_view tree; ///< its object
        std::size_t first = 0; ///< of its slots
        std::size_t path_length = 0;
        bool awaits_attributes = false; ///< its own .gitattributes
    };
    /// One entry of a directory's tree.
    struct Slot {
        std::uint32_t directory = 0; ///< whose
        std::uint32_t name = 0;      ///< where in the tree; a NUL and the id follow it
        std::uint32_t mode = 0;
        std::uint32_t is = none; ///< which directory, or which of the files written
    };
    /// Slots (their numbers) found by the ids of what belongs there.
    struct Hash {
        using is_transparent = void;
        const EarlyFiles* of;
        std::size_t operator()(std::uint32_t slot) const noexcept;
        std::size_t operator()(const git_oid& id) const noexcept;
    };
    struct Equal {
        using is_transparent = void;
        const EarlyFiles* of;
        bool operator()(std::uint32_t a, std::uint32_t b) const noexcept;
        bool operator()(const git_oid& a, std::uint32_t b) const noexcept;
        bool operator()(std::uint32_t a, const git_oid& b) const noexcept { return (*this)(b, a); }
    };
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    void take_tag(std::string_view content);
    void take_commit(std::string_view content);
    std::string_view keep(std::string_view tree);
    bool open_tree(std::uint32_t parent, std::string_view name, std::string_view content);
    bool take_blob(std::uint32_t slot, std::string_view content);
    bool write(std::uint32_t slot, std::string_view content);
    bool enter(std::uint32_t directory);
    [[nodiscard]] bool has_attributes(std::uint32_t directory) const;
    [[nodiscard]] std::string_view name_of(std::uint32_t slot) const;
    [[nodiscard]] const void* id_of(std::uint32_t slot) const;
    [[nodiscard]] std::string path_of(std::uint32_t directory) const;

    std::filesystem::path work_tree_;
    std::optional<git_oid> awaited_commit_;
    git_oid awaited_tree_{};
    bool knows_tree_ = false;
    bool ended_ = false; ///< nothing further is written
    std::unordered_multiset<std::uint32_t, Hash, Equal> awaited_{0, Hash{this}, Equal{this}};
    std::vector<std::unique_ptr<const std::string>> trees_; ///< what names lie in
    std::size_t tree_bytes_ = 0;
    std::vector<Directory> directories_;
    std::vector<Slot> slots_;
    std::deque<FileStat> written_;
    Attributes attributes_;
    Fd root_;
    Fd inside_; ///< the directory last written to
    std::uint32_t inside_number_ = none;
    std::set<std::string, std::less<>> made_;
};

} // namespace slipway::source
