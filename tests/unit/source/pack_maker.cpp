#include "pack_maker.hpp"

#include <catch2/catch_test_macros.hpp>
#include <openssl/sha.h>
#include <zlib.h>

namespace slipway::source::test {
namespace {

std::string be32(std::uint32_t value) {
    std::string bytes;
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        bytes += static_cast<char>((value >> shift) & 0xffU);
    }
    return bytes;
}

std::string delta_size(std::uint64_t size) {
    std::string bytes;
    do {
        bytes += static_cast<char>((size & 0x7fU) | (size > 0x7f ? 0x80U : 0U));
        size >>= 7U;
    } while (size != 0);
    return bytes;
}

} // namespace

PackMaker& PackMaker::object(unsigned type, std::string_view content, std::uint64_t size) {
    return raw(header(type, size == true_size ? content.size() : size) + deflated(content));
}

PackMaker& PackMaker::offset_delta(std::uint64_t distance, std::string_view delta) {
    std::string back(1, static_cast<char>(distance & 0x7fU));
    while ((distance >>= 7U) != 0) {
        back.insert(back.begin(), static_cast<char>(0x80U | (--distance & 0x7fU)));
    }
    return raw(header(ofs_delta, delta.size()) + back + deflated(delta));
}

PackMaker& PackMaker::id_delta(std::string_view base, std::string_view delta) {
    return raw(header(ref_delta, delta.size()) + std::string(base) + deflated(delta));
}

PackMaker& PackMaker::raw(std::string_view bytes) {
    entries_ += bytes;
    ++count_;
    return *this;
}

std::string PackMaker::finish(std::uint32_t more) const {
    const std::string all = "PACK" + be32(2) + be32(count_ + more) + entries_;
    return all + sha1(all);
}

std::string PackMaker::header(unsigned type, std::uint64_t size) {
    std::string bytes;
    std::uint64_t low = (type << 4U) | (size & 0xfU);
    for (size >>= 4U; size != 0; size >>= 7U) {
        bytes += static_cast<char>(low | 0x80U);
        low = size & 0x7fU;
    }
    return bytes + static_cast<char>(low);
}

std::string PackMaker::deflated(std::string_view content) {
    uLongf size = compressBound(content.size());
    std::string bytes(size, '\0');
    REQUIRE(compress(reinterpret_cast<Bytef*>(bytes.data()), &size,
                     reinterpret_cast<const Bytef*>(content.data()), content.size()) == Z_OK);
    bytes.resize(size);
    return bytes;
}

std::string PackMaker::sha1(std::string_view bytes) {
    std::string sum(SHA_DIGEST_LENGTH, '\0');
    SHA1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(sum.data()));
    return sum;
}

std::string PackMaker::blob_id(std::string_view content) {
    return sha1("blob " + std::to_string(content.size()) + std::string(1, '\0') + std::string(content));
}

std::string PackMaker::append(std::string_view base, std::string_view added) {
    std::string delta = delta_size(base.size()) + delta_size(base.size() + added.size());
    // One copy of up to 2^24 - 1 bytes from the start: offset 0, three bytes of length.
    delta += static_cast<char>(0xf0U);
    for (const unsigned shift : {0U, 8U, 16U}) {
        delta += static_cast<char>((base.size() >> shift) & 0xffU);
    }
    return delta + static_cast<char>(added.size()) + std::string(added);
}

} // namespace slipway::source::test
