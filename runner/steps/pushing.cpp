#include "steps/pushing.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

Result<registry::Reference> destination(const std::string& image) {
    TRY_ASSIGN(registry::Reference reference, registry::parse_reference(image));
    if (!reference.digest.empty()) {
        return fail_usage("--image: a digest is what a push results in, it cannot be asked for",
                          "give registry/repository[:tag]");
    }
    return reference;
}

Result<std::vector<std::string>> wanted_tags(const registry::Reference& image,
                                             const std::vector<std::string>& more) {
    std::vector<std::string> tags;
    if (!image.tag.empty()) {
        tags.push_back(image.tag);
    }
    for (const std::string& tag : more) {
        if (!registry::is_valid_tag(tag)) {
            return fail_usage(
                std::format("--tag: '{}' is not a tag", tag),
                "letters, digits, '.', '_' and '-', at most 128, not beginning with '.' or '-'");
        }
        if (std::ranges::find(tags, tag) == tags.end()) {
            tags.push_back(tag);
        }
    }
    return tags;
}

void tell_push(Step& step, const registry::PushProgress& progress) {
    if (progress.state == registry::PushProgress::State::tagged) {
        step.stream.log(frames::Lane::out, "tagged " + std::string(progress.id));
        return;
    }
    step.stream.emit(frames::Progress{.what = "push",
                                      .id = std::string(progress.id),
                                      .current = progress.current,
                                      .total = progress.total,
                                      .unit = frames::Unit::bytes});
}

std::vector<std::string> references(const registry::Reference& image, const std::vector<std::string>& tags) {
    std::vector<std::string> all;
    for (const std::string& tag : tags) {
        all.push_back(image.name() + ":" + tag);
    }
    return all;
}

void tell_pushed(Step& step, const registry::Reference& image, const std::vector<std::string>& references,
                 const std::string& digest) {
    std::string images;
    for (const std::string& reference : references) {
        images += (images.empty() ? "" : ",") + reference + "@" + digest;
    }
    step.result("IMAGE_URL", references.front());
    step.result("IMAGE_DIGEST", digest);
    step.result("IMAGE_REF", image.with_digest(digest));
    step.result("IMAGES", images);
}

} // namespace slipway::steps
