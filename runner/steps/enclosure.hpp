// Which surroundings a recipe's buildah is given (emulation/enclosure.hpp).
#pragma once

#include "emulation/enclosure.hpp"
#include "pod/home.hpp"
#include "pod/probe.hpp"
#include "pod/recipe.hpp"

namespace slipway::steps {

emulation::Enclosure surroundings(const pod::Report& report, const pod::Recipe& recipe,
                                  const pod::Home& home);

} // namespace slipway::steps
