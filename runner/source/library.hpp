// libgit2 as a C++ program wants it: set up once, handles that free themselves, errors as values.
#pragma once

#include "base/result.hpp"

#include <git2.h>
#include <memory>
#include <string>
#include <string_view>

namespace slipway::source {

/// Initialises libgit2 with settings that make it read nothing of the machine's: no configuration files, no
/// templates, no owner checks, no fsync. Idempotent.
Status ensure_library();

template <auto Free> struct FreeWith {
    template <class T> void operator()(T* handle) const noexcept { Free(handle); }
};

using Repository = std::unique_ptr<git_repository, FreeWith<git_repository_free>>;
using Remote = std::unique_ptr<git_remote, FreeWith<git_remote_free>>;
using Object = std::unique_ptr<git_object, FreeWith<git_object_free>>;
using Commit = std::unique_ptr<git_commit, FreeWith<git_commit_free>>;
using Tree = std::unique_ptr<git_tree, FreeWith<git_tree_free>>;
using Index = std::unique_ptr<git_index, FreeWith<git_index_free>>;
using Blob = std::unique_ptr<git_blob, FreeWith<git_blob_free>>;
using Config = std::unique_ptr<git_config, FreeWith<git_config_free>>;
using Database = std::unique_ptr<git_odb, FreeWith<git_odb_free>>;
using DatabaseObject = std::unique_ptr<git_odb_object, FreeWith<git_odb_object_free>>;

/// Valid as long as the object is.
inline std::string_view content_of(git_odb_object& object) {
    return {static_cast<const char*>(git_odb_object_data(&object)), git_odb_object_size(&object)};
}

/// libgit2's error for this thread, taken before anything else can overwrite it.
struct LibraryError {
    int rc = 0;    ///< git_error_code
    int klass = 0; ///< git_error_t
    std::string text;
};

LibraryError take_error(int rc);

/// One of our own making, in its terms: a git_error_t and a line of text.
LibraryError library_error(int klass, std::string_view text);

/// What a system call said: "<what>: <strerror>", klass OS.
LibraryError system_error(std::string_view what, int err);

/// What stopping on request looks like.
inline LibraryError stopped_error() {
    return {.rc = GIT_EUSER, .klass = GIT_ERROR_CALLBACK, .text = "stopped"};
}

/// One line of at most `limit` bytes, valid UTF-8, without control characters.
std::string clean_line(std::string_view text, std::size_t limit = 1024);

std::string hex(const git_oid& oid);

/// RFC 3339 in UTC, whole seconds. Whoever made the commit chose the date: it is kept within 1970 to 9999.
std::string utc_text(git_time_t seconds);

} // namespace slipway::source
