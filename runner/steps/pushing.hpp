// What the verbs that push have in common: destination, tags, progress, results.
#pragma once

#include "base/result.hpp"
#include "registry/push.hpp"
#include "steps/step.hpp"

#include <string>
#include <vector>

namespace slipway::steps {

/// --image, read: a reference without a digest. Error: usage.
Result<registry::Reference> destination(const std::string& image);

/// The tag in --image first, then every --tag, none twice. Error: usage.
Result<std::vector<std::string>> wanted_tags(const registry::Reference& image,
                                             const std::vector<std::string>& more);

void tell_push(Step& step, const registry::PushProgress& progress);

/// "registry/repository:tag" for each tag.
std::vector<std::string> references(const registry::Reference& image, const std::vector<std::string>& tags);

/// The results IMAGE_URL, IMAGE_DIGEST, IMAGE_REF and IMAGES.
void tell_pushed(Step& step, const registry::Reference& image, const std::vector<std::string>& references,
                 const std::string& digest);

} // namespace slipway::steps
