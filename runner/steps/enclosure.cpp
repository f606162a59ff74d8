#include "steps/enclosure.hpp"

#include "pod/id_maps.hpp"

namespace slipway::steps {

namespace {

std::vector<emulation::MapLine> lines(const std::vector<pod::IdRange>& ranges) {
    std::vector<emulation::MapLine> result;
    for (const pod::IdRange& range : ranges) {
        result.push_back({range.inside, range.outside, range.count});
    }
    return result;
}

} // namespace

emulation::Enclosure surroundings(const pod::Report& report, const pod::Recipe& recipe,
                                  const pod::Home& home) {
    emulation::Enclosure enclosure{.map_by = emulation::MapBy::nobody,
                                   .uid_map = {},
                                   .gid_map = {},
                                   .deny_setgroups = false,
                                   .furniture = home.path(),
                                   .pretend = recipe.name == "C",
                                   .pid_namespace = report.proc.works(),
                                   .keep_signals = !report.proc.works()};
    if (recipe.name == "C") {
        enclosure.map_by = emulation::MapBy::helper;
        enclosure.uid_map = {{0, report.uid, 1}};
        enclosure.gid_map = {{0, report.gid, 1}};
        enclosure.deny_setgroups = true;
    } else if (report.entry == pod::Entry::identity) {
        enclosure.map_by = emulation::MapBy::helper;
        enclosure.uid_map = lines(pod::identity_ranges(report.uid_map));
        enclosure.gid_map = lines(pod::identity_ranges(report.gid_map));
    } else if (report.entry == pod::Entry::newidmap) {
        enclosure.map_by = emulation::MapBy::programs;
        enclosure.uid_map = lines(pod::newidmap_ranges(report.uid, report.subordinate_uids));
        enclosure.gid_map = lines(pod::newidmap_ranges(report.gid, report.subordinate_gids));
    }
    return enclosure;
}

} // namespace slipway::steps
