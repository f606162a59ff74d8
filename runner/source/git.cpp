#include "source/git.hpp"

#include "base/file.hpp"
#include "source/checkout.hpp"
#include "source/connection.hpp"
#include "source/early_files.hpp"
#include "source/git_error.hpp"
#include "source/library.hpp"
#include "source/pack_backend.hpp"
#include "source/plan.hpp"
#include "source/repository.hpp"
#include "source/revision.hpp"
#include "source/submodules.hpp"
#include "source/tree.hpp"
#include "source/tree_rules.hpp"
#include "source/workdir.hpp"

#include <algorithm>
#include <format>
#include <iterator>
#include <malloc.h>
#include <tuple>
#include <utility>

namespace slipway::source {
namespace {

/// Everything one attempt works with.
class Attempt {
  public:
    Attempt(const GitOptions& options, const GitUrl& url, const Place& place, const GitCallbacks& callbacks,
            const StopToken& stop)
        : options_(options), url_(url), place_(place), callbacks_(callbacks), stop_(stop),
          net_(stop, options.connect_timeout, options.stall_timeout, url.scheme == GitUrl::Scheme::ssh),
          early_(place.work_tree) {}

    Result<Checkout> run(bool everything);
    /// The server refused to give the commit by its id; all branches may still hold it.
    [[nodiscard]] bool worth_everything() const { return refused_commit_; }

  private:
    std::unexpected<Error> failed(int rc) { return failed(take_error(rc)); }
    std::unexpected<Error> failed(const LibraryError& why) {
        if (connection_) {
            connection_->finish_messages();
        }
        return fail(classify(why, seen_, net_, url_, options_));
    }
    Status open();
    Result<std::vector<AdvertisedRef>> advertised();
    Result<FetchPlan> fetch(bool everything);
    void expect_files(const FetchPlan& plan, const std::vector<AdvertisedRef>& refs);
    Result<Commit> find_commit(const FetchPlan& plan);

    const GitOptions& options_;
    const GitUrl& url_;
    const Place& place_;
    const GitCallbacks& callbacks_;
    const StopToken& stop_;
    NetSession net_;
    Observed seen_;
    std::optional<Connection> connection_;
    EarlyFiles early_;
    Repository repository_;
    Remote remote_; // before the repository goes: it holds the connection
    std::vector<std::string> notes_;
    int depth_ = 0;
    bool refused_commit_ = false;
};

Status Attempt::open() {
    git_repository_init_options init{};
    git_repository_init_options_init(&init, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
    init.flags = GIT_REPOSITORY_INIT_NO_REINIT;
    init.mode = GIT_REPOSITORY_INIT_SHARED_UMASK;
    init.initial_head = "main";
    std::string git_dir = place_.work_tree;
    if (!place_.git_dir.empty()) {
        init.flags |= GIT_REPOSITORY_INIT_NO_DOTGIT_DIR | GIT_REPOSITORY_INIT_MKPATH |
                      GIT_REPOSITORY_INIT_RELATIVE_GITLINK;
        init.workdir_path = place_.work_tree.c_str();
        git_dir = place_.git_dir;
    }
    git_repository* repository = nullptr;
    seen_.stage = Observed::Stage::fetch;
    if (const int rc = git_repository_init_ext(&repository, git_dir.c_str(), &init); rc < 0) {
        return failed(rc);
    }
    repository_.reset(repository);
    const auto take = [this](PackType type, const git_oid& id, std::string_view content) {
        early_.take(type, id, content);
    };
    if (const int rc = receive_packs(repository, take); rc < 0) {
        return failed(rc);
    }
    git_remote* remote = nullptr;
    if (const int rc = git_remote_create(&remote, repository, "origin", url_.clean.c_str()); rc < 0) {
        return failed(rc);
    }
    remote_.reset(remote);
    connection_.emplace(options_, url_, callbacks_, net_, seen_);
    TRY(connection_->prepare(git_repository_path(repository)));
    if (const int rc = git_remote_set_instance_url(remote, connection_->connect_url().c_str()); rc < 0) {
        return failed(rc);
    }
    seen_.stage = Observed::Stage::connect;
    const git_remote_connect_options how = connection_->connect_options();
    if (const int rc = git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &how); rc < 0) {
        return failed(rc);
    }
    return {};
}

Result<std::vector<AdvertisedRef>> Attempt::advertised() {
    const git_remote_head** heads = nullptr;
    std::size_t count = 0;
    if (const int rc = git_remote_ls(&heads, &count, remote_.get()); rc < 0) {
        return failed(rc);
    }
    std::vector<AdvertisedRef> refs;
    refs.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        refs.push_back({.name = heads[i]->name,
                        .id = hex(heads[i]->oid),
                        .symref = heads[i]->symref_target == nullptr ? "" : heads[i]->symref_target});
    }
    return refs;
}

Result<FetchPlan> Attempt::fetch(bool everything) {
    TRY_ASSIGN(const std::vector<AdvertisedRef> refs, advertised());
    TRY_ASSIGN(FetchPlan plan, plan_fetch(refs, options_.revision, options_.refspec, everything));
    if (options_.tags && std::ranges::find(plan.refspecs, all_tags_refspec) == plan.refspecs.end()) {
        plan.refspecs.emplace_back(all_tags_refspec);
    }
    depth_ = plan.everything ? 0 : options_.depth;
    if (url_.scheme == GitUrl::Scheme::file && options_.depth > 0) {
        depth_ = 0;
        notes_.emplace_back("fetched the whole history: a local repository cannot be fetched with a depth");
    } else if (!plan.prefix.empty() && options_.depth > 0) {
        notes_.emplace_back(
            "fetched the whole history: an abbreviated commit id can only be looked up in it");
    } else if (plan.everything && options_.depth > 0) {
        notes_.emplace_back("fetched the whole history: the commit could not be had by itself");
    }

    if (options_.sparse.empty()) {
        expect_files(plan, refs);
    }
    std::vector<char*> texts;
    texts.reserve(plan.refspecs.size());
    for (std::string& text : plan.refspecs) {
        texts.push_back(text.data());
    }
    const git_strarray specs{.strings = texts.data(), .count = texts.size()};
    seen_.stage = Observed::Stage::fetch;
    const git_fetch_options how = connection_->fetch_options(depth_);
    if (const int rc = git_remote_fetch(remote_.get(), &specs, &how, nullptr); rc < 0) {
        const LibraryError why = take_error(rc);
        connection_->finish_messages();
        Error failure = classify(why, seen_, net_, url_, options_);
        // "Not our ref", or libgit2 itself: the server does not offer commits by id. It may still have this
        // one.
        refused_commit_ =
            plan.bare_commit &&
            (failure.code == code::git_checkout || why.text.contains("cannot fetch a specific object") ||
             why.text.contains("unexpected packet type")); // its ERR, met where libgit2 expects none
        return fail(std::move(failure));
    }
    connection_->finish_messages();
    return plan;
}

/// Where it is known which commit comes, its files are written as they do.
void Attempt::expect_files(const FetchPlan& plan, const std::vector<AdvertisedRef>& refs) {
    if (!plan.prefix.empty()) {
        return;
    }
    std::string id = plan.id;
    if (const auto ref = std::ranges::find(refs, plan.ref, &AdvertisedRef::name);
        id.empty() && ref != refs.end()) {
        id = ref->id;
    }
    git_oid commit{};
    if (is_full_id(id) && git_oid_fromstr(&commit, id.c_str()) == 0) {
        early_.expect(commit);
    }
}

Result<Commit> Attempt::find_commit(const FetchPlan& plan) {
    git_oid id{};
    if (!plan.prefix.empty()) {
        TRY_ASSIGN(id, find_abbreviated(repository_.get(), plan.prefix, url_));
    }
    int rc = !plan.prefix.empty() ? 0
             : plan.id.empty()    ? git_reference_name_to_id(&id, repository_.get(), plan.local_ref.c_str())
                                  : git_oid_fromstr(&id, plan.id.c_str());
    git_object* object = nullptr;
    if (rc == 0) {
        rc = git_object_lookup(&object, repository_.get(), &id, GIT_OBJECT_ANY);
    }
    const Object owned(object);
    if (rc == GIT_ENOTFOUND) {
        return fail(missing_commit(plan.id.empty() ? plan.local_ref : plan.id, url_));
    }
    if (rc < 0) {
        return failed(rc);
    }
    git_object* commit = nullptr;
    if (rc = git_object_peel(&commit, object, GIT_OBJECT_COMMIT); rc < 0) {
        Error error = make_error(
            ErrorClass::build, code::git_checkout,
            std::format("{} is not a commit", options_.revision.empty() ? plan.ref : options_.revision),
            "name a branch, a tag of a commit, or a commit");
        error.cause = take_error(rc).text;
        return fail(std::move(error));
    }
    return Commit(reinterpret_cast<git_commit*>(commit));
}

Result<Checkout> Attempt::run(bool everything) {
    TRY(empty_place(place_, notes_));
    TRY(open());
    TRY_ASSIGN(const FetchPlan plan, fetch(everything));
    Checkout result;
    if (const git_indexer_progress* stats = git_remote_stats(remote_.get())) {
        result.received_objects = stats->received_objects;
        result.received_bytes = stats->received_bytes;
    }
    git_remote_disconnect(remote_.get());
    Result<Commit> commit = find_commit(plan);
    if (!commit) {
        // A commit named beside refspecs may lie deeper than the depth reached.
        refused_commit_ = !everything && is_full_id(options_.revision) && options_.depth > 0;
        return fail(std::move(commit).error());
    }
    remote_.reset();
    connection_.reset(); // takes the temporary known_hosts out of .git
    ::malloc_trim(0);    // what receiving took is not the checkout's to carry

    seen_.stage = Observed::Stage::checkout;
    TreeRules rules(repository_.get(), commit->get(), options_.sparse);
    TRY(rules.prepare());
    const std::expected<CheckoutFacts, LibraryError> written =
        checkout_tree(repository_.get(), commit->get(), place_.work_tree, rules.rules(),
                      {.stop = stop_, .on_checkout = callbacks_.on_checkout}, &early_);
    if (!written) {
        return failed(written.error());
    }
    std::ranges::move(rules.notes(), std::back_inserter(notes_));
    if (const int rc = git_repository_set_head_detached(repository_.get(), git_commit_id(commit->get()));
        rc < 0) {
        return failed(rc);
    }
    describe_commit(commit->get(), result);
    describe_origin(commit->get(), result);
    result.files = written->files;
    result.bytes = written->bytes;
    result.has_submodules = written->has_submodules;
    result.lfs_pointers = written->lfs_pointers;
    result.url = url_.clean;
    result.ref = plan.ref;
    if (constexpr std::string_view heads = "refs/heads/"; plan.ref.starts_with(heads)) {
        result.branch = plan.ref.substr(heads.size());
    }
    result.shallow = git_repository_is_shallow(repository_.get()) == 1;
    result.notes = std::move(notes_);
    return result;
}

Result<Checkout> fetch_once(const GitOptions& options, const GitUrl& url, const Place& place,
                            const GitCallbacks& callbacks, const StopToken& stop) {
    bool everything = false;
    for (;;) {
        Result<Checkout> result;
        bool again = false;
        {
            Attempt attempt(options, url, place, callbacks, stop);
            result = attempt.run(everything);
            again = !result && !everything && attempt.worth_everything();
        }
        if (result) {
            return result;
        }
        std::vector<std::string> ignored;
        const Status emptied = empty_place(place, ignored);
        if (stop.requested()) {
            return fail(stop.error());
        }
        if (again && emptied) {
            everything = true;
            continue;
        }
        return result;
    }
}

} // namespace

Status empty_place(const Place& place, std::vector<std::string>& notes) {
    if (!place.git_dir.empty()) {
        std::error_code failure;
        std::filesystem::remove_all(place.git_dir, failure);
        if (failure) {
            return fail_errno(place.git_dir.string(), failure.value());
        }
    }
    return empty_directory(place.work_tree, notes);
}

Result<Checkout> fetch_repository(const GitOptions& options, const Place& place,
                                  const GitCallbacks& callbacks, const StopToken& stop) {
    TRY_ASSIGN(const GitUrl url, parse_git_url(options.url));
    GitOptions own = options;
    if (url.has_password || (!url.username.empty() && url.scheme != GitUrl::Scheme::ssh)) {
        // Credentials in the URL are the user's explicit word and stand above what was found in files.
        own.credentials.basic = BasicAuth{.username = url.username, .password = url.password};
    }
    if (stop.requested()) {
        return fail(stop.error());
    }
    return with_retries<Checkout>(own.retry, stop, callbacks.on_retry,
                                  [&] { return fetch_once(own, url, place, callbacks, stop); });
}

Result<Checkout> fetch_git(const GitOptions& options, const GitCallbacks& callbacks, const StopToken& stop) {
    TRY(parse_git_url(options.url));
    TRY(ensure_library());
    TRY(check_revision(options.revision, options.refspec));
    TRY(SparseCone::of(options.sparse));
    if (options.into.empty() || options.into.lexically_normal() == "/") {
        return fail_usage("no directory for the source", "name one with --into");
    }
    if (options.depth < 0) {
        return fail_usage("the depth is negative", "0 fetches all history");
    }
    const Place place{.work_tree = std::filesystem::absolute(options.into).lexically_normal(), .git_dir = {}};
    Result<Checkout> result = fetch_repository(options, place, callbacks, stop);
    if (result && result->has_submodules && options.submodules) {
        if (Status fetched = fetch_submodules(options, place, *result, callbacks, stop); !fetched) {
            std::vector<std::string> ignored;
            std::ignore = empty_place(place, ignored); // half a tree is none
            return fail(std::move(fetched).error());
        }
    }
    return result;
}

std::string git_library_version() {
    int major = 0;
    int minor = 0;
    int patch = 0;
    git_libgit2_version(&major, &minor, &patch);
    return std::format("{}.{}.{}", major, minor, patch);
}

} // namespace slipway::source
