#include "pod/id_maps.hpp"

#include <format>

namespace slipway::pod {

std::vector<IdRange> identity_ranges(const std::vector<IdRange>& own) {
    std::vector<IdRange> ranges;
    for (const IdRange& range : own) {
        ranges.push_back({range.inside, range.inside, range.count});
    }
    return ranges;
}

std::string map_text(const std::vector<IdRange>& ranges) {
    std::string text;
    for (const IdRange& range : ranges) {
        text += std::format("{} {} {}\n", range.inside, range.outside, range.count);
    }
    return text;
}

std::vector<IdRange> newidmap_ranges(std::uint32_t id, const std::vector<IdRange>& subordinate) {
    std::vector<IdRange> ranges{{0, id, 1}};
    std::uint64_t next = 1;
    for (const IdRange& range : subordinate) {
        ranges.push_back({next, range.outside, range.count});
        next += range.count;
    }
    return ranges;
}

} // namespace slipway::pod
