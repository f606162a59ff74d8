#include "source/plan.hpp"

#include "source/library.hpp"

#include <algorithm>
#include <format>
#include <git2.h>
#include <ranges>

namespace slipway::source {
namespace {

bool is_hex(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

bool ref_name_is_sound(const std::string& name) {
    int valid = 0;
    return git_reference_name_is_valid(&valid, name.c_str()) == 0 && valid != 0;
}

struct Refspec {
    std::string source;
    std::string destination;
};

/// "[+]source[:destination]"; a missing destination becomes a ref of our own, so that the object can be
/// found.
Refspec split_refspec(std::string_view text, std::size_t number) {
    if (text.starts_with('+')) {
        text.remove_prefix(1);
    }
    const std::size_t colon = text.find(':');
    Refspec spec{.source = std::string(text.substr(0, colon)), .destination = {}};
    if (colon != std::string_view::npos) {
        spec.destination = text.substr(colon + 1);
    }
    if (!spec.source.starts_with("refs/") && spec.source != "HEAD" && !is_full_id(spec.source)) {
        spec.source = "refs/heads/" + spec.source;
    }
    if (spec.destination.empty()) {
        spec.destination =
            spec.source.contains('*') ? "refs/slipway/*" : std::format("refs/slipway/fetched-{}", number);
    } else if (!spec.destination.starts_with("refs/")) {
        spec.destination = "refs/heads/" + spec.destination;
    }
    return spec;
}

std::vector<std::string_view> words(std::string_view text) {
    std::vector<std::string_view> out;
    for (const auto part : std::views::split(text, ' ')) {
        if (!part.empty()) {
            out.emplace_back(part.begin(), part.end());
        }
    }
    return out;
}

/// Where a fetched ref is kept, as `git clone` would.
std::string kept_as(const std::string& ref) {
    constexpr std::string_view heads = "refs/heads/";
    return ref.starts_with(heads) ? "refs/remotes/origin/" + ref.substr(heads.size()) : ref;
}

FetchPlan one_ref(const std::string& ref, const std::string& id) {
    FetchPlan plan;
    plan.ref = ref;
    plan.local_ref = kept_as(ref);
    plan.refspecs = {std::format("+{}:{}", ref, plan.local_ref)};
    plan.id = id;
    return plan;
}

const AdvertisedRef* find(const std::vector<AdvertisedRef>& refs, std::string_view name) {
    const auto it = std::ranges::find(refs, name, &AdvertisedRef::name);
    return it == refs.end() ? nullptr : &*it;
}

/// The ref whose tip the commit is; branches before tags before anything else.
const AdvertisedRef* tip(const std::vector<AdvertisedRef>& refs, std::string_view id) {
    const auto rank = [](const AdvertisedRef& ref) {
        return ref.name.starts_with("refs/heads/") ? 0 : ref.name.starts_with("refs/tags/") ? 1 : 2;
    };
    const AdvertisedRef* best = nullptr;
    for (const AdvertisedRef& ref : refs) {
        if (ref.id == id && ref.name.starts_with("refs/") && (best == nullptr || rank(ref) < rank(*best))) {
            best = &ref;
        }
    }
    return best;
}

FetchPlan all_refs(std::string id) {
    FetchPlan plan;
    plan.refspecs = {"+refs/heads/*:refs/remotes/origin/*", std::string(all_tags_refspec)};
    plan.id = std::move(id);
    plan.everything = true;
    return plan;
}

FetchPlan commit_plan(const std::vector<AdvertisedRef>& refs, const std::string& id, bool everything) {
    if (everything) {
        return all_refs(id);
    }
    if (const AdvertisedRef* ref = tip(refs, id)) {
        std::string name = ref->name;
        if (name.ends_with("^{}")) {
            name.resize(name.size() - 3);
        }
        if (ref_name_is_sound(name)) {
            FetchPlan plan = one_ref(name, id);
            plan.ref.clear(); // asked for as a commit, and that is what it is
            return plan;
        }
    }
    FetchPlan plan;
    plan.refspecs = {std::format("+{}:refs/slipway/commit", id)};
    plan.id = id;
    plan.bare_commit = true;
    return plan;
}

Error missing_ref(std::string_view revision, const std::vector<AdvertisedRef>& refs) {
    std::string message =
        revision.empty()
            ? std::string(refs.empty() ? "the repository is empty" : "the repository has no default branch")
            : std::format("there is no branch or tag “{}” in the repository", revision);
    std::string hint = "check the revision";
    if (revision.empty()) {
        hint = refs.empty() ? "push a commit first" : "name a branch, tag or commit with --revision";
    } else if (refs.empty()) {
        hint = "the repository is empty";
    } else {
        const std::string wanted = lower(revision);
        for (const AdvertisedRef& ref : refs) {
            const std::string_view name = ref.name;
            const std::string_view leaf = name.substr(std::min(name.size(), name.rfind('/') + 1));
            if (name.starts_with("refs/") && lower(leaf) == wanted) {
                hint = std::format("upper and lower case matter: there is {}", name);
                break;
            }
        }
    }
    return make_error(ErrorClass::build, code::git_checkout, std::move(message), std::move(hint));
}

Result<FetchPlan> ref_plan(const std::vector<AdvertisedRef>& refs, std::string_view revision) {
    if (revision.empty() || revision == "HEAD") {
        const AdvertisedRef* head = find(refs, "HEAD");
        if (head == nullptr) {
            return fail(missing_ref("", refs));
        }
        if (!head->symref.empty() && ref_name_is_sound(head->symref) && find(refs, head->symref) != nullptr) {
            return one_ref(head->symref, head->id);
        }
        FetchPlan plan = one_ref("HEAD", head->id);
        plan.refspecs = {"+HEAD:refs/remotes/origin/HEAD"};
        plan.local_ref = "refs/remotes/origin/HEAD";
        return plan;
    }
    std::vector<std::string> candidates;
    if (revision.starts_with("refs/")) {
        candidates = {std::string(revision)};
    } else {
        candidates = {std::format("refs/heads/{}", revision), std::format("refs/tags/{}", revision),
                      std::format("refs/{}", revision)};
        if (revision.starts_with("origin/")) { // as people write it who think of their clone
            candidates.push_back(std::format("refs/heads/{}", revision.substr(7)));
        }
    }
    for (const std::string& name : candidates) {
        if (const AdvertisedRef* ref = find(refs, name)) {
            return one_ref(ref->name, ref->id);
        }
    }
    if (is_abbreviated_id(revision) && !refs.empty()) {
        // Servers look up whole ids only, and another object may begin alike: it takes the whole history to
        // tell.
        FetchPlan plan = all_refs({});
        plan.prefix = lower(revision);
        return plan;
    }
    return fail(missing_ref(revision, refs));
}

} // namespace

bool is_full_id(std::string_view text) {
    return text.size() == 40 && is_hex(text);
}

bool is_abbreviated_id(std::string_view text) {
    return text.size() >= 4 && text.size() < 40 && is_hex(text);
}

Status check_revision(std::string_view revision, std::string_view refspec) {
    if (revision.size() > 1024 || refspec.size() > 4096) {
        return fail_usage("the revision is too long", "name a branch, tag or commit");
    }
    if (revision.starts_with('-') || refspec.starts_with('-')) {
        return fail_usage("a revision cannot begin with '-'", "name a branch, tag or full commit id");
    }
    if (revision.size() == 64 && is_hex(revision)) {
        return fail_usage("SHA-256 repositories are not supported", "");
    }
    if (!revision.empty() && !is_full_id(revision) &&
        !ref_name_is_sound(revision.starts_with("refs/") || revision == "HEAD"
                               ? std::string(revision)
                               : std::format("refs/heads/{}", revision))) {
        return fail_usage("the revision is not a valid name", "name a branch, tag or full commit id");
    }
    TRY(ensure_library()); // libgit2 parses refspecs only once it is set up
    const std::vector<std::string_view> specs = words(refspec);
    if (specs.size() > 16) {
        return fail_usage("more than 16 refspecs", "fetch fewer refs, or a pattern");
    }
    for (std::size_t i = 0; i < specs.size(); ++i) {
        const Refspec spec = split_refspec(specs[i], i);
        git_refspec* parsed = nullptr;
        const std::string text = std::format("+{}:{}", spec.source, spec.destination);
        const bool sound = git_refspec_parse(&parsed, text.c_str(), 1) == 0 &&
                           !spec.destination.starts_with("refs/slipway/.");
        git_refspec_free(parsed);
        if (!sound) {
            return fail_usage("a refspec is malformed", "write [+]refs/…[:refs/…]");
        }
    }
    return {};
}

Result<FetchPlan> plan_fetch(const std::vector<AdvertisedRef>& refs, std::string_view revision,
                             std::string_view refspec, bool everything) {
    const std::vector<std::string_view> specs = words(refspec);
    if (specs.empty()) {
        if (is_full_id(revision)) {
            return commit_plan(refs, lower(revision), everything);
        }
        return ref_plan(refs, revision);
    }

    FetchPlan plan;
    if (is_full_id(revision)) {
        plan.id = lower(revision);
    } else if (!revision.empty()) {
        // The revision may be the local name a refspec gives; else it is something of the server's.
        const std::string mine =
            revision.starts_with("refs/") ? std::string(revision) : std::format("refs/heads/{}", revision);
        const bool named = std::ranges::any_of(
            specs, [&mine](std::string_view spec) { return split_refspec(spec, 0).destination == mine; });
        if (named) {
            plan.local_ref = mine;
        } else {
            TRY_ASSIGN(plan, ref_plan(refs, revision));
        }
    }
    for (std::size_t i = 0; i < specs.size(); ++i) {
        const Refspec spec = split_refspec(specs[i], i);
        if (!spec.source.contains('*') && !is_full_id(spec.source) && find(refs, spec.source) == nullptr) {
            return fail(missing_ref(spec.source, refs));
        }
        plan.refspecs.push_back(std::format("+{}:{}", spec.source, spec.destination));
        if (plan.id.empty() && plan.prefix.empty() && plan.local_ref.empty() && !spec.source.contains('*')) {
            plan.local_ref = spec.destination;
            plan.ref = spec.source;
        }
    }
    if (plan.id.empty() && plan.prefix.empty() && plan.local_ref.empty()) {
        return fail_usage("a pattern refspec does not say what to check out", "give a revision as well");
    }
    plan.everything = everything || !plan.prefix.empty(); // the same refs, with all their history
    return plan;
}

Error missing_commit(std::string_view id, const GitUrl& url) {
    return make_error(
        ErrorClass::build, code::git_checkout,
        std::format("commit {} is not in {}; if you force pushed recently, it no longer exists there", id,
                    url.clean),
        "start again from a commit that is on a branch or tag; one that belongs to a fork or a pull request "
        "is "
        "reached by its ref (--refspec)");
}

} // namespace slipway::source
