// Options written for `buildah build` and `buildah push`, put into ours: callers come from Tekton's buildah
// task, whose BUILD_EXTRA_ARGS and PUSH_EXTRA_ARGS are such texts.
//
// Words are split as a POSIX shell would (blanks, '…', "…", backslash), but nothing is ever expanded or run:
// what a shell would treat as more than text ($, `, and ; | & < > ( ) outside quotes) is refused. Of
// buildah's options those are taken that have a counterpart here, or that ask for what is always so. Errors:
// class usage, naming the option.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::cli {

/// "--name=value" in our names. Not every verb knows each of them.
Result<std::vector<std::string>> translate_buildah_args(std::string_view text);

} // namespace slipway::cli
