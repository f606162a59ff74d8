// What standard output carries: frames for machines, a live view for a person at a terminal.
#pragma once

#include "cli/params.hpp"
#include "frames/output.hpp"

#include <memory>

namespace slipway::steps {

/// `automatic`: the live view where standard output is a terminal, frames otherwise. `pretty` without a
/// terminal is plain text. The object finishes its view when it goes.
std::unique_ptr<frames::Output> make_output(cli::OutputMode mode);

} // namespace slipway::steps
