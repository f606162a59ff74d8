#include "steps/enclosure.hpp"

#include "emulation/enclosure.hpp"

namespace slipway::steps {

std::vector<std::string> surroundings(const pod::Report& report, const pod::Recipe& recipe,
                                      const pod::Home& home) {
    if (recipe.name != "C") {
        return {};
    }
    return emulation::prefix({.map_by = emulation::MapBy::helper,
                              .uid_map = {{0, report.uid, 1}},
                              .gid_map = {{0, report.gid, 1}},
                              .deny_setgroups = true,
                              .furniture = home.path(),
                              .pretend = true,
                              .pid_namespace = report.proc.works(),
                              .keep_signals = !report.proc.works()});
}

} // namespace slipway::steps
