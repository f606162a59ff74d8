// Numbers as git's files have them: most significant byte first.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace slipway::source {

static_assert(std::endian::native == std::endian::little);

inline void put16(char* at, std::uint16_t value) {
    value = std::byteswap(value);
    std::memcpy(at, &value, sizeof value);
}

inline void put32(char* at, std::uint32_t value) {
    value = std::byteswap(value);
    std::memcpy(at, &value, sizeof value);
}

inline void put64(char* at, std::uint64_t value) {
    value = std::byteswap(value);
    std::memcpy(at, &value, sizeof value);
}

inline std::uint16_t get16(const char* at) {
    std::uint16_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return std::byteswap(value);
}

inline std::uint32_t get32(const char* at) {
    std::uint32_t value = 0;
    std::memcpy(&value, at, sizeof value);
    return std::byteswap(value);
}

} // namespace slipway::source
