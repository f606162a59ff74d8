#include "registry/tagging.hpp"

#include "base/encoding.hpp"

#include <algorithm>

namespace slipway::registry {

Status check_tags(const std::vector<std::string>& tags) {
    const auto bad_tag = std::ranges::find_if_not(tags, is_valid_tag);
    if (tags.empty() || bad_tag != tags.end()) {
        return fail_usage(tags.empty() ? std::string("no tag to push to")
                                       : "\"" + one_line(*bad_tag, 140) + "\" is not a tag",
                          "a tag is up to 128 letters, digits, '_', '.' and '-'");
    }
    return {};
}

TagResult put_tag(Repository& repository, const Options& options, const OnRetry& on_retry,
                  const std::string& tag, std::string_view media_type, std::string_view body) {
    auto digest = with_retries<std::string>(options.retry, options.stop, on_retry,
                                            [&] { return repository.put_manifest(tag, media_type, body); });
    TagResult result;
    result.tag = tag;
    result.pushed = digest.has_value();
    if (digest) {
        result.digest = std::move(*digest);
        return result;
    }
    result.error = std::move(digest).error();
    if (result.error.code != code::cancelled && result.error.code != code::deadline &&
        result.error.code != code::network) {
        result.error.code = code::tag_issue;
    }
    result.error.message = "the image is pushed, its tag " + tag + " is not: " + result.error.message;
    return result;
}

} // namespace slipway::registry
