#include "source/tree.hpp"

#include "source/checkout_names.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <format>
#include <string>

namespace slipway::source {
namespace {

std::unexpected<LibraryError> bad_tree(std::string_view why, std::string_view name) {
    return std::unexpected(library_error(GIT_ERROR_TREE, std::format("{}: '{}'", why, name)));
}

/// git's own reading of a mode, which older versions wrote more of than there are kinds; 0 = none of them.
std::uint32_t known_mode(std::uint32_t mode) {
    switch (mode & 0170000U) {
    case 0100000U: return (mode & 0100U) != 0 ? GIT_FILEMODE_BLOB_EXECUTABLE : GIT_FILEMODE_BLOB;
    case 0120000U: return GIT_FILEMODE_LINK;
    case 0040000U: return GIT_FILEMODE_TREE;
    case 0160000U: return GIT_FILEMODE_COMMIT;
    default: return 0;
    }
}

/// Octal digits and the space behind them, taken off `content`; 0 = no such thing there.
std::uint32_t take_mode(std::string_view& content) {
    constexpr std::size_t longest = 7;
    std::uint32_t mode = 0;
    for (std::size_t at = 0; at <= longest && at < content.size(); ++at) {
        const char c = content[at];
        if (c == ' ') {
            content.remove_prefix(at + 1);
            return known_mode(mode);
        }
        if (c < '0' || c > '7') {
            break;
        }
        mode = mode * 8 + static_cast<std::uint32_t>(c - '0');
    }
    return 0;
}

/// git's order: by bytes, a tree's name as if a slash stood behind it.
bool before(const TreeEntry& a, const TreeEntry& b) {
    const std::size_t common = std::min(a.name.size(), b.name.size());
    if (const int order = a.name.substr(0, common).compare(b.name.substr(0, common)); order != 0) {
        return order < 0;
    }
    const auto next = [common](const TreeEntry& entry) {
        const char end = entry.mode == GIT_FILEMODE_TREE ? '/' : '\0';
        return static_cast<unsigned char>(entry.name.size() > common ? entry.name[common] : end);
    };
    return next(a) < next(b);
}

} // namespace

void describe_commit(const git_commit* commit, Checkout& into) {
    into.commit = hex(*git_commit_id(commit));
    // Whoever made the commit chose the date: keep it within what RFC 3339 can say.
    constexpr std::int64_t end_of_9999 = 253'402'300'799;
    into.committer_time = std::clamp<std::int64_t>(git_commit_time(commit), 0, end_of_9999);
    into.committer_date =
        std::format("{:%FT%T}Z", std::chrono::sys_seconds(std::chrono::seconds(into.committer_time)));
    if (const git_signature* author = git_commit_author(commit)) {
        into.author_name = clean_line(author->name == nullptr ? "" : author->name, 256);
        into.author_email = clean_line(author->email == nullptr ? "" : author->email, 256);
    }
    const char* message = git_commit_message(commit);
    std::string_view text = message == nullptr ? "" : message;
    text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
    into.subject = clean_line(text.substr(0, text.find('\n')), 512);
}

std::expected<std::vector<TreeEntry>, LibraryError> parse_tree(std::string_view content) {
    std::vector<TreeEntry> entries;
    entries.reserve(content.size() / 32);
    while (!content.empty()) {
        TreeEntry entry;
        entry.mode = take_mode(content);
        const std::size_t end = content.find('\0');
        if (entry.mode == 0 || end == std::string_view::npos ||
            content.size() - end - 1 < GIT_OID_SHA1_SIZE) {
            return bad_tree("a tree is damaged behind", entries.empty() ? "" : entries.back().name);
        }
        entry.name = content.substr(0, end);
        std::memcpy(entry.id.id, content.data() + end + 1, GIT_OID_SHA1_SIZE);
        content.remove_prefix(end + 1 + GIT_OID_SHA1_SIZE);
        if (!is_work_tree_name(entry.name) ||
            (entry.mode == GIT_FILEMODE_LINK && !is_link_name(entry.name))) {
            return bad_tree("no file may have the name", entry.name);
        }
        if (!entries.empty() && !before(entries.back(), entry)) {
            return bad_tree("a tree has a name twice or out of order", entry.name);
        }
        entries.push_back(entry);
    }
    // A file and a tree of one name are not neighbours when other names fall between "name" and "name/".
    for (const TreeEntry& entry : entries) {
        TreeEntry file = entry;
        file.mode = GIT_FILEMODE_BLOB;
        if (entry.mode == GIT_FILEMODE_TREE && std::ranges::binary_search(entries, file, before)) {
            return bad_tree("a tree has a name twice", entry.name);
        }
    }
    return entries;
}

} // namespace slipway::source
