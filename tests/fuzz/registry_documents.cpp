// Whatever a registry sends as a manifest, a list, a config, a token or an error is understood or refused; a
// list of ours made of what was understood is read as the same images.
#include "hold.hpp"
#include "registry/documents.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    registry::ResolvedImage image;
    static_cast<void>(registry::parse_config(text, image));
    static_cast<void>(registry::parse_auth_file(text));
    hold(!registry::error_words(text).contains('\n'));
    if (const auto token = registry::parse_token(text)) {
        hold(!token->value.empty() && token->lifetime >= std::chrono::seconds(60));
    }
    const auto document = registry::parse_document(text, "application/json");
    if (!document) {
        hold(document.error().klass == ErrorClass::registry && !document.error().message.empty());
        return 0;
    }
    hold(document->is_index ? document->layers.empty() : document->manifests.empty());
    std::vector<registry::ListEntry> entries;
    for (const registry::Descriptor& one : document->manifests) {
        entries.push_back(
            {one.digest, one.media_type, one.size, one.platform.value_or(registry::Platform{})});
    }
    for (const std::string_view type : {registry::media::oci_index, registry::media::docker_list}) {
        const auto again = registry::parse_document(registry::write_list(type, entries), "");
        hold(again && again->is_index && again->media_type == type &&
             again->manifests.size() == entries.size());
        for (std::size_t at = 0; at < entries.size(); ++at) {
            const registry::Descriptor& one = again->manifests[at];
            hold(one.digest == entries[at].digest && one.size == entries[at].size &&
                 one.media_type == entries[at].media_type && one.platform == entries[at].platform);
        }
    }
    return 0;
}
