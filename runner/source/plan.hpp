// Which refs to fetch for a revision, decided from what the server advertises. Pure.
#pragma once

#include "base/result.hpp"
#include "source/git.hpp"

#include <optional>
#include <string>
#include <vector>

namespace slipway::source {

struct AdvertisedRef {
    std::string
        name; ///< "HEAD", "refs/heads/main", "refs/tags/v1", "refs/tags/v1^{}" (what an annotated tag names)
    std::string id;
    std::string symref; ///< HEAD: the branch it stands for
};

struct FetchPlan {
    std::vector<std::string> refspecs;
    std::string
        id; ///< object to check out (a commit, or a tag to peel); empty = what `local_ref` holds afterwards
    std::string prefix; ///< abbreviated id, to be looked up in what has been fetched; in place of `id`
    std::string ref;    ///< for Checkout::ref
    std::string local_ref;
    bool bare_commit = false; ///< asks for a commit by id, which a server may refuse
    bool everything = false;  ///< fetches all branches and tags with their whole history
};

/// What to ask for so that all tags come too.
inline constexpr std::string_view all_tags_refspec = "+refs/tags/*:refs/tags/*";

/// `everything`: the server has refused to give the commit by its id.
Result<FetchPlan> plan_fetch(const std::vector<AdvertisedRef>& refs, std::string_view revision,
                             std::string_view refspec, bool everything);

/// Forms only: revision and refspecs that could reach a server. Error: class usage.
Status check_revision(std::string_view revision, std::string_view refspec);

bool is_full_id(std::string_view text);

/// 4 to 39 hexadecimal digits: what git takes for the beginning of an id when no ref is called so.
bool is_abbreviated_id(std::string_view text);

/// The error for a commit that is not there.
Error missing_commit(std::string_view id, const GitUrl& url);

} // namespace slipway::source
