// The command line: verbs, their options, and argv + environment → Invocation.
#pragma once

#include "cli/options.hpp"
#include "cli/params.hpp"

#include <span>

namespace slipway::cli {

/// `arguments` without the program's name. Class usage for everything that is not understood; --help (of the
/// program or of a verb) is an Invocation with Help.
Result<Invocation> parse(const std::vector<std::string>& arguments, const Environment& environment);

} // namespace slipway::cli
