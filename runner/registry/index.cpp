#include "registry/index.hpp"

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "digest/sha256.hpp"
#include "registry/client.hpp"
#include "registry/documents.hpp"
#include "registry/tagging.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <format>
#include <unistd.h>

namespace slipway::registry {

namespace {

std::unexpected<Error> refuse(const Reference& image, std::string_view why, std::string hint) {
    return fail_usage(std::format("{} {}", image.text(), why), std::move(hint));
}

/// One image to join, as its registry has it.
struct Member {
    Reference reference;
    std::shared_ptr<Session> session;
    Manifest manifest;
    Document document;
    Platform platform;
};

class Joiner {
  public:
    Joiner(const Options& options, const IndexRequest& request) : options_(options), request_(request) {}

    Result<PushedIndex> run() {
        TRY(check_tags(request_.tags));
        for (const Reference& reference : request_.members) {
            TRY_ASSIGN(Member member, look_at(reference));
            for (const Member& other : members_) {
                if (other.platform == member.platform) {
                    return refuse(reference,
                                  std::format("is for {}, and so is {}", one_line(member.platform.text(), 60),
                                              other.reference.text()),
                                  "join one image for each platform");
                }
            }
            members_.push_back(std::move(member));
        }
        TRY_ASSIGN(const std::string_view media_type, list_type());
        TRY_ASSIGN(Endpoint endpoint, options_.registries.push_endpoint(request_.destination.registry,
                                                                        request_.destination.repository));
        Repository target(
            std::make_shared<Session>(options_, request_.destination, std::move(endpoint), Purpose::push));
        TRY(again<void>([&] { return target.ping(); }));
        std::vector<ListEntry> entries;
        PushedIndex result;
        for (const Member& member : members_) {
            TRY(bring(member, target));
            entries.push_back({.digest = member.reference.digest,
                               .media_type = member.document.media_type,
                               .size = member.manifest.body.size(),
                               .platform = member.platform});
            result.members.push_back({.reference = member.reference,
                                      .platform = member.platform.text(),
                                      .media_type = member.document.media_type,
                                      .size = member.manifest.body.size()});
        }
        const std::string list = write_list(media_type, entries);
        result.digest = digest::sha256(list);
        result.media_type = media_type;
        TRY(again<std::string>([&] { return target.put_manifest(result.digest, media_type, list); }));
        tell(result.digest, list.size(), PushProgress::State::uploaded);
        for (const std::string& tag : request_.tags) {
            result.tags.push_back(put_tag(target, options_, options_.on_retry, tag, media_type, list));
            if (result.tags.back().pushed) {
                tell(tag, list.size(), PushProgress::State::tagged);
            }
        }
        return result;
    }

  private:
    template <class Value, class Attempt> Result<Value> again(const Attempt& attempt) {
        return with_retries<Value>(options_.retry, options_.stop, options_.on_retry, attempt);
    }

    void tell(std::string_view id, std::uint64_t size, PushProgress::State state) const {
        if (request_.on_progress) {
            request_.on_progress({.id = id, .current = size, .total = size, .state = state});
        }
    }

    Result<Member> look_at(const Reference& reference) {
        if (reference.digest.empty()) {
            return refuse(reference, "is named by a tag, which may mean another image by now",
                          "name it by the digest its push told: repository@sha256:…");
        }
        // The registry itself, where it was pushed to, and no mirror of it.
        TRY_ASSIGN(Endpoint endpoint,
                   options_.registries.push_endpoint(reference.registry, reference.repository));
        Member member{.reference = reference,
                      .session =
                          std::make_shared<Session>(options_, reference, std::move(endpoint), Purpose::pull),
                      .manifest = {},
                      .document = {},
                      .platform = {}};
        Repository repository(member.session);
        auto manifest = again<Manifest>([&] { return repository.manifest(reference.digest); });
        if (!manifest) {
            Error error = std::move(manifest).error();
            error.code =
                error.code == code::cannot_pull_base_image ? std::string(code::push_issue) : error.code;
            return fail(std::move(error));
        }
        member.manifest = std::move(*manifest);
        TRY_ASSIGN(member.document,
                   understood(parse_document(member.manifest.body, member.manifest.media_type), reference));
        if (member.document.is_index) {
            return refuse(reference, "is a list of images already", "name the images themselves");
        }
        TRY_ASSIGN(const std::string config, again<std::string>([&] {
                       return repository.blob(member.document.config.digest, longest_config);
                   }));
        ResolvedImage image;
        TRY(understood(parse_config(config, image), reference));
        member.platform = split_platform(image.platform);
        if (member.platform.os.empty() || member.platform.architecture.empty()) {
            return refuse(reference, "does not say which platform it is for", "join container images only");
        }
        return member;
    }

    template <class Value> static Result<Value> understood(Result<Value> value, const Reference& reference) {
        if (!value && value.error().code == code::internal_error) { // from documents.cpp
            Error error = std::move(value).error();
            error.code = code::push_issue;
            error.message = reference.text() + ": " + error.message;
            return fail(std::move(error));
        }
        return value;
    }

    [[nodiscard]] Result<std::string_view> list_type() const {
        const auto other = std::ranges::find_if(members_, [](const Member& member) {
            return member.document.media_type != media::docker_manifest;
        });
        if (request_.format == ListFormat::docker && other != members_.end()) {
            return refuse(other->reference, "is an OCI image, which a Docker manifest list cannot hold",
                          "leave --format at auto, or build the image with --format=docker");
        }
        const bool docker = request_.format == ListFormat::docker ||
                            (request_.format == ListFormat::automatic && other == members_.end());
        return docker ? media::docker_list : media::oci_index;
    }

    /// Makes sure that the target repository has the image.
    Status bring(const Member& member, Repository& target) {
        if (member.reference.name() == request_.destination.name()) {
            return {};
        }
        std::vector<Descriptor> blobs = member.document.layers;
        blobs.push_back(member.document.config);
        for (const Descriptor& blob : blobs) {
            TRY_ASSIGN(const PushProgress::State state, bring_blob(member, blob, target));
            tell(blob.digest, blob.size, state);
        }
        TRY(again<std::string>([&] {
            return target.put_manifest(member.reference.digest, member.document.media_type,
                                       member.manifest.body);
        }));
        tell(member.reference.digest, member.manifest.body.size(), PushProgress::State::uploaded);
        return {};
    }

    Result<PushProgress::State> bring_blob(const Member& member, const Descriptor& blob, Repository& target) {
        TRY_ASSIGN(const bool there, again<bool>([&] { return target.blob_exists(blob.digest); }));
        if (there) {
            return PushProgress::State::exists;
        }
        if (member.reference.registry == request_.destination.registry) {
            // A mount that fails for whatever reason only means that the bytes have to be sent.
            if (const auto mounted = target.mount(blob.digest, member.reference.repository);
                mounted && *mounted) {
                return PushProgress::State::mounted;
            }
        }
        TRY(again<void>([&] { return copy(member, blob, target); }));
        return PushProgress::State::uploaded;
    }

    Status copy(const Member& member, const Descriptor& blob, Repository& target) {
        if (!directory_) {
            TRY_ASSIGN(directory_, TemporaryDirectory::create("slipway-index-"));
        }
        const Fd file(
            ::open((directory_->path() / "blob").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!file) {
            return fail_errno("make a temporary file", errno);
        }
        Repository source(member.session);
        std::uint64_t size = 0;
        TRY(source.blob(blob.digest, [&](std::string_view piece) -> Status {
            size += piece.size();
            if (size > blob.size) {
                return fail(ErrorClass::registry, code::push_issue,
                            std::format("the blob {} is longer than its manifest says", blob.digest));
            }
            return write_all(file.get(), piece);
        }));
        return target.upload(
            blob.digest, size, [&](std::uint64_t offset, std::span<char> buffer) -> Result<std::size_t> {
                const ssize_t n =
                    ::pread(file.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
                if (n < 0) {
                    return fail_errno("read a temporary file", errno);
                }
                return static_cast<std::size_t>(n);
            });
    }

    const Options& options_;
    const IndexRequest& request_;
    std::vector<Member> members_;
    std::optional<TemporaryDirectory> directory_;
};

} // namespace

const Error* PushedIndex::tag_error() const {
    const auto found = std::ranges::find(tags, false, &TagResult::pushed);
    return found == tags.end() ? nullptr : &found->error;
}

Result<PushedIndex> push_index(const Options& options, const IndexRequest& request) {
    return Joiner(options, request).run();
}

} // namespace slipway::registry
