// Fetching one revision of a git repository into a clean directory.
//
// Inputs: a URL (https, http, git, ssh, scp-like, file, or an absolute local path), a revision, credentials
// for exactly that URL. Output: a detached work tree with its .git directory in `into`, and facts about the
// commit. Errors:
//   usage     missingorinvalidargument  the URL, revision or refspec is not one; `into` cannot be used
//   build     gitcheckout               the repository is there, the branch, tag or commit is not
//   build     gitfailure                no such repository (404); the server speaks no git; a hostile tree
//   auth      gitauth                   401, 403, a refused key, a host key that is unknown or has changed
//   network   gitfailure                unknown host, refused, reset, time-out, TLS, 5xx, cut short
//   resource  outofdisk, deadline; cancelled
// Transient ones are retried here (options.retry), so an error that comes out is final.
//
// Nothing outside `into` is read but a local repository named by the URL: no system or user configuration, no
// hooks, no credential helpers, no $HOME. Nothing outside `into` is written.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/retry.hpp"
#include "base/stop.hpp"
#include "source/credentials.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

/// How one URL is to be reached.
struct GitAccess {
    std::string url; ///< after rewriting
    GitCredentials credentials;
    std::string ca_file;
    std::string proxy_url;
};

struct GitOptions {
    std::string url;
    /// Branch, tag, full ref ("refs/…"), object id, or empty for the remote's HEAD. A name that is both a
    /// branch and a tag means the branch. An id of 4 to 39 hex digits that no ref is called by is looked up
    /// in the whole history, which has to be fetched for it; an ambiguous one is refused (class build,
    /// gitcheckout).
    std::string revision;
    /// "+refs/pull/7/head:refs/heads/pr": fetched in place of what `revision` alone would fetch, for commits
    /// that no branch holds. With an empty revision, its tip is checked out.
    std::string refspec;
    int depth = 1;     ///< commits of history; 0 = all
    bool tags = false; ///< fetch all tags as well
    std::filesystem::path into;
    /// Only these directories, in git's cone mode (sparse.hpp); empty = the whole tree. Of the superproject.
    std::vector<std::string> sparse;
    bool submodules = false; ///< fetch them too, and theirs, as deep as `depth`
    /// Only these and what lies beneath them, relative to the tree; empty = all. Of a submodule so chosen,
    /// all of its own come.
    std::vector<std::string> submodule_paths;
    /// What `url` was before it was rewritten: relative submodule URLs are resolved against it. Empty =
    /// `url`.
    std::string original_url;
    /// How to reach a submodule's URL; empty = as it is, anonymously.
    std::function<Result<GitAccess>(const std::string& url)> access;
    GitCredentials credentials;
    std::string
        ca_file; ///< PEM bundle; empty = libgit2's default, which a static binary lacks: always set it
    bool tls_verify = true;
    std::string proxy_url; ///< already chosen for this URL by the proxy rules; empty = direct
    Milliseconds connect_timeout{30'000};
    Milliseconds stall_timeout{60'000}; ///< without a byte from the server; 0 = none
    RetryPolicy retry;
};

/// A submodule that was fetched.
struct SubmoduleCheckout {
    std::string path;         ///< from the root of the whole tree
    std::string url;          ///< without credentials
    std::string fetched_from; ///< after rewriting; may hold credentials
    std::string commit;
};

struct Checkout {
    std::string commit; ///< full hexadecimal id
    std::string url;    ///< as asked for, without credentials
    std::string ref;    ///< full name of what was fetched ("refs/heads/main"); empty for a bare commit id
    std::string branch; ///< short branch name; empty when it was not one
    std::int64_t committer_time = 0; ///< seconds since 1970, UTC
    std::string committer_date;      ///< RFC 3339 in UTC, whole seconds: "2026-11-22T07:45:03Z"
    std::string tree;                ///< id of the commit's tree
    std::string author_date;         ///< as committer_date
    std::string author_name;         ///< valid UTF-8, bounded, one line
    std::string author_email;        ///< likewise
    std::string subject;             ///< first line of the message; likewise
    std::uint64_t files = 0;         ///< regular files and symlinks checked out, submodules' included
    std::uint64_t bytes = 0;         ///< of their content
    std::uint64_t received_objects = 0;
    std::uint64_t received_bytes = 0;
    bool shallow = false;
    bool has_submodules = false; ///< the tree links other repositories
    std::vector<SubmoduleCheckout>
        submodules;                 ///< what of them was fetched; the directories of others are empty
    std::uint64_t lfs_pointers = 0; ///< files that are Git LFS pointers, not content; submodules' included
    std::vector<std::string> notes; ///< one line each: what was done otherwise than asked, and why
};

struct FetchProgress {
    std::uint64_t received_objects = 0;
    std::uint64_t indexed_objects = 0;
    std::uint64_t total_objects = 0;
    std::uint64_t received_bytes = 0;
};

/// Called from within fetch_git, on its thread. All may be empty; none is throttled. Text is valid UTF-8,
/// without control characters, at most 1,024 bytes.
struct GitCallbacks {
    std::function<void(const FetchProgress&)> on_progress;
    std::function<void(std::uint64_t done, std::uint64_t total)> on_checkout;
    std::function<void(std::string_view line)> on_message; ///< what the server says ("Counting objects: …")
    /// A host key was taken unseen: "ssh-ed25519 SHA256:…".
    std::function<void(std::string_view host, std::string_view fingerprint)> on_host_key;
    /// A submodule comes next; `path` is from the root of the whole tree.
    std::function<void(std::string_view path, std::string_view url, std::string_view commit)> on_submodule;
    OnRetry on_retry;
};

/// Empties `options.into` (created if missing; never removed itself, never through a symlink), fetches and
/// checks out. On failure `into` is left empty. One call at a time per process: libgit2's settings are
/// global.
Result<Checkout> fetch_git(const GitOptions& options, const GitCallbacks& callbacks, const StopToken& stop);

/// What a URL says once understood. `clean` is what may be shown and stored.
struct GitUrl {
    enum class Scheme { https, http, git, ssh, file } scheme = Scheme::https;
    std::string username; ///< decoded
    std::string password; ///< decoded; register it as a secret
    bool has_password = false;
    std::string host; ///< lower case, without brackets; empty for file
    int port = 0;     ///< 0 = the scheme's own
    std::string path; ///< begins with '/', or with anything for scp-like
    bool scp_like = false;
    std::string clean; ///< without user information (an ssh user stays: it is no secret)
};

/// Strict: known scheme, no control characters or spaces, no leading '-', a host where one is due, at most
/// 2,048 bytes. Error: class usage; its text never repeats what might be a password.
Result<GitUrl> parse_git_url(std::string_view url);

/// Secrets written into the URL itself: register them before anything else is logged.
std::vector<std::string> secrets_in_url(std::string_view url);

/// Name libgit2 was built as, "1.9.0".
std::string git_library_version();

} // namespace slipway::source
