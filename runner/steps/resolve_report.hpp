// The checks of lint/ within resolve: their findings as frames, or as a report that stands instead of frames.
#pragma once

#include "base/result.hpp"
#include "base/stop.hpp"
#include "cli/params.hpp"
#include "dockerfile/plan.hpp"
#include "lint/lint.hpp"
#include "steps/step.hpp"

namespace slipway::steps {

/// Runs the checks as `mode` (off, warn, error) says. Without `into` each finding but notes becomes a warning
/// frame, and a build error follows where they are to fail the step; with it they are kept there, and a
/// report decides. `plan` is nullptr where planning failed. What planning noticed is told whatever the mode.
Status tell_findings(std::string_view mode, const dockerfile::Dockerfile& file,
                     const dockerfile::BuildPlan* plan, const lint::Options& options, Step& step,
                     lint::Findings* into);

/// `resolve --report`: the step without frames, then the report on standard output. The exit status is 0, 10
/// where the Dockerfile cannot be built or the findings are to fail, or that of another error's class; such
/// an error is in the report too.
int report_resolve(const cli::Common& common, const cli::Resolve& params, const std::filesystem::path& state,
                   const StopToken& stop);

} // namespace slipway::steps
