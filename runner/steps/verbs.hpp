// From a parsed command line to an exit status: which functions a verb runs, and with what around them.
#pragma once

#include "base/stop.hpp"
#include "cli/params.hpp"

namespace slipway::steps {

/// Runs the verb to its end. 0, 2, 10..16, or 128 + signal.
int run_verb(const cli::Invocation& invocation, const StopToken& stop);

/// A command line that was not understood: said on standard error and, where `verb` is a step whose standard
/// output a machine reads, also as that step's frames, so that its consumer sees one `end`.
int refuse(std::string_view verb, const Error& error);

/// The error on standard error, for a person. Returns its exit status.
int report(const Error& error);

} // namespace slipway::steps
