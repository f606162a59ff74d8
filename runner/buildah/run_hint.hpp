// What would help a RUN that failed: known last words of well-known programs, and what they mean in an
// unprivileged pod.
//
// In: the command's exit status (0 = ended by a signal) and its last lines of output, oldest first; hostile
// text. Out: one line for a person, or nothing. A hint only: class and code of the error never depend on it.
#pragma once

#include <string>
#include <vector>

namespace slipway::buildah {

std::string run_hint(int status, const std::vector<std::string>& output);

} // namespace slipway::buildah
