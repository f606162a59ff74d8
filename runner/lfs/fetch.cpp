#include "lfs/fetch.hpp"

#include "base/clock.hpp"
#include "base/file.hpp"
#include "lfs/download.hpp"
#include "lfs/place.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <format>
#include <map>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <thread>
#include <unistd.h>

namespace slipway::lfs {

namespace {

namespace fs = std::filesystem;

/// One object and the files that are to hold it.
struct Job {
    Object object;
    std::vector<std::string> paths;
    std::optional<Answer> answer;
};

/// "a.bin", "a.bin and 2 other files".
std::string named(const Job& job) {
    const std::size_t others = job.paths.size() - 1;
    return others == 0
               ? job.paths.front()
               : std::format("{} and {} other file{}", job.paths.front(), others, others == 1 ? "" : "s");
}

Error about(const Job& job, Error error) {
    if (error.klass != ErrorClass::cancelled && error.code != code::deadline) {
        error.message = std::format("Git LFS: {}: {}", named(job), error.message);
        error.cause += (error.cause.empty() ? "" : "; ") + std::format("object {}", job.object.oid);
    }
    return error;
}

Error missing(std::string words) {
    Error error =
        make_error(ErrorClass::build, code::git_checkout, "the server has not got this object",
                   "push it from a clone that has it (git lfs push --all), or fetch with --lfs=false");
    error.cause = std::move(words);
    return error;
}

/// What stops the workers: the caller's token, or the first that failed.
class Fetch {
  public:
    Fetch(const Options& options, const fs::path& scratch, Fd root, std::deque<Job> jobs)
        : options_(options), scratch_(scratch), root_(std::move(root)), waiting_(std::move(jobs)),
          server_(options.server, halt_.token()) {
        for (const Job& job : waiting_) {
            total_ += job.object.size;
        }
    }

    Result<Summary> run(const StopToken& stop);

  private:
    void work();
    Result<std::optional<Job>> next();
    Status carry_out(http::Client& client, Job& job, Download& download);
    Status ask_again(Job& job);
    Result<Action> action_of(const Job& job) const;
    Status put(const Job& job, const fs::path& file);
    void count(std::int64_t added);
    void failed(Error error);

    const Options& options_;
    const fs::path scratch_;
    Fd root_;
    StopSource halt_;
    std::mutex jobs_mutex_;
    std::deque<Job> waiting_; ///< not yet asked about
    std::deque<Job> ready_;
    Server server_;
    std::mutex mutex_; ///< for all below
    std::optional<Error> error_;
    Summary summary_;
    std::uint64_t done_ = 0;
    std::uint64_t total_ = 0;
};

void Fetch::failed(Error error) {
    const std::scoped_lock lock(mutex_);
    if (!error_) {
        error_ = std::move(error);
        halt_.request({.kind = StopReason::Kind::signal, .signal = 0});
    }
}

void Fetch::count(std::int64_t added) {
    const std::scoped_lock lock(mutex_);
    done_ = static_cast<std::uint64_t>(static_cast<std::int64_t>(done_) + added);
    if (options_.on_progress) {
        options_.on_progress(done_, total_);
    }
}

/// The next object with what the server says about it. Whoever finds none asks for a batch more, while the
/// others are still busy with theirs.
Result<std::optional<Job>> Fetch::next() {
    const std::scoped_lock lock(jobs_mutex_);
    if (ready_.empty()) {
        std::vector<Object> asked;
        for (const Job& job : waiting_) {
            if (asked.size() == Server::largest_batch) {
                break;
            }
            asked.push_back(job.object);
        }
        if (asked.empty() || halt_.token().requested()) {
            return std::nullopt;
        }
        TRY_ASSIGN(std::vector<Answer> answers, server_.batch(asked));
        for (Answer& answer : answers) {
            ready_.push_back(std::move(waiting_.front()));
            ready_.back().answer = std::move(answer);
            waiting_.pop_front();
        }
    }
    Job job = std::move(ready_.front());
    ready_.pop_front();
    return job;
}

Result<Action> Fetch::action_of(const Job& job) const {
    const Answer& answer = *job.answer;
    if (answer.download && !answer.download->href.empty()) {
        return *answer.download;
    }
    if (answer.error == 0 || answer.error == 404 || answer.error == 410) {
        return fail(missing(answer.message));
    }
    if (answer.error == 409 || answer.error == 422) {
        Error error = missing(answer.message);
        error.message = std::format("the server refuses this object (code {})", answer.error);
        return fail(std::move(error));
    }
    return fail(status_error(answer.error, "the Git LFS server", answer.message));
}

Status Fetch::ask_again(Job& job) {
    TRY_ASSIGN(std::vector<Answer> answers, server_.batch({job.object}));
    job.answer = std::move(answers.front());
    return {};
}

Status Fetch::carry_out(http::Client& client, Job& job, Download& download) {
    bool fresh = false;
    const bool stale =
        !job.answer || (job.answer->error != 0 && http::is_transient_status(job.answer->error)) ||
        (job.answer->download && job.answer->download->expired(std::chrono::system_clock::now()));
    if (stale) {
        TRY(ask_again(job));
        fresh = true;
    }
    http::Headers extra;
    for (;;) {
        TRY_ASSIGN(const Action action, action_of(job));
        Status status = download.run(client, server_, action, extra, halt_.token());
        if (status) {
            return status;
        }
        if (options_.server.on_secrets) {
            options_.server.on_secrets(action.secrets());
        }
        if (status.error().code == code::git_auth && !fresh) {
            TRY(ask_again(job)); // what was granted a while ago may have run out
            fresh = true;
            continue;
        }
        if (status.error().code == code::git_auth && extra.empty() && action.headers.empty()) {
            // The server's own store behind the server's own door.
            if (const auto url = http::parse_url(action.href)) {
                extra = server_.login_for(*url);
            }
            if (!extra.empty()) {
                continue;
            }
        }
        if (status.error().transient) {
            job.answer.reset(); // the next try asks anew: another server may be named
        }
        return status;
    }
}

Status Fetch::put(const Job& job, const fs::path& file) {
    std::vector<std::string> placed;
    for (std::size_t i = 0; i < job.paths.size(); ++i) {
        fs::path whole = file;
        if (i + 1 < job.paths.size()) {
            whole += ".copy";
            TRY(copy_content(file, whole));
        }
        TRY_ASSIGN(const bool there, place(root_.get(), job.paths[i], whole));
        if (there) {
            placed.push_back(job.paths[i]);
        } else {
            ::unlink(whole.c_str());
        }
    }
    const std::scoped_lock lock(mutex_);
    summary_.paths.insert(summary_.paths.end(), placed.begin(), placed.end());
    ++summary_.objects;
    summary_.bytes += job.object.size;
    return {};
}

void Fetch::work() {
    http::Client client(*options_.server.http, options_.server.tls);
    while (!halt_.token().requested()) {
        auto job = next();
        if (!job) {
            return failed(std::move(job).error());
        }
        if (!*job) {
            return;
        }
        const fs::path file = scratch_ / (*job)->object.oid;
        auto download = Download::create(file, (*job)->object, [this](std::int64_t added) { count(added); });
        Status status = download ? Status() : Status(fail(download.error()));
        const bool is_empty = (*job)->object.size == 0 && (*job)->object.oid == empty_oid;
        if (status && !is_empty) {
            status = with_retries<void>(options_.server.retry, halt_.token(), options_.server.on_retry,
                                        [&] { return carry_out(client, **job, *download); });
        }
        if (status) {
            status = put(**job, file);
        }
        if (!status) {
            return failed(about(**job, std::move(status).error()));
        }
    }
}

Result<Summary> Fetch::run(const StopToken& stop) {
    const Fd done(::eventfd(0, EFD_CLOEXEC));
    if (!done) {
        return fail_errno("eventfd", errno);
    }
    {
        std::atomic<int> busy = static_cast<int>(
            std::min<std::size_t>(static_cast<std::size_t>(options_.connections), waiting_.size()));
        std::vector<std::jthread> workers;
        for (int left = busy; left > 0; --left) {
            workers.emplace_back([&] {
                try {
                    work();
                } catch (const std::exception& bug) {
                    Error error = make_error(ErrorClass::internal, code::internal_error,
                                             "the program failed in a way it should not");
                    error.cause = bug.what();
                    failed(std::move(error));
                }
                if (--busy == 0) {
                    const std::uint64_t one = 1;
                    [[maybe_unused]] const ssize_t n = ::write(done.get(), &one, sizeof one);
                }
            });
        }
        while (!workers.empty()) {
            std::array<pollfd, 2> polled{pollfd{.fd = done.get(), .events = POLLIN, .revents = 0},
                                         pollfd{.fd = stop.fd(), .events = POLLIN, .revents = 0}};
            ::poll(polled.data(), polled.size(), -1);
            if (stop.requested()) {
                halt_.request(stop.reason());
                break;
            }
            if (polled[0].revents != 0) {
                break;
            }
        }
    }
    if (stop.requested()) {
        return fail(stop.error());
    }
    if (error_) {
        return fail(std::move(*error_));
    }
    std::ranges::sort(summary_.paths);
    return std::move(summary_);
}

/// Objects, each once, in the order of their first file.
Result<std::deque<Job>> jobs_of(const std::vector<File>& files) {
    std::deque<Job> jobs;
    std::map<std::string, std::size_t, std::less<>> places;
    for (const File& file : files) {
        if (!file.pointer.extensions.empty()) {
            return fail(
                ErrorClass::build, code::git_checkout,
                std::format(
                    "Git LFS: {} has gone through the extension {}, a program of its author's machine",
                    file.path, file.pointer.extensions.front()),
                "store it without Git LFS extensions, or leave pointers with --lfs=false");
        }
        const auto [place, is_new] = places.emplace(file.pointer.oid, jobs.size());
        if (is_new) {
            jobs.push_back(
                {.object = {.oid = file.pointer.oid, .size = file.pointer.size}, .paths = {}, .answer = {}});
        }
        Job& job = jobs[place->second];
        if (job.object.size != file.pointer.size) {
            return fail(ErrorClass::build, code::git_checkout,
                        std::format("Git LFS: the pointers {} and {} name one object with two sizes",
                                    job.paths.front(), file.path),
                        "one of them is damaged; store the file again");
        }
        job.paths.push_back(file.path);
    }
    return jobs;
}

/// Better said before than after filling the volume.
Status check_space(const std::deque<Job>& jobs, const fs::path& scratch) {
    std::uint64_t needed = 0;
    for (const Job& job : jobs) {
        needed = job.object.size > UINT64_MAX - needed ? UINT64_MAX : needed + job.object.size;
    }
    struct statvfs volume{};
    if (::statvfs(scratch.c_str(), &volume) != 0) {
        return {};
    }
    const std::uint64_t free = std::uint64_t{volume.f_bavail} * volume.f_frsize;
    if (needed <= free) {
        return {};
    }
    return fail(ErrorClass::resource, code::out_of_disk,
                std::format("Git LFS: {} are to be fetched, and {} are free", humane_bytes(needed),
                            humane_bytes(free)),
                "give the volume more space, or leave pointers with --lfs=false");
}

} // namespace

Result<Summary> fetch(const std::vector<File>& files, const Options& options, const StopToken& stop) {
    TRY_ASSIGN(std::deque<Job> jobs, jobs_of(files));
    TRY(check_space(jobs, options.scratch));
    TRY_ASSIGN(Fd root, open_directory(options.tree));
    TRY_ASSIGN(const TemporaryDirectory scratch, TemporaryDirectory::create("slipway-lfs-", options.scratch));
    return Fetch(options, scratch.path(), std::move(root), std::move(jobs)).run(stop);
}

} // namespace slipway::lfs
