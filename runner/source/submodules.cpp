#include "source/submodules.hpp"

#include "source/library.hpp"
#include "source/submodule_file.hpp"

#include <algorithm>
#include <deque>
#include <format>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace slipway::source {
namespace {

namespace fs = std::filesystem;

constexpr int deepest = 16;
constexpr std::size_t most_submodules = 1000;
constexpr std::size_t longest_file = 1U << 20U;

/// A repository already checked out whose submodules come next.
struct Parent {
    Place place;
    std::string commit;
    std::string url;    ///< as configured, before rewriting: what relative URLs are resolved against
    std::string prefix; ///< of its paths within the whole tree: "" or "libs/a/"
    int level = 0;
};

struct Link {
    std::string path;
    std::string commit;
};

std::unexpected<Error> broken(int rc, std::string_view what) {
    Error error =
        make_error(ErrorClass::internal, code::internal_error, std::string(what) + " could not be read");
    error.cause = take_error(rc).text;
    return fail(std::move(error));
}

/// Entries of the index that are checked out and link another repository.
Result<std::vector<Link>> links(git_repository* repository) {
    git_index* raw = nullptr;
    if (const int rc = git_repository_index(&raw, repository); rc < 0) {
        return broken(rc, "the index");
    }
    const Index index(raw);
    std::vector<Link> found;
    const std::size_t count = git_index_entrycount(raw);
    for (std::size_t i = 0; i < count; ++i) {
        const git_index_entry* entry = git_index_get_byindex(raw, i);
        const bool skipped = (entry->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE) != 0;
        if (entry->mode == GIT_FILEMODE_COMMIT && !skipped) {
            found.push_back({.path = entry->path, .commit = hex(entry->id)});
        }
    }
    return found;
}

/// Content of the commit's .gitmodules; empty where there is none. git takes it from a regular file only.
Result<std::string> gitmodules(git_repository* repository, const std::string& commit_id) {
    git_oid id{};
    git_commit* commit = nullptr;
    git_oid_fromstr(&id, commit_id.c_str());
    if (const int rc = git_commit_lookup(&commit, repository, &id); rc < 0) {
        return broken(rc, "the commit");
    }
    const Commit owned_commit(commit);
    git_tree* tree = nullptr;
    if (const int rc = git_commit_tree(&tree, commit); rc < 0) {
        return broken(rc, "the tree");
    }
    const Tree owned_tree(tree);
    const git_tree_entry* entry = git_tree_entry_byname(tree, ".gitmodules");
    if (entry == nullptr) {
        return std::string();
    }
    git_blob* raw = nullptr;
    const bool regular =
        git_tree_entry_type(entry) == GIT_OBJECT_BLOB && git_tree_entry_filemode(entry) != GIT_FILEMODE_LINK;
    if (!regular) {
        return fail(ErrorClass::build, code::git_failure, ".gitmodules is not a regular file",
                    "a symbolic link in its place is refused, as by git");
    }
    if (const int rc = git_blob_lookup(&raw, repository, git_tree_entry_id(entry)); rc < 0) {
        return broken(rc, ".gitmodules");
    }
    const Blob blob(raw);
    const auto size = static_cast<std::size_t>(git_blob_rawsize(raw));
    if (size > longest_file) {
        return fail(ErrorClass::build, code::git_failure, ".gitmodules is larger than 1 MiB");
    }
    return std::string(static_cast<const char*>(git_blob_rawcontent(raw)), size);
}

/// The directory the parent's tree left for a submodule: nothing but real, empty directories lead there.
Status check_directory(const fs::path& root, const std::string& path) {
    fs::path at = root;
    std::error_code failure;
    for (const fs::path& part : fs::path(path)) {
        at /= part;
        if (part == ".." || !fs::is_directory(fs::symlink_status(at, failure))) {
            return fail(ErrorClass::build, code::git_failure, "its directory is not one of the tree's own");
        }
    }
    return {};
}

/// One repository lying in the directory of another would be overwritten by it.
bool nested(std::string_view a, std::string_view b) {
    return a == b || (a.starts_with(b) && a[b.size()] == '/') || (b.starts_with(a) && b[a.size()] == '/');
}

class Walk {
  public:
    Walk(const GitOptions& options, Checkout& into, const GitCallbacks& callbacks, const StopToken& stop)
        : options_(options), into_(into), callbacks_(callbacks), stop_(stop) {}

    Status run(Parent first) {
        todo_.push_back(std::move(first));
        while (!todo_.empty()) {
            const Parent parent = std::move(todo_.front());
            todo_.pop_front();
            TRY(children(parent));
        }
        return {};
    }

  private:
    Status children(const Parent& parent);
    Status child(const Parent& parent, git_repository* repository, const Submodule& submodule,
                 const Link& link);
    Result<GitOptions> options_for(const std::string& url, const std::string& commit);

    const GitOptions& options_;
    Checkout& into_;
    const GitCallbacks& callbacks_;
    const StopToken& stop_;
    std::deque<Parent> todo_;
};

Status Walk::children(const Parent& parent) {
    git_repository* raw = nullptr;
    const fs::path& at = parent.place.git_dir.empty() ? parent.place.work_tree : parent.place.git_dir;
    if (const int rc = git_repository_open(&raw, at.c_str()); rc < 0) {
        return broken(rc, "the repository");
    }
    const Repository repository(raw);
    TRY_ASSIGN(const std::vector<Link> found, links(raw));
    if (found.empty()) {
        return {};
    }
    TRY_ASSIGN(const std::string text, gitmodules(raw, parent.commit));
    TRY_ASSIGN(const std::vector<Submodule> known, parse_gitmodules(text));
    std::set<std::string, std::less<>> names;
    for (const Link& link : found) {
        const std::string shown = clean_line(parent.prefix + link.path, 256);
        if (parent.level == 0 && !submodule_is_wanted(options_.submodule_paths, link.path)) {
            continue;
        }
        const auto submodule = std::ranges::find(known, link.path, &Submodule::path);
        if (submodule == known.end() || submodule->url.empty()) {
            into_.notes.push_back(std::format("left {} empty: .gitmodules has no {} for it", shown,
                                              submodule == known.end() ? "entry" : "URL"));
            continue;
        }
        if (submodule->never) {
            into_.notes.push_back(std::format("left {} empty: .gitmodules says update = none", shown));
            continue;
        }
        Status fetched = check_submodule_name(submodule->name);
        if (fetched && std::ranges::any_of(
                           names, [&](const std::string& other) { return nested(other, submodule->name); })) {
            fetched =
                fail(ErrorClass::build, code::git_failure, "its name lies within that of another submodule",
                     "give it a name of its own in .gitmodules");
        }
        if (fetched) {
            names.insert(submodule->name);
            fetched = child(parent, raw, *submodule, link);
        }
        if (!fetched) {
            Error error = std::move(fetched).error();
            if (error.klass != ErrorClass::cancelled && error.code != code::deadline) {
                error.message = std::format("submodule {}: {}", shown, error.message);
                if (error.where) {
                    error.where->file = parent.prefix + error.where->file;
                }
            }
            return fail(std::move(error));
        }
    }
    return {};
}

Result<GitOptions> Walk::options_for(const std::string& url, const std::string& commit) {
    GitOptions own = options_;
    own.url = url;
    own.revision = commit;
    own.refspec.clear();
    own.tags = false;
    own.sparse.clear();
    own.credentials = {};
    if (options_.access) {
        TRY_ASSIGN(GitAccess access, options_.access(url));
        own.url = std::move(access.url);
        own.credentials = std::move(access.credentials);
        own.ca_file = std::move(access.ca_file);
        own.proxy_url = std::move(access.proxy_url);
    }
    return own;
}

Status Walk::child(const Parent& parent, git_repository* repository, const Submodule& submodule,
                   const Link& link) {
    const std::string path = parent.prefix + link.path;
    if (parent.level >= deepest) {
        return fail(ErrorClass::build, code::git_failure,
                    std::format("submodules lie more than {} levels deep", deepest),
                    "choose the ones needed with --submodule-path");
    }
    if (into_.submodules.size() >= most_submodules) {
        return fail(ErrorClass::build, code::git_failure,
                    std::format("more than {} submodules", most_submodules),
                    "choose the ones needed with --submodule-path");
    }
    TRY(check_directory(parent.place.work_tree, link.path));
    TRY_ASSIGN(const std::string url, resolve_submodule_url(submodule.url, parent.url));
    const Result<GitUrl> understood = parse_git_url(url);
    if (!understood) {
        Error error = understood.error();
        error.klass = ErrorClass::build; // the author of .gitmodules wrote it, not who called us
        error.code = code::git_failure;
        return fail(std::move(error));
    }
    TRY_ASSIGN(const GitUrl parent_url, parse_git_url(parent.url));
    TRY(check_submodule_url(*understood, parent_url.scheme));
    TRY_ASSIGN(const GitOptions own, options_for(url, link.commit));
    if (callbacks_.on_submodule) {
        callbacks_.on_submodule(clean_line(path), understood->clean, link.commit);
    }

    const Place place{.work_tree = parent.place.work_tree / link.path,
                      .git_dir = fs::path(git_repository_path(repository)) / "modules" / submodule.name};
    TRY_ASSIGN(Checkout done, fetch_repository(own, place, callbacks_, stop_));

    git_config* raw = nullptr;
    int rc = git_repository_config(&raw, repository);
    const Config config(raw);
    const std::string key = "submodule." + submodule.name;
    if (rc < 0 || (rc = git_config_set_string(raw, (key + ".url").c_str(), understood->clean.c_str())) < 0 ||
        (rc = git_config_set_bool(raw, (key + ".active").c_str(), 1)) < 0) {
        return broken(rc, "the repository's configuration");
    }
    into_.files += done.files;
    into_.bytes += done.bytes;
    into_.received_objects += done.received_objects;
    into_.received_bytes += done.received_bytes;
    into_.lfs_pointers += done.lfs_pointers;
    for (const std::string& note : done.notes) {
        into_.notes.push_back(std::format("{}: {}", clean_line(path, 256), note));
    }
    into_.submodules.push_back(
        {.path = path, .url = understood->clean, .fetched_from = own.url, .commit = done.commit});
    if (done.has_submodules) {
        todo_.push_back({.place = place,
                         .commit = done.commit,
                         .url = url,
                         .prefix = path + "/",
                         .level = parent.level + 1});
    }
    return {};
}

} // namespace

Status fetch_submodules(const GitOptions& options, const Place& place, Checkout& into,
                        const GitCallbacks& callbacks, const StopToken& stop) {
    Walk walk(options, into, callbacks, stop);
    return walk.run({.place = place,
                     .commit = into.commit,
                     .url = options.original_url.empty() ? options.url : options.original_url,
                     .prefix = {},
                     .level = 0});
}

} // namespace slipway::source
