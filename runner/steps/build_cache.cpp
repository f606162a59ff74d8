#include "steps/build_cache.hpp"

#include "registry/client.hpp"
#include "registry/reference.hpp"

#include <algorithm>
#include <format>
#include <memory>

namespace slipway::steps {

namespace {

/// What every registry may be asked to keep: the OCI specification's empty JSON object.
constexpr std::string_view empty_blob = "{}";
constexpr std::string_view empty_digest =
    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
/// A tag that no cache has: layers' are digests.
constexpr std::string_view no_such_tag = "slipway-probe";

Result<registry::Reference> repository_of(std::string_view option, const std::string& text) {
    auto reference = registry::parse_reference(text);
    const auto last = text.rfind('/');
    if (!reference || !reference->digest.empty() ||
        text.find(':', last == std::string::npos ? 0 : last) != std::string::npos) {
        return fail_usage(std::format("{}: '{}' is no repository", option, text.substr(0, 120)),
                          "give registry/repository, without a tag: layers are kept under tags of their own");
    }
    return reference;
}

/// Whether the repository can be read; that it has nothing yet is fine.
Status try_reading(const registry::Options& options, const registry::Reference& reference) {
    TRY_ASSIGN(auto endpoint, options.registries.push_endpoint(reference.registry, reference.repository));
    registry::Repository repository(std::make_shared<registry::Session>(
        options, reference, std::move(endpoint), registry::Purpose::pull));
    const auto manifest = with_retries<registry::Manifest>(options.retry, options.stop, options.on_retry,
                                                           [&] { return repository.manifest(no_such_tag); });
    if (manifest) {
        return fail(ErrorClass::registry, "cachelookupissue",
                    "it answers for a tag that does not exist: it is no registry");
    }
    if (manifest.error().klass == ErrorClass::build) { // not found
        return {};
    }
    return fail(manifest.error());
}

/// Whether something may be kept there: by keeping two bytes.
Status try_writing(const registry::Options& options, const registry::Reference& reference) {
    TRY_ASSIGN(auto endpoint, options.registries.push_endpoint(reference.registry, reference.repository));
    registry::Repository repository(std::make_shared<registry::Session>(
        options, reference, std::move(endpoint), registry::Purpose::push));
    return with_retries<void>(options.retry, options.stop, options.on_retry, [&] {
        return repository.upload(empty_digest, empty_blob.size(),
                                 [](std::uint64_t offset, std::span<char> buffer) -> Result<std::size_t> {
                                     const std::string_view rest =
                                         empty_blob.substr(std::min<std::size_t>(offset, empty_blob.size()));
                                     return rest.copy(buffer.data(), buffer.size());
                                 });
    });
}

} // namespace

Status use_cache(Workshop& shop, const registry::Options& registry, bool no_network,
                 buildah::Build& options) {
    const cli::Build& params = shop.params;
    Step& step = shop.step;
    if (params.cache_from.empty() && params.cache_to.empty()) {
        return {};
    }
    std::vector<registry::Reference> from;
    std::vector<registry::Reference> to;
    for (const std::string& text : params.cache_from) {
        TRY_ASSIGN(auto reference, repository_of("--cache-from", text));
        from.push_back(std::move(reference));
    }
    for (const std::string& text : params.cache_to) {
        TRY_ASSIGN(auto reference, repository_of("--cache-to", text));
        to.push_back(std::move(reference));
    }
    options.layers = true; // what is cached are intermediate images
    if (shop.cache_failed) {
        return {};
    }
    if (no_network) {
        step.warn("cachelookupissue", "a build without a network cannot reach its cache: it is left out",
                  "leave out --cache-from and --cache-to, or --hermetic");
        return {};
    }
    if (params.squash) {
        step.warn("cachelookupissue", "--squash leaves no layers to cache: the cache is left out",
                  "leave out --cache-from and --cache-to, or --squash");
        return {};
    }
    step.phase(frames::PhaseName::checking_cache);
    registry::Options once = registry;
    once.retry.retries = std::min(registry.retry.retries, 1); // a cache is worth no long wait
    for (const registry::Reference& reference : from) {
        if (const auto status = try_reading(once, reference); !status) {
            if (step.stop.requested()) {
                return fail(step.stop.error());
            }
            step.warn("cachelookupissue",
                      std::format("the cache {} is not used: {}", reference.name(), status.error().message),
                      status.error().hint);
        } else {
            options.cache_from.push_back(reference.name());
        }
    }
    for (const registry::Reference& reference : to) {
        if (const auto status = try_writing(once, reference); !status) {
            if (step.stop.requested()) {
                return fail(step.stop.error());
            }
            step.warn(
                "cachepushissue",
                std::format("nothing is kept in the cache {}: {}", reference.name(), status.error().message),
                status.error().hint);
        } else {
            options.cache_to.push_back(reference.name());
        }
    }
    if (!options.cache_from.empty()) {
        step.phase(frames::PhaseName::priming_cache);
    }
    if (params.cache_ttl.count() > 0 && !options.cache_from.empty()) {
        options.cache_ttl = std::format("{}ms", params.cache_ttl.count());
    }
    options.retries = 1; // for cached layers alone: bases are here already
    return {};
}

bool failed_for_cache(const buildah::Ending& how) {
    return std::ranges::any_of(how.tail, [](const std::string& line) {
        return line.starts_with("Error: failed pushing cache to ") ||
               line.starts_with("Error: failed pulling cache from ");
    });
}

} // namespace slipway::steps
