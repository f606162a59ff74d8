// The pod's report as `slipway doctor` prints it: for people, and as JSON for machines.
//
// JSON is one object, schema version in its first member `"doctor": 1`; members are added, never renamed.
#pragma once

#include "base/result.hpp"
#include "pod/probe.hpp"
#include "pod/recipe.hpp"

#include <string>

namespace slipway::pod {

/// Plain text, lines end in \n, no colours.
std::string render_text(const Report& report, const Result<Recipe>& recipe);
/// Indented JSON with a final newline.
std::string render_json(const Report& report, const Result<Recipe>& recipe);

} // namespace slipway::pod
