#include "steps/fetch_artifact.hpp"

#include "archive/unpack.hpp"
#include "base/file.hpp"
#include "handoff/files.hpp"
#include "registry/artifact.hpp"
#include "source/git.hpp"
#include "steps/access.hpp"
#include "steps/archive_parts.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view scheme = "oci:";
constexpr std::string_view manifest_scheme = "oci://";

registry::Named named_by(std::string_view archive) {
    return archive.starts_with(manifest_scheme) ? registry::Named::manifest : registry::Named::blob;
}

/// What stands behind the scheme.
std::string_view bare(std::string_view archive) {
    return archive.substr(archive.starts_with(manifest_scheme) ? manifest_scheme.size() : scheme.size());
}

Result<registry::Reference> parse(std::string_view archive) {
    TRY_ASSIGN(registry::Reference reference, registry::parse_reference(bare(archive)));
    if (reference.short_name) {
        return fail_usage(std::format("--archive: {} names no registry", archive),
                          "write oci://REGISTRY/REPOSITORY:TAG, or …@sha256:HEX");
    }
    if (named_by(archive) == registry::Named::blob && reference.digest.empty()) {
        return fail_usage(std::format("--archive: {} has no digest", archive),
                          "oci:REPOSITORY@sha256:HEX is a blob; an artifact is oci://REPOSITORY:TAG");
    }
    return reference;
}

/// Whether a layer is an archive to unpack, or a file that keeps its name. ORAS declares every file it is
/// told nothing about a tar, so where there are several their word for it is not taken.
Result<bool> is_tree(const registry::ArtifactLayer& layer, bool alone, int file) {
    if (layer.title.empty() || layer.unpack) {
        return true;
    }
    if (layer.media_type.ends_with("tar+gzip") || layer.media_type.ends_with("tar+zstd") ||
        layer.media_type.ends_with("tar.gzip") || layer.media_type.ends_with("tar.zstd")) {
        return true;
    }
    return alone && layer.media_type.ends_with("tar") ? archive::is_archive(file) : false;
}

/// All layers, one after the other; the artifact's digest.
Result<std::string> fill(const registry::Options& options, const registry::Artifact& artifact,
                         const cli::Fetch& params, Step& step) {
    archive::UnpackOptions unpacking = unpack_options(params);
    const fs::path& directory = params.into;
    TRY_ASSIGN(const Fd target, open_directory(directory));
    TRY_ASSIGN(const Fd bytes, unnamed_file(directory));
    std::uint64_t written = 0;
    const archive::UnpackCallbacks callbacks{
        .on_progress = [&](std::uint64_t now) { step.stream.emit(bytes_of("unpack", written + now, 0)); }};
    for (const registry::ArtifactLayer& layer : artifact.layers) {
        TRY(registry::download_layer(
            options, artifact, layer, params.unpacked_limit, bytes.get(), [&](std::uint64_t received) {
                step.stream.emit(bytes_of("archive", received, layer.size.value_or(0)));
            }));
        TRY_ASSIGN(const bool tree, is_tree(layer, artifact.layers.size() == 1, bytes.get()));
        TRY_ASSIGN(
            const archive::Unpacked unpacked,
            tree ? archive::unpack(bytes.get(), target.get(), unpacking, callbacks, step.stop)
                 : archive::place_file(bytes.get(), target.get(), layer.title, unpacking.limits, step.stop));
        tell(unpacked, step);
        written += unpacked.bytes;
        // The limits are for all layers together.
        unpacking.limits.bytes -= std::min(unpacking.limits.bytes, unpacked.bytes);
        unpacking.limits.entries -= std::min(unpacking.limits.entries, unpacked.entries);
    }
    return artifact.digest;
}

} // namespace

bool is_artifact(std::string_view archive) {
    return archive.starts_with(scheme);
}

Result<handoff::Source> fetch_artifact(const cli::Fetch& params, Step& step) {
    // A registry's login never stands in a reference; somebody may try.
    const std::string any = std::format("{}{}", manifest_scheme, bare(params.archive));
    for (const std::string& secret : source::secrets_in_url(any)) {
        step.redactor.add(secret);
    }
    step.hello("fetch the artifact " + params.archive);
    TRY(handoff::forget_from(step.state, "source"));
    step.phase(frames::PhaseName::unpacking);
    TRY(check_digest_option(params));
    TRY_ASSIGN(const registry::Reference reference, parse(params.archive));
    TRY_ASSIGN(const registry::Options options,
               registry_options({.tls_verify = params.tls_verify}, params.retries, step));

    const registry::Named named = named_by(params.archive);
    TRY_ASSIGN(const std::string digest, fill_target(params.into, step, [&]() -> Result<std::string> {
                   TRY_ASSIGN(const registry::Artifact artifact,
                              registry::find_artifact(options, reference, named));
                   TRY(check_digest(artifact.digest, params));
                   return fill(options, artifact, params, step);
               }));
    return hand_on(params, digest,
                   std::string(named == registry::Named::blob ? scheme : manifest_scheme) +
                       reference.with_digest(digest),
                   step);
}

} // namespace slipway::steps
