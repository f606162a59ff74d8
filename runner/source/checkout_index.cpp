#include "source/checkout_index.hpp"

#include "source/big_endian.hpp"

#include <algorithm>
#include <cstring>
#include <format>
#include <openssl/sha.h>

namespace slipway::source {
namespace {

constexpr std::size_t header_size = 12;
constexpr std::size_t mode_at = 24;
constexpr std::size_t id_at = 40;
constexpr std::size_t flags_at = 60;
constexpr std::size_t plain_size = 62;
constexpr std::size_t extended_size = 64;
constexpr std::uint16_t extended_flag = 0x4000;
constexpr std::uint16_t skip_worktree_flag = 0x4000; // among the extended ones
constexpr std::size_t longest_length = 0xfff;        // a longer path's length is found by its NUL

std::string_view bytes_of(const git_oid& id) {
    return {reinterpret_cast<const char*>(id.id), GIT_OID_SHA1_SIZE};
}

} // namespace

// The format has 32 bits for each; git cuts them off as well.
FileStat::FileStat(const struct stat& info)
    : size(static_cast<std::uint64_t>(info.st_size)),
      changed_seconds(static_cast<std::uint32_t>(info.st_ctim.tv_sec)),
      changed_nanoseconds(static_cast<std::uint32_t>(info.st_ctim.tv_nsec)),
      modified_seconds(static_cast<std::uint32_t>(info.st_mtim.tv_sec)),
      modified_nanoseconds(static_cast<std::uint32_t>(info.st_mtim.tv_nsec)),
      device(static_cast<std::uint32_t>(info.st_dev)), inode(static_cast<std::uint32_t>(info.st_ino)),
      user(static_cast<std::uint32_t>(info.st_uid)), group(static_cast<std::uint32_t>(info.st_gid)) {}

IndexFile::IndexFile() : file_(header_size, '\0') {}

void IndexFile::open_tree(std::string_view name, const git_oid& id) {
    if (!open_.empty()) {
        ++trees_[open_.back()].subtrees;
    }
    open_.push_back(trees_.size());
    trees_.push_back({.name = std::string(name), .id = id, .entries = count_, .subtrees = 0});
}

void IndexFile::close_tree() {
    Tree& tree = trees_[open_.back()];
    tree.entries = count_ - tree.entries;
    open_.pop_back();
}

IndexFile::Entry IndexFile::add(std::string_view directory, std::string_view name, std::uint32_t mode,
                                const git_oid& id, bool skip_worktree) {
    const Entry entry{file_.size()};
    const std::size_t head = skip_worktree ? extended_size : plain_size;
    const std::size_t length = directory.size() + name.size();
    file_.append(head, '\0');
    file_.append(directory).append(name);
    file_.append(8 - (head + length) % 8, '\0');
    char* record = file_.data() + entry.at;
    put32(record + mode_at, mode);
    std::ranges::copy(bytes_of(id), record + id_at);
    put16(record + flags_at, static_cast<std::uint16_t>(std::min(length, longest_length) |
                                                        (skip_worktree ? extended_flag : 0U)));
    if (skip_worktree) {
        put16(record + plain_size, skip_worktree_flag);
        extended_ = true;
    }
    ++count_;
    return entry;
}

void IndexFile::set_stat(Entry entry, const FileStat& info) {
    char* at = file_.data() + entry.at;
    const auto put = [&at](std::uint32_t value) {
        put32(at, value);
        at += 4;
    };
    put(info.changed_seconds);
    put(info.changed_nanoseconds);
    put(info.modified_seconds);
    put(info.modified_nanoseconds);
    put(info.device);
    put(info.inode);
    at += 4; // the mode is the tree's word
    put(info.user);
    put(info.group);
    put(static_cast<std::uint32_t>(info.size));
}

std::string_view IndexFile::path(Entry entry) const {
    const char* record = file_.data() + entry.at;
    return record + ((get16(record + flags_at) & extended_flag) != 0 ? extended_size : plain_size);
}

git_oid IndexFile::id(Entry entry) const {
    git_oid id{};
    std::memcpy(id.id, file_.data() + entry.at + id_at, GIT_OID_SHA1_SIZE);
    return id;
}

std::string_view IndexFile::finish() {
    std::ranges::copy(std::string_view("DIRC"), file_.data());
    put32(file_.data() + 4, extended_ ? 3 : 2);
    put32(file_.data() + 8, count_);
    std::string cache;
    for (const Tree& tree : trees_) {
        cache.append(tree.name).append(1, '\0').append(std::format("{} {}\n", tree.entries, tree.subtrees));
        cache.append(bytes_of(tree.id));
    }
    std::string head("TREE\0\0\0\0", 8);
    put32(head.data() + 4, static_cast<std::uint32_t>(cache.size()));
    file_.append(head).append(cache);
    std::string sum(SHA_DIGEST_LENGTH, '\0');
    SHA1(reinterpret_cast<const unsigned char*>(file_.data()), file_.size(),
         reinterpret_cast<unsigned char*>(sum.data()));
    file_.append(sum);
    return file_;
}

} // namespace slipway::source
