#include "registry/push.hpp"

#include "base/encoding.hpp"
#include "digest/sha256.hpp"
#include "http/options.hpp"
#include "registry/client.hpp"
#include "registry/layout.hpp"
#include "registry/tagging.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <thread>
#include <unistd.h>

namespace slipway::registry {

namespace {

constexpr std::uint64_t small_piece = std::uint64_t{8} << 20U;

/// What the uploading threads share.
struct Upload {
    const Options& options;
    const PushRequest& request;
    const Layout& layout;
    const UploadPlan& plan;
    std::shared_ptr<Session> session;

    std::mutex mutex; ///< guards result, error, callbacks
    PushedImage result;
    std::optional<Error> error;
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> failed = false;

    void tell(std::string_view id, std::uint64_t current, std::uint64_t total, PushProgress::State state) {
        if (request.on_progress) {
            const std::lock_guard lock(mutex);
            request.on_progress({id, current, total, state});
        }
    }
    [[nodiscard]] OnRetry on_retry() {
        if (!options.on_retry) {
            return {};
        }
        return [this](const Error& why, int next_try, int tries, Milliseconds delay) {
            const std::lock_guard lock(mutex);
            options.on_retry(why, next_try, tries, delay);
        };
    }

    enum class Outcome { uploaded, exists, mounted };
    Result<Outcome> send_blob(Repository& repository, const Descriptor& blob);
    Status upload_blob(Repository& repository, const Descriptor& blob);
    void work();
};

/// Hands out the blob's bytes in order and hashes them on the way: the last piece is withheld when the whole
/// is not what its digest says.
class VerifiedSource {
  public:
    VerifiedSource(Fd fd, const Descriptor& blob, digest::Algorithm algorithm)
        : fd_(std::move(fd)), blob_(blob), algorithm_(algorithm), hasher_(algorithm) {}

    Result<std::size_t> read(std::uint64_t offset, std::span<char> buffer) {
        if (offset == 0) {
            hasher_ = digest::Hasher(algorithm_);
            position_ = 0;
        }
        if (offset != position_) {
            Error error = make_error(ErrorClass::registry, code::push_issue, "an upload has to start over");
            error.transient = true;
            return fail(std::move(error));
        }
        const std::size_t want =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), blob_.size - position_));
        std::size_t done = 0;
        while (done < want) {
            const ssize_t n =
                ::pread(fd_.get(), buffer.data() + done, want - done, static_cast<off_t>(position_ + done));
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n < 0) {
                return fail_errno("read the blob " + blob_.digest, errno);
            }
            if (n == 0) {
                return fail(layout_error("the blob " + blob_.digest + " became shorter"));
            }
            done += static_cast<std::size_t>(n);
        }
        hasher_.update({buffer.data(), done});
        position_ += done;
        if (position_ == blob_.size && !checked()) {
            return fail(layout_error("the blob " + blob_.digest + " holds something else"));
        }
        return done;
    }

  private:
    bool checked() {
        const bool right = hasher_.finish() == blob_.digest;
        hasher_ = digest::Hasher(algorithm_);
        return right;
    }

    Fd fd_;
    const Descriptor& blob_;
    digest::Algorithm algorithm_;
    digest::Hasher hasher_;
    std::uint64_t position_ = 0;
};

Status Upload::upload_blob(Repository& repository, const Descriptor& blob) {
    TRY_ASSIGN(const digest::Digest parsed, digest::parse_digest(blob.digest));
    for (const std::uint64_t piece : {std::uint64_t{0}, small_piece}) {
        TRY_ASSIGN(Fd fd, layout.blob(blob.digest, blob.size));
        VerifiedSource source(std::move(fd), blob, parsed.algorithm);
        auto status = repository.upload(
            blob.digest, blob.size,
            [&](std::uint64_t offset, std::span<char> buffer) -> Result<std::size_t> {
                if (failed) {
                    return fail(ErrorClass::cancelled, code::cancelled, "another blob could not be pushed");
                }
                auto n = source.read(offset, buffer);
                if (n) {
                    tell(blob.digest, offset + *n, blob.size, PushProgress::State::uploading);
                }
                return n;
            },
            piece);
        const bool too_large =
            !status && status.error().cause.starts_with("HTTP 413") && blob.size > small_piece;
        if (status || !too_large || piece != 0) {
            return status;
        }
    }
    return {};
}

Result<Upload::Outcome> Upload::send_blob(Repository& repository, const Descriptor& blob) {
    TRY_ASSIGN(const bool exists, repository.blob_exists(blob.digest));
    if (exists) {
        return Outcome::exists;
    }
    for (const std::string& from : request.mount_from) {
        // A mount that fails for whatever reason only means that the bytes have to be sent.
        if (const auto mounted = repository.mount(blob.digest, from); mounted && *mounted) {
            return Outcome::mounted;
        }
    }
    TRY(upload_blob(repository, blob));
    return Outcome::uploaded;
}

void Upload::work() {
    Repository repository(session);
    const OnRetry retry_callback = on_retry();
    while (!failed) {
        const std::size_t mine = next++;
        if (mine >= plan.blobs.size()) {
            return;
        }
        const Descriptor& blob = plan.blobs[mine];
        tell(blob.digest, 0, blob.size, PushProgress::State::uploading);
        auto outcome = with_retries<Outcome>(options.retry, options.stop, retry_callback,
                                             [&] { return send_blob(repository, blob); });
        if (!outcome) {
            const std::lock_guard lock(mutex);
            // Threads that gave up because of another's failure have nothing to add.
            if (!failed.exchange(true)) {
                error = std::move(outcome).error();
            }
            return;
        }
        const auto state = *outcome == Outcome::exists    ? PushProgress::State::exists
                           : *outcome == Outcome::mounted ? PushProgress::State::mounted
                                                          : PushProgress::State::uploaded;
        {
            const std::lock_guard lock(mutex);
            result.blobs_existing += *outcome == Outcome::exists ? 1 : 0;
            result.blobs_mounted += *outcome == Outcome::mounted ? 1 : 0;
            if (*outcome == Outcome::uploaded) {
                ++result.blobs_uploaded;
                result.bytes_uploaded += blob.size;
            }
        }
        tell(blob.digest, blob.size, blob.size, state);
    }
}

} // namespace

const Error* PushedImage::tag_error() const {
    const auto found = std::ranges::find(tags, false, &TagResult::pushed);
    return found == tags.end() ? nullptr : &found->error;
}

Result<PushedImage> push_layout(const Options& options, const PushRequest& request) {
    TRY(check_tags(request.tags));
    TRY_ASSIGN(Endpoint endpoint, options.registries.push_endpoint(request.destination.registry,
                                                                   request.destination.repository));
    TRY_ASSIGN(const Layout layout, Layout::open(request.layout));
    TRY_ASSIGN(const UploadPlan plan, plan_upload(layout, request.expected_digest));

    Upload upload{.options = options,
                  .request = request,
                  .layout = layout,
                  .plan = plan,
                  .session = std::make_shared<Session>(options, request.destination, std::move(endpoint),
                                                       Purpose::push),
                  .mutex = {},
                  .result = {},
                  .error = {}};
    upload.result.digest = request.expected_digest;
    upload.result.media_type = plan.manifests.back().media_type;
    upload.result.bytes_total = plan.bytes;
    upload.result.username = upload.session->username();
    const OnRetry retry_callback = upload.on_retry();

    // First alone: what is wrong with address or credentials is said once, not by every thread.
    Repository repository(upload.session);
    TRY(with_retries<void>(options.retry, options.stop, retry_callback, [&] { return repository.ping(); }));
    {
        const auto threads =
            std::min(plan.blobs.size(), static_cast<std::size_t>(std::clamp(request.parallel, 1, 8)));
        std::vector<std::jthread> workers;
        workers.reserve(threads);
        for (std::size_t i = 0; i < threads; ++i) {
            workers.emplace_back([&upload] { upload.work(); });
        }
    }
    if (upload.error) {
        return fail(std::move(*upload.error));
    }
    for (const PlannedManifest& manifest : plan.manifests) {
        TRY(with_retries<std::string>(options.retry, options.stop, retry_callback, [&] {
            return repository.put_manifest(manifest.digest, manifest.media_type, manifest.body);
        }));
        upload.tell(manifest.digest, manifest.body.size(), manifest.body.size(),
                    PushProgress::State::uploaded);
    }
    const PlannedManifest& root = plan.manifests.back();
    for (const std::string& tag : request.tags) {
        TagResult tag_result = put_tag(repository, options, retry_callback, tag, root.media_type, root.body);
        if (tag_result.pushed) {
            upload.tell(tag, root.body.size(), root.body.size(), PushProgress::State::tagged);
        }
        upload.result.tags.push_back(std::move(tag_result));
    }
    return std::move(upload.result);
}

} // namespace slipway::registry
