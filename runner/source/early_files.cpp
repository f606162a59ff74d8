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

} // namespace

std::size_t EarlyFiles::Hash::operator()(const git_oid& id) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, id.id, sizeof hash);
    return hash;
}

bool EarlyFiles::Equal::operator()(const git_oid& a, const git_oid& b) const noexcept {
    return std::memcmp(a.id, b.id, GIT_OID_SHA1_SIZE) == 0;
}

void EarlyFiles::take(PackType type, const git_oid& id, std::string_view content) {
    if (ended_ || !awaited_commit_) {
        return;
    }
    if (!knows_tree_) {
        if ((type == PackType::commit || type == PackType::tag) && Equal()(id, *awaited_commit_)) {
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
        if (type == PackType::tree && Equal()(id, awaited_tree_)) {
            ended_ = !open_tree(0, {}, keep(content));
        }
        return;
    }
    const auto [first, last] = awaited_.equal_range(id);
    if (first == last) {
        return;
    }
    // A tree's entries are awaited in turn, so the places come out first.
    std::vector<Place> places;
    std::transform(first, last, std::back_inserter(places), [](const auto& each) { return each.second; });
    awaited_.erase(first, last);
    const std::string_view text = type == PackType::tree ? keep(content) : content;
    for (const Place& place : places) {
        const std::uint32_t mode = slots_[place.slot].mode;
        if (type == PackType::tree && mode == GIT_FILEMODE_TREE) {
            slots_[place.slot].is = static_cast<std::uint32_t>(directories_.size());
            ended_ = ended_ || !open_tree(place.directory, place.name, text);
        } else if (type == PackType::blob && is_file(mode)) {
            ended_ = ended_ || !take_blob(place, text);
        }
    }
    if (ended_) {
        awaited_ = {};
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
                            .first = slots_.size(),
                            .path_length = path_length,
                            .awaits_attributes = false});
    for (const TreeEntry& entry : *entries) {
        slots_.push_back({.mode = entry.mode, .is = none});
        if (is_file(entry.mode) || entry.mode == GIT_FILEMODE_TREE) {
            awaited_.emplace(entry.id,
                             Place{.directory = number, .slot = slots_.size() - 1, .name = entry.name});
        }
        if (entry.name == attributes_file && is_file(entry.mode)) {
            directories_.back().awaits_attributes = true;
        }
    }
    return true;
}

bool EarlyFiles::take_blob(const Place& place, std::string_view content) {
    if (place.name == attributes_file) {
        Directory& directory = directories_[place.directory];
        // Macros are the root's to define: what is above comes first.
        if (place.directory == 0 || has_attributes(directory.parent)) {
            if (!attributes_.add(path_of(place.directory), content)) {
                return false;
            }
            directory.awaits_attributes = false;
        }
        return true;
    }
    return !has_attributes(place.directory) || looks_like_lfs_pointer(content) || write(place, content);
}

/// Whether all that says how files in there are written has come.
bool EarlyFiles::has_attributes(std::uint32_t directory) const {
    while (!directories_[directory].awaits_attributes && directory != 0) {
        directory = directories_[directory].parent;
    }
    return !directories_[directory].awaits_attributes;
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

bool EarlyFiles::write(const Place& place, std::string_view content) {
    if (!attributes_.empty()) {
        const FileAttributes attributes =
            attributes_.of((std::filesystem::path(path_of(place.directory)) / place.name).native());
        if (attributes.crlf || attributes.ident || !attributes.filter.empty() ||
            !attributes.encoding.empty()) {
            return true;
        }
    }
    if (!enter(place.directory)) {
        return false;
    }
    struct stat info{};
    if (!create_file(inside_.get(), std::string(place.name), slots_[place.slot].mode, content, info)) {
        return false;
    }
    slots_[place.slot].is = static_cast<std::uint32_t>(written_.size());
    written_.push_back(info);
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

const struct stat* EarlyFiles::file(std::uint32_t directory, std::size_t entry) const {
    const Slot& slot = slots_[directories_[directory].first + entry];
    return !is_file(slot.mode) || slot.is == none ? nullptr : &written_[slot.is];
}

} // namespace slipway::source
