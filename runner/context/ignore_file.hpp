// Which ignore file counts, by the precedence of buildah 1.39: beside the Dockerfile NAME.dockerignore, then
// NAME.containerignore; else in the context .containerignore, then .dockerignore. The first one that is there
// is the only one, even when it is empty.
//
// Those beside the Dockerfile may not be links out of the source; links of those in the context are followed
// as in a chroot of the context. Errors: class build, code contextissue.
#pragma once

#include "base/result.hpp"

#include <optional>
#include <string>

namespace slipway::context {

struct IgnoreFile {
    std::string path; ///< relative to the source
    std::string content = {};
    bool too_large = false; ///< past IgnoreRules::largest_file; `content` is empty
};

/// `source` and `context_fd` are open directories; `context` and `dockerfile` are relative to the source.
Result<std::optional<IgnoreFile>> find_ignore_file(int source, int context_fd, const std::string& context,
                                                   const std::string& dockerfile);

} // namespace slipway::context
