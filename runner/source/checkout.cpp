#include "source/checkout.hpp"

#include "base/file.hpp"
#include "source/checkout_index.hpp"
#include "source/checkout_writer.hpp"
#include "source/tree.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <format>
#include <optional>
#include <unistd.h>
#include <utility>

namespace slipway::source {
namespace {

// A tree may name itself many times over in few bytes; these are beyond any honest one.
constexpr std::size_t most_entries = 4'000'000;
constexpr std::size_t largest_index = 1U << 30U;
constexpr std::size_t longest_path = 4095; // PATH_MAX, without its NUL

/// Goes through the trees, fills the index and sorts out what is to be written.
class Walk {
  public:
    Walk(git_odb* objects, const CheckoutRules& rules, const StopToken& stop, const EarlyFiles* early)
        : objects_(objects), rules_(rules), stop_(stop), early_(early) {}

    std::expected<void, LibraryError> run(const git_oid& root);

    IndexFile index;
    std::vector<CheckoutItem> items; ///< what is to be written, in the index's order
    CheckoutFacts written;           ///< early
    bool has_submodules = false;
    bool uses_lfs = false; ///< by attributes that are not written themselves

  private:
    struct Level {
        DatabaseObject tree; ///< what the names below lie in
        std::vector<TreeEntry> entries;
        std::size_t next = 0;
        std::size_t outer = 0; ///< length of the path above
        std::optional<std::uint32_t> early;
    };

    std::expected<void, LibraryError> descend(std::string_view name, const git_oid& id,
                                              std::optional<std::uint32_t> early);
    std::expected<void, LibraryError> take(const Level& level, std::size_t number);

    git_odb* objects_;
    const CheckoutRules& rules_;
    const StopToken& stop_;
    const EarlyFiles* early_;
    std::vector<Level> levels_;
    std::string directory_; ///< of the innermost level, with a slash at its end
    std::size_t count_ = 0;
};

std::expected<void, LibraryError> Walk::descend(std::string_view name, const git_oid& id,
                                                std::optional<std::uint32_t> early) {
    git_odb_object* object = nullptr;
    if (const int rc = git_odb_read(&object, objects_, &id); rc < 0) {
        return std::unexpected(take_error(rc));
    }
    Level level{
        .tree = DatabaseObject(object), .entries = {}, .next = 0, .outer = directory_.size(), .early = early};
    if (git_odb_object_type(object) != GIT_OBJECT_TREE) {
        return std::unexpected(
            library_error(GIT_ERROR_TREE, std::format("'{}{}' is not a tree", directory_, name)));
    }
    TRY_ASSIGN(level.entries, parse_tree(content_of(*object)));
    index.open_tree(name, id);
    if (!levels_.empty()) {
        directory_.append(name).append(1, '/');
    }
    levels_.push_back(std::move(level));
    return {};
}

std::expected<void, LibraryError> Walk::take(const Level& level, std::size_t number) {
    const TreeEntry entry = level.entries[number];
    if (directory_.size() + entry.name.size() > longest_path) {
        return std::unexpected(library_error(
            GIT_ERROR_CHECKOUT, std::format("a path is longer than {} bytes: '{}…'", longest_path,
                                            (directory_ + std::string(entry.name)).substr(0, 64))));
    }
    if (entry.mode == GIT_FILEMODE_TREE) {
        return descend(entry.name, entry.id,
                       level.early ? early_->directory(*level.early, number) : std::nullopt);
    }
    if (++count_ > most_entries || index.size() > largest_index) {
        return std::unexpected(library_error(GIT_ERROR_CHECKOUT,
                                             std::format("the tree has more than {} entries", most_entries)));
    }
    bool wanted = true;
    if (rules_.is_written) {
        wanted = rules_.is_written(directory_ + std::string(entry.name));
    }
    has_submodules = has_submodules || entry.mode == GIT_FILEMODE_COMMIT;
    const IndexFile::Entry indexed = index.add(directory_, entry.name, entry.mode, entry.id, !wanted);
    if (const FileStat* info = level.early ? early_->file(*level.early, number) : nullptr) {
        index.set_stat(indexed, *info);
        ++written.files;
        written.bytes += info->size;
    } else if (wanted) {
        items.push_back({.entry = indexed,
                         .directory = static_cast<std::uint32_t>(directory_.size()),
                         .mode = entry.mode});
    } else if (entry.name == ".gitattributes" && entry.mode != GIT_FILEMODE_COMMIT) {
        git_odb_object* object = nullptr;
        if (const int rc = git_odb_read(&object, objects_, &entry.id); rc < 0) {
            return std::unexpected(take_error(rc));
        }
        const DatabaseObject owned(object);
        uses_lfs = uses_lfs || names_lfs_filter(content_of(*owned));
    }
    return {};
}

std::expected<void, LibraryError> Walk::run(const git_oid& root) {
    TRY(descend({}, root, early_ == nullptr ? std::nullopt : early_->root()));
    while (!levels_.empty()) {
        if (stop_.requested()) {
            return std::unexpected(stopped_error());
        }
        Level& level = levels_.back();
        if (level.next == level.entries.size()) {
            directory_.resize(level.outer);
            levels_.pop_back();
            index.close_tree();
            continue;
        }
        TRY(take(level, level.next++));
    }
    return {};
}

} // namespace

std::expected<CheckoutFacts, LibraryError>
checkout_tree(git_repository* repository, const git_commit* commit, const std::filesystem::path& into,
              const CheckoutRules& rules, const CheckoutWatch& watch, const EarlyFiles* early) {
    if (early != nullptr && early->root() && git_oid_cmp(&early->tree(), git_commit_tree_id(commit)) != 0) {
        return std::unexpected(
            library_error(GIT_ERROR_CHECKOUT, "the commit is not the one that was announced"));
    }
    git_odb* raw = nullptr;
    if (const int rc = git_repository_odb(&raw, repository); rc < 0) {
        return std::unexpected(take_error(rc));
    }
    const Database objects(raw);
    Walk walk(raw, rules, watch.stop, early);
    TRY(walk.run(*git_commit_tree_id(commit)));

    const Fd root(::open(into.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
        return std::unexpected(system_error(into.string(), errno));
    }
    CheckoutWriter writer(raw, root.get(), walk.index, rules, watch);
    TRY_ASSIGN(CheckoutFacts facts, writer.run(walk.items, early, walk.written));
    facts.has_submodules = walk.has_submodules;
    if (!walk.uses_lfs && !writer.uses_lfs()) {
        facts.lfs_pointers = 0;
    }
    const std::filesystem::path file = std::filesystem::path(git_repository_path(repository)) / "index";
    if (const Status written = write_file_atomic(file, walk.index.finish()); !written) {
        return std::unexpected(library_error(GIT_ERROR_OS, written.error().cause));
    }
    return facts;
}

} // namespace slipway::source
