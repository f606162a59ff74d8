// What is known of the objects of a pack while it is received.
#pragma once

#include "source/pack_format.hpp"

#include <compare>
#include <cstdint>
#include <cstring>
#include <git2.h>
#include <vector>

namespace slipway::source {

struct PackEntry {
    git_oid id{};
    std::uint32_t crc = 0;         ///< of its bytes in the pack, header included
    std::uint64_t offset : 60 = 0; ///< of its header
    PackType type : 4 = PackType::commit;
};

struct OffsetDelta {
    std::uint32_t base = 0; ///< number of the entry
    std::uint32_t entry = 0;
};

struct IdDelta {
    git_oid base{};
    std::uint32_t entry = 0;
};

inline bool operator<(const git_oid& a, const git_oid& b) {
    return std::memcmp(a.id, b.id, GIT_OID_SHA1_SIZE) < 0;
}

struct PackObjects {
    std::vector<PackEntry> entries; ///< in the pack's order until all ids are known
    std::vector<OffsetDelta> offset_deltas;
    std::vector<IdDelta> id_deltas;
    std::uint64_t end = 0; ///< of the last entry

    [[nodiscard]] std::size_t deltas() const { return offset_deltas.size() + id_deltas.size(); }
};

} // namespace slipway::source
