// Which surroundings a recipe's buildah is given (emulation/enclosure.hpp).
#pragma once

#include "pod/home.hpp"
#include "pod/probe.hpp"
#include "pod/recipe.hpp"

#include <string>
#include <vector>

namespace slipway::steps {

/// The words before buildah's own command line; empty = it makes its namespaces itself.
std::vector<std::string> surroundings(const pod::Report& report, const pod::Recipe& recipe,
                                      const pod::Home& home);

} // namespace slipway::steps
