// A manifest that is in the registry, under a tag. Private to the room.
#pragma once

#include "registry/client.hpp"
#include "registry/push.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::registry {

/// Usage, where there is no tag or one that is none.
Status check_tags(const std::vector<std::string>& tags);

/// Puts the manifest once more, under `tag`. A failure is the result's error: the image itself is there.
TagResult put_tag(Repository& repository, const Options& options, const OnRetry& on_retry,
                  const std::string& tag, std::string_view media_type, std::string_view body);

} // namespace slipway::registry
