#include "source/tree.hpp"

#include "source/library.hpp"

#include <algorithm>
#include <chrono>
#include <format>
#include <git2/sys/errors.h>
#include <string_view>

namespace slipway::source {
namespace {

constexpr std::string_view lfs_head = "version https://git-lfs.github.com/spec/v1\n";
constexpr std::uint32_t longest_lfs_pointer = 1024; // as the LFS specification has it
constexpr std::uint32_t longest_attributes = 1U << 20U;

Blob blob(git_repository* repository, const git_oid& id) {
    git_blob* found = nullptr;
    if (git_blob_lookup(&found, repository, &id) < 0) {
        git_error_clear();
    }
    return Blob(found);
}

std::string_view content(const Blob& from) {
    return from ? std::string_view(static_cast<const char*>(git_blob_rawcontent(from.get())),
                                   static_cast<std::size_t>(git_blob_rawsize(from.get())))
                : std::string_view{};
}

bool is_attributes(std::string_view path) {
    constexpr std::string_view name = ".gitattributes";
    return path == name || (path.ends_with(name) && path[path.size() - name.size() - 1] == '/');
}

} // namespace

int checkout_tree(git_repository* repository, const git_commit* commit, CheckoutWatch& watch) {
    git_checkout_options options{};
    git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
    options.checkout_strategy = GIT_CHECKOUT_FORCE;
    options.disable_filters = 1;
    options.progress_cb = [](const char*, std::size_t done, std::size_t total, void* payload) {
        const auto& me = *static_cast<CheckoutWatch*>(payload);
        if (me.on_checkout) {
            me.on_checkout(done, total);
        }
    };
    options.progress_payload = &watch;
    // The progress callback cannot stop anything; this one is asked before each file is looked at.
    options.notify_flags = GIT_CHECKOUT_NOTIFY_UPDATED;
    options.notify_cb = [](git_checkout_notify_t, const char*, const git_diff_file*, const git_diff_file*,
                           const git_diff_file*, void* payload) -> int {
        return static_cast<CheckoutWatch*>(payload)->stop.requested() ? GIT_EUSER : 0;
    };
    options.notify_payload = &watch;
    return git_checkout_tree(repository, reinterpret_cast<const git_object*>(commit), &options);
}

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

int describe_tree(git_repository* repository, Checkout& into) {
    git_index* raw = nullptr;
    if (const int rc = git_repository_index(&raw, repository); rc < 0) {
        return rc;
    }
    const Index index(raw);
    const std::size_t count = git_index_entrycount(raw);
    bool uses_lfs = false;
    for (std::size_t i = 0; i < count; ++i) {
        const git_index_entry* entry = git_index_get_byindex(raw, i);
        if (entry->mode == GIT_FILEMODE_COMMIT) {
            into.has_submodules = true;
            continue;
        }
        ++into.files;
        into.bytes += entry->file_size;
        if (!uses_lfs && is_attributes(entry->path) && entry->file_size <= longest_attributes) {
            uses_lfs = content(blob(repository, entry->id)).contains("filter=lfs");
        }
    }
    for (std::size_t i = 0; uses_lfs && i < count; ++i) {
        const git_index_entry* entry = git_index_get_byindex(raw, i);
        const bool regular = entry->mode == GIT_FILEMODE_BLOB || entry->mode == GIT_FILEMODE_BLOB_EXECUTABLE;
        if (regular && entry->file_size > lfs_head.size() && entry->file_size <= longest_lfs_pointer &&
            content(blob(repository, entry->id)).starts_with(lfs_head)) {
            ++into.lfs_pointers;
        }
    }
    return 0;
}

} // namespace slipway::source
