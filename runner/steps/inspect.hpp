// The verbs that build nothing: version, doctor, frames render and check. They print text, not frames.
#pragma once

#include "cli/params.hpp"

#include <string_view>

namespace slipway::steps {

/// Each returns the exit status.
int print(std::string_view text);
int print_version(const cli::Version& params);
/// 0 when this pod can build, else that of the error's class.
int run_doctor(const cli::Doctor& params);
/// render: 0 whatever the stream tells. check: 0 when it keeps every rule, 10 when not.
int run_frames(const cli::Frames& params);

} // namespace slipway::steps
