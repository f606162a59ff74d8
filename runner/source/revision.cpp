#include "source/revision.hpp"

#include "source/library.hpp"

#include <algorithm>
#include <format>
#include <git2/sys/errors.h>
#include <iterator>
#include <ranges>
#include <string>
#include <vector>

namespace slipway::source {
namespace {

constexpr std::size_t most_candidates = 8;

struct Search {
    git_oid prefix{};
    std::size_t digits = 0;
    std::vector<git_oid> found;
};

std::vector<git_oid> ids_that_begin(git_odb* objects, std::string_view prefix) {
    Search search{.prefix = {}, .digits = prefix.size(), .found = {}};
    git_oid_fromstrn(&search.prefix, prefix.data(), prefix.size());
    git_odb_foreach(
        objects,
        [](const git_oid* id, void* payload) {
            auto& me = *static_cast<Search*>(payload);
            if (git_oid_ncmp(id, &me.prefix, me.digits) == 0) {
                me.found.push_back(*id);
            }
            return 0;
        },
        &search);
    return search.found;
}

/// Whether the object is a commit, or a tag that leads to one.
bool is_commitish(git_repository* repository, const git_oid& id) {
    git_object* object = nullptr;
    if (git_object_lookup(&object, repository, &id, GIT_OBJECT_ANY) < 0) {
        return false;
    }
    const Object owned(object);
    git_object* commit = nullptr;
    const bool leads = git_object_peel(&commit, object, GIT_OBJECT_COMMIT) == 0;
    const Object peeled(commit);
    return leads;
}

std::string list(const std::vector<git_oid>& ids) {
    std::string text;
    for (const git_oid& id : ids | std::views::take(most_candidates)) {
        text += (text.empty() ? "" : ", ") + hex(id);
    }
    return ids.size() > most_candidates ? text + std::format(" and {} more", ids.size() - most_candidates)
                                        : text;
}

} // namespace

Result<git_oid> find_abbreviated(git_repository* repository, std::string_view prefix, const GitUrl& url) {
    git_odb* raw = nullptr;
    if (const int rc = git_repository_odb(&raw, repository); rc < 0) {
        Error error = make_error(ErrorClass::internal, code::internal_error, "the objects could not be read");
        error.cause = take_error(rc).text;
        return fail(std::move(error));
    }
    const Database objects(raw);
    std::vector<git_oid> found = ids_that_begin(raw, prefix);
    std::ranges::sort(found, [](const git_oid& a, const git_oid& b) { return git_oid_cmp(&a, &b) < 0; });
    // An object may lie in several packs.
    const auto same = [](const git_oid& a, const git_oid& b) { return git_oid_equal(&a, &b) != 0; };
    found.erase(std::ranges::unique(found, same).begin(), found.end());
    std::vector<git_oid> commits;
    std::ranges::copy_if(found, std::back_inserter(commits),
                         [repository](const git_oid& id) { return is_commitish(repository, id); });
    git_error_clear();
    if (commits.size() == 1) {
        return commits.front();
    }
    if (commits.empty() && found.size() == 1) {
        return found.front(); // the caller says what it is
    }
    if (found.empty()) {
        return fail(ErrorClass::build, code::git_checkout,
                    std::format("there is no branch, tag or commit “{}” in {}", prefix, url.clean),
                    "check the revision; if you force pushed recently, the commit may no longer exist");
    }
    return fail(ErrorClass::build, code::git_checkout,
                std::format("“{}” is the beginning of more than one id in {}", prefix, url.clean),
                "give more digits of one of these: " + list(commits.empty() ? found : commits));
}

void describe_origin(const git_commit* commit, Checkout& into) {
    into.tree = hex(*git_commit_tree_id(commit));
    if (const git_signature* author = git_commit_author(commit)) {
        into.author_date = utc_text(author->when.time);
    }
}

} // namespace slipway::source
