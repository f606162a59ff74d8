#include "source/lfs_files.hpp"

#include "source/library.hpp"

#include <format>
#include <git2/sys/config.h>
#include <optional>
#include <string_view>
#include <sys/stat.h>

namespace slipway::source {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_lfs_pointer = 1023; // git-lfs's docs/spec.md
/// A checkout may have made line ends longer, never more than twice as long.
constexpr std::uint32_t longest_checked_out = 2 * longest_lfs_pointer;
constexpr std::uint32_t longest_attributes = 1U << 20U;
constexpr std::size_t longest_config = std::size_t{256} << 10U;

using Config = std::unique_ptr<git_config, FreeWith<git_config_free>>;
using Pathspec = std::unique_ptr<git_pathspec, FreeWith<git_pathspec_free>>;

struct Opened {
    Repository repository;
    Index index;
};

Error repository_error(int rc, std::string message) {
    Error error = make_error(ErrorClass::internal, code::internal_error, std::move(message));
    error.cause = take_error(rc).text;
    return error;
}

Result<Opened> open(const fs::path& tree) {
    TRY(ensure_library());
    Opened opened;
    git_repository* repository = nullptr;
    if (const int rc =
            git_repository_open_ext(&repository, tree.c_str(), GIT_REPOSITORY_OPEN_NO_SEARCH, nullptr);
        rc < 0) {
        return fail(repository_error(rc, "the fetched repository cannot be opened"));
    }
    opened.repository.reset(repository);
    git_index* index = nullptr;
    if (const int rc = git_repository_index(&index, repository); rc < 0) {
        return fail(repository_error(rc, "the index of the fetched repository cannot be read"));
    }
    opened.index.reset(index);
    return opened;
}

bool is_regular(const git_index_entry& entry) {
    return entry.mode == GIT_FILEMODE_BLOB || entry.mode == GIT_FILEMODE_BLOB_EXECUTABLE;
}

/// Content of the blob, unless it is longer or cannot be had.
std::optional<std::string> content(git_repository* repository, const git_oid& id, std::size_t longest) {
    git_blob* raw = nullptr;
    if (git_blob_lookup(&raw, repository, &id) < 0) {
        return std::nullopt;
    }
    const Blob blob(raw);
    const auto size = static_cast<std::uint64_t>(git_blob_rawsize(raw));
    if (size > longest) {
        return std::nullopt;
    }
    return std::string(static_cast<const char*>(git_blob_rawcontent(raw)), static_cast<std::size_t>(size));
}

bool is_attributes(std::string_view path) {
    return path == ".gitattributes" || path.ends_with("/.gitattributes");
}

/// Most repositories know nothing of LFS; these few blobs tell.
bool mentions_lfs(const Opened& in) {
    for (std::size_t i = 0; i < git_index_entrycount(in.index.get()); ++i) {
        const git_index_entry* entry = git_index_get_byindex(in.index.get(), i);
        if (is_regular(*entry) && is_attributes(entry->path)) {
            const auto text = content(in.repository.get(), entry->id, longest_attributes);
            if (text && text->contains("filter=lfs")) {
                return true;
            }
        }
    }
    return false;
}

bool has_lfs_filter(git_repository* repository, const char* path) {
    const char* value = nullptr;
    const int rc = git_attr_get(&value, repository, GIT_ATTR_CHECK_INDEX_ONLY | GIT_ATTR_CHECK_NO_SYSTEM,
                                path, "filter");
    return rc == 0 && git_attr_value(value) == GIT_ATTR_VALUE_STRING && std::string_view(value) == "lfs";
}

/// lfs.fetchinclude and lfs.fetchexclude: comma-separated patterns.
class Selection {
  public:
    explicit Selection(const std::string& patterns) {
        std::vector<std::string> texts;
        for (std::size_t start = 0; start < patterns.size();) {
            const std::size_t end = std::min(patterns.find(',', start), patterns.size());
            std::string one = patterns.substr(start, end - start);
            one.erase(0, std::min(one.find_first_not_of(" \t/"), one.size()));
            one.erase(one.find_last_not_of(" \t/") + 1);
            if (!one.empty()) {
                texts.push_back(std::move(one));
            }
            start = end + 1;
        }
        std::vector<char*> pointers;
        for (std::string& text : texts) {
            pointers.push_back(text.data());
        }
        const git_strarray list{.strings = pointers.data(), .count = pointers.size()};
        git_pathspec* raw = nullptr;
        if (!texts.empty() && git_pathspec_new(&raw, &list) == 0) {
            spec_.reset(raw);
        }
    }
    [[nodiscard]] bool empty() const { return !spec_; }
    [[nodiscard]] bool has(const char* path) const {
        return spec_ && git_pathspec_matches_path(spec_.get(), GIT_PATHSPEC_USE_CASE, path) == 1;
    }

  private:
    Pathspec spec_;
};

/// .lfsconfig, of which only these keys are taken, as git-lfs does: the rest a stranger may not decide.
struct LfsConfig {
    std::string url;
    std::string remote_url;
    std::string include;
    std::string exclude;
};

LfsConfig read_config(const Opened& in) {
    LfsConfig found;
    const git_index_entry* entry = git_index_get_bypath(in.index.get(), ".lfsconfig", 0);
    if (entry == nullptr || !is_regular(*entry)) {
        return found;
    }
    const auto text = content(in.repository.get(), entry->id, longest_config);
    git_config* raw = nullptr;
    if (!text || git_config_new(&raw) < 0) {
        return found;
    }
    const Config config(raw);
    // In memory: a file's [include] would be followed to any path.
    git_config_backend* backend = nullptr;
    if (git_config_backend_from_string(&backend, text->data(), text->size(), nullptr) < 0) {
        return found;
    }
    if (git_config_add_backend(raw, backend, GIT_CONFIG_LEVEL_LOCAL, nullptr, 0) < 0) {
        backend->free(backend);
        return found;
    }
    // By walking, not by asking: libgit2 1.9 gives a backend in memory back too often after each question.
    const auto take = [](const git_config_entry* each, void* payload) -> int {
        LfsConfig& into = *static_cast<LfsConfig*>(payload);
        const std::string_view name = each->name;
        const std::string_view value = each->value == nullptr ? "" : each->value;
        for (const auto& [key, place] :
             {std::pair("lfs.url", &into.url), std::pair("remote.origin.lfsurl", &into.remote_url),
              std::pair("lfs.fetchinclude", &into.include), std::pair("lfs.fetchexclude", &into.exclude)}) {
            if (name == key) {
                *place = value;
            }
        }
        return 0;
    };
    git_config_foreach(raw, take, &found); // the last of a name counts
    return found;
}

} // namespace

Result<LfsTree> find_lfs_files(const fs::path& tree) {
    TRY_ASSIGN(const Opened opened, open(tree));
    LfsTree found;
    if (!mentions_lfs(opened)) {
        return found;
    }
    found.git_dir = git_repository_path(opened.repository.get());
    const LfsConfig config = read_config(opened);
    found.url = config.url;
    found.remote_url = config.remote_url;
    const Selection include(config.include);
    const Selection exclude(config.exclude);
    for (std::size_t i = 0; i < git_index_entrycount(opened.index.get()); ++i) {
        const git_index_entry* entry = git_index_get_byindex(opened.index.get(), i);
        // A size of 0 means that the index does not know it.
        if (!is_regular(*entry) || entry->file_size > longest_checked_out ||
            (entry->flags_extended & GIT_INDEX_ENTRY_SKIP_WORKTREE) != 0 ||
            !has_lfs_filter(opened.repository.get(), entry->path)) {
            continue;
        }
        struct stat info{};
        auto text = content(opened.repository.get(), entry->id, longest_lfs_pointer);
        if (!text || text->empty() || ::lstat((tree / entry->path).c_str(), &info) != 0 ||
            !S_ISREG(info.st_mode)) {
            continue;
        }
        if ((!include.empty() && !include.has(entry->path)) || exclude.has(entry->path)) {
            ++found.excluded;
            continue;
        }
        if (found.files.size() == most_lfs_files) {
            return fail(ErrorClass::build, code::git_failure,
                        std::format("more than {} files are in Git LFS", most_lfs_files),
                        "fetch fewer with --sparse, or leave pointers with --lfs=false");
        }
        found.files.push_back({.path = entry->path, .text = std::move(*text)});
    }
    return found;
}

Status refresh_index(const fs::path& tree, const std::vector<std::string>& paths) {
    TRY_ASSIGN(const Opened opened, open(tree));
    for (const std::string& path : paths) {
        const git_index_entry* old = git_index_get_bypath(opened.index.get(), path.c_str(), 0);
        struct stat now{};
        if (old == nullptr || ::lstat((tree / path).c_str(), &now) != 0) {
            continue;
        }
        git_index_entry entry = *old;
        entry.ctime = {.seconds = static_cast<std::int32_t>(now.st_ctim.tv_sec),
                       .nanoseconds = static_cast<std::uint32_t>(now.st_ctim.tv_nsec)};
        entry.mtime = {.seconds = static_cast<std::int32_t>(now.st_mtim.tv_sec),
                       .nanoseconds = static_cast<std::uint32_t>(now.st_mtim.tv_nsec)};
        entry.dev = static_cast<std::uint32_t>(now.st_dev);
        entry.ino = static_cast<std::uint32_t>(now.st_ino);
        entry.uid = now.st_uid;
        entry.gid = now.st_gid;
        entry.file_size = static_cast<std::uint32_t>(now.st_size); // as git has it: the lower 32 bits
        if (const int rc = git_index_add(opened.index.get(), &entry); rc < 0) {
            return fail(repository_error(rc, "the index cannot be brought up to date"));
        }
    }
    if (const int rc = git_index_write(opened.index.get()); rc < 0) {
        return fail(repository_error(rc, "the index cannot be written"));
    }
    return {};
}

} // namespace slipway::source
