#include "source/early_files.hpp"

#include "base/file.hpp"
#include "source/checkout_writer.hpp"
#include "source/tree.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace slipway::source {
namespace {

constexpr std::size_t most_tree_bytes = 16U << 20U;
constexpr std::size_t most_slots = 250'000;
constexpr std::size_t longest_path = 4095;
constexpr std::string_view attributes_file = ".gitattributes";

bool is_file(std::uint32_t mode) {
    return mode == GIT_FILEMODE_BLOB || mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

/// The id behind `label` on the first line, as commits and tags begin.
std::optional<git_oid> id_behind(std::string_view label, std::string_view content) {
    git_oid id{};
    if (!content.starts_with(label) || content.size() < label.size() + GIT_OID_SHA1_HEXSIZE ||
        git_oid_fromstrn(&id, content.data() + label.size(), GIT_OID_SHA1_HEXSIZE) < 0) {
        return std::nullopt;
    }
    return id;
}

/// An id is a hash.
std::size_t hash_of(const void* id) {
    std::size_t hash = 0;
    std::memcpy(&hash, id, sizeof hash);
    return hash;
}

bool same(const void* one, const void* other) {
    return std::memcmp(one, other, GIT_OID_SHA1_SIZE) == 0;
}

} // namespace

std::size_t EarlyFiles::Hash::operator()(std::uint32_t slot) const noexcept {
    return hash_of(of->id_of(slot));
}

std::size_t EarlyFiles::Hash::operator()(const git_oid& id) const noexcept {
    return hash_of(id.id);
}

bool EarlyFiles::Equal::operator()(std::uint32_t a, std::uint32_t b) const noexcept {
    return same(of->id_of(a), of->id_of(b));
}

bool EarlyFiles::Equal::operator()(const git_oid& a, std::uint32_t b) const noexcept {
    return same(a.id, of->id_of(b));
}

void EarlyFiles::take(PackType type, const git_oid& id, std::string_view content) {
    if (ended_ || !awaited_commit_) {
        return;
    }
    if (!knows_tree_) {
        if ((type == PackType::commit || type == PackType::tag) && same(id.id, awaited_commit_->id)) {
            const std::optional<git_oid> next =
                id_behind(type == PackType::tag ? "object " : "tree ", content);
            if (!next) {
                ended_ = true;
            } else if (type == PackType::tag) {
                awaited_commit_ = next;
            } else {
                awaited_tree_ = *next;
                knows_tree_ = true;
            }
        }
        return;
    }
    if (directories_.empty()) {
        if (type == PackType::tree && same(id.id, awaited_tree_.id)) {
            ended_ = !open_tree(0, {}, keep(content));
        }
        return;
    }
    const auto [first, last] = awaited_.equal_range(id);
    if (first == last) {
        return;
    }
    // A tree's entries are awaited in turn, so these come out first.
    const std::vector<std::uint32_t> places(first, last);
    awaited_.erase(first, last);
    const std::string_view text = type == PackType::tree ? keep(content) : content;
    for (const std::uint32_t place : places) {
        const Slot slot = slots_[place];
        if (type == PackType::tree && slot.mode == GIT_FILEMODE_TREE) {
            slots_[place].is = static_cast<std::uint32_t>(directories_.size());
            ended_ = ended_ || !open_tree(slot.directory, name_of(place), text);
        } else if (type == PackType::blob && is_file(slot.mode)) {
            ended_ = ended_ || !take_blob(place, text);
        }
    }
    if (ended_) {
        awaited_.clear();
    }
}

std::string_view EarlyFiles::keep(std::string_view tree) {
    trees_.push_back(std::make_unique<const std::string>(tree));
    return *trees_.back();
}

/// A directory whose tree has come. False = that is as far as this goes.
bool EarlyFiles::open_tree(std::uint32_t parent, std::string_view name, std::string_view content) {
    const auto entries = parse_tree(content);
    const auto number = static_cast<std::uint32_t>(directories_.size());
    const std::size_t path_length = name.empty() ? 0 : directories_[parent].path_length + 1 + name.size();
    if (!entries || slots_.size() + entries->size() > most_slots || path_length > longest_path ||
        (tree_bytes_ += content.size()) > most_tree_bytes) {
        return false;
    }
    directories_.push_back({.parent = parent,
                            .name = name,
                            .tree = content,
                            .first = slots_.size(),
                            .path_length = path_length,
                            .awaits_attributes = false});
    for (const TreeEntry& entry : *entries) {
        slots_.push_back({.directory = number,
                          .name = static_cast<std::uint32_t>(entry.name.data() - content.data()),
                          .mode = entry.mode,
                          .is = none});
        if (is_file(entry.mode) || entry.mode == GIT_FILEMODE_TREE) {
            awaited_.insert(static_cast<std::uint32_t>(slots_.size() - 1));
        }
        if (entry.name == attributes_file && is_file(entry.mode)) {
            directories_.back().awaits_attributes = true;
        }
    }
    return true;
}

bool EarlyFiles::take_blob(std::uint32_t slot, std::string_view content) {
    const std::uint32_t number = slots_[slot].directory;
    if (name_of(slot) == attributes_file) {
        Directory& directory = directories_[number];
        // Macros are the root's to define: what is above comes first.
        if (number == 0 || has_attributes(directory.parent)) {
            if (!attributes_.add(path_of(number), content)) {
                return false;
            }
            directory.awaits_attributes = false;
        }
        return true;
    }
    return !has_attributes(number) || looks_like_lfs_pointer(content) || write(slot, content);
}

/// Whether all that says how files in there are written has come.
bool EarlyFiles::has_attributes(std::uint32_t directory) const {
    while (!directories_[directory].awaits_attributes && directory != 0) {
        directory = directories_[directory].parent;
    }
    return !directories_[directory].awaits_attributes;
}

std::string_view EarlyFiles::name_of(std::uint32_t slot) const {
    return directories_[slots_[slot].directory].tree.data() + slots_[slot].name;
}

/// Its 20 bytes, wherever they lie.
const void* EarlyFiles::id_of(std::uint32_t slot) const {
    const std::string_view name = name_of(slot);
    return name.data() + name.size() + 1;
}

std::string EarlyFiles::path_of(std::uint32_t directory) const {
    std::vector<std::string_view> names;
    for (; directory != 0; directory = directories_[directory].parent) {
        names.push_back(directories_[directory].name);
    }
    std::string path;
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
        path.append(path.empty() ? "" : "/").append(*name);
    }
    return path;
}

bool EarlyFiles::write(std::uint32_t slot, std::string_view content) {
    const std::uint32_t directory = slots_[slot].directory;
    const std::string name(name_of(slot));
    if (!attributes_.empty()) {
        const FileAttributes attributes =
            attributes_.of((std::filesystem::path(path_of(directory)) / name).native());
        if (attributes.crlf || attributes.ident || !attributes.filter.empty() ||
            !attributes.encoding.empty()) {
            return true;
        }
    }
    if (!enter(directory)) {
        return false;
    }
    struct stat info{};
    if (!create_file(inside_.get(), name, slots_[slot].mode, content, info)) {
        return false;
    }
    slots_[slot].is = static_cast<std::uint32_t>(written_.size());
    written_.emplace_back(info);
    return true;
}

bool EarlyFiles::enter(std::uint32_t directory) {
    if (inside_number_ == directory) {
        return true;
    }
    if (!root_) {
        root_ = Fd(::open(work_tree_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    const std::string path = path_of(directory);
    if (!root_) {
        return false;
    }
    for (std::size_t at = 0; at != std::string::npos && !path.empty();) {
        at = path.find('/', at + 1);
        std::string part = path.substr(0, at);
        if (!made_.contains(part)) {
            if (::mkdirat(root_.get(), part.c_str(), 0755) != 0) {
                return false;
            }
            made_.insert(std::move(part));
        }
    }
    Result<Fd> opened =
        open_beneath(root_.get(), path.empty() ? "." : path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) {
        return false;
    }
    inside_ = std::move(*opened);
    inside_number_ = directory;
    return true;
}

std::optional<std::uint32_t> EarlyFiles::root() const {
    return directories_.empty() ? std::nullopt : std::optional<std::uint32_t>(0);
}

std::optional<std::uint32_t> EarlyFiles::directory(std::uint32_t directory, std::size_t entry) const {
    const Slot& slot = slots_[directories_[directory].first + entry];
    return slot.mode != GIT_FILEMODE_TREE || slot.is >= directories_.size() ? std::nullopt
                                                                            : std::optional(slot.is);
}

const FileStat* EarlyFiles::file(std::uint32_t directory, std::size_t entry) const {
    const Slot& slot = slots_[directories_[directory].first + entry];
    return !is_file(slot.mode) || slot.is == none ? nullptr : &written_[slot.is];
}

} // namespace slipway::source
