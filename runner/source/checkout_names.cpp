#include "source/checkout_names.hpp"

#include <algorithm>
#include <git2/sys/path.h>
#include <string>

namespace slipway::source {
namespace {

bool same_ascii(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

/// Whether the three bytes encode a code point HFS+ leaves out when it compares names: U+200C … U+200F,
/// U+202A … U+202E, U+206A … U+206F, U+FEFF.
bool hfs_ignores(std::string_view three) {
    const auto byte = [three](std::size_t at) { return static_cast<unsigned char>(three[at]); };
    if (byte(0) == 0xe2 && byte(1) == 0x80) {
        return (byte(2) >= 0x8c && byte(2) <= 0x8f) || (byte(2) >= 0xaa && byte(2) <= 0xae);
    }
    return (byte(0) == 0xe2 && byte(1) == 0x81 && byte(2) >= 0xaa && byte(2) <= 0xaf) ||
           (byte(0) == 0xef && byte(1) == 0xbb && byte(2) == 0xbf);
}

bool is_git_on_hfs(std::string_view name) {
    std::string seen;
    for (std::size_t at = 0; at < name.size() && seen.size() <= 4;) {
        if (name.size() - at >= 3 && hfs_ignores(name.substr(at, 3))) {
            at += 3;
        } else {
            seen += name[at++];
        }
    }
    return same_ascii(seen, ".git");
}

bool is_git_on_ntfs(std::string_view name) {
    name = name.substr(0, name.find_first_of("\\:"));
    name = name.substr(0, name.find_last_not_of(" .") + 1);
    return same_ascii(name, ".git") || same_ascii(name, "git~1");
}

} // namespace

bool is_work_tree_name(std::string_view name) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string_view::npos ||
        name.find('\0') != std::string_view::npos) {
        return false;
    }
    // Every disguise begins like this, and hardly any honest name does.
    const char first = name.front();
    if (first != '.' && first != 'g' && first != 'G' && first != '\xe2' && first != '\xef') {
        return true;
    }
    return !is_git_on_hfs(name) && !is_git_on_ntfs(name);
}

bool is_link_name(std::string_view name) {
    return git_path_is_gitfile(name.data(), name.size(), GIT_PATH_GITFILE_GITMODULES, GIT_PATH_FS_GENERIC) <=
           0;
}

} // namespace slipway::source
