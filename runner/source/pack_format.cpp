#include "source/pack_format.hpp"

#include <algorithm>
#include <cstring>
#include <format>
#include <limits>
#include <new>
#include <optional>

namespace slipway::source {
namespace {

/// Little-endian groups of seven bits, taken off `text`; as deltas give their two sizes.
std::optional<std::uint64_t> take_size(std::string_view& text) {
    std::uint64_t size = 0;
    for (unsigned shift = 0; !text.empty() && shift < 63; shift += 7) {
        const auto byte = static_cast<unsigned char>(text.front());
        text.remove_prefix(1);
        size |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
        if ((byte & 0x80U) == 0) {
            return size;
        }
    }
    return std::nullopt;
}

/// The bytes of a number whose presence the bits of `which` say, lowest first.
std::optional<std::uint32_t> take_sparse(std::string_view& text, unsigned which, unsigned bits) {
    std::uint32_t value = 0;
    for (unsigned bit = 0; bit < bits; ++bit) {
        if ((which & (1U << bit)) == 0) {
            continue;
        }
        if (text.empty()) {
            return std::nullopt;
        }
        value |= static_cast<std::uint32_t>(static_cast<unsigned char>(text.front())) << (8 * bit);
        text.remove_prefix(1);
    }
    return value;
}

} // namespace

EntryHeader::Step EntryHeader::after_size() {
    switch (type_) {
    case PackType::commit:
    case PackType::tree:
    case PackType::blob:
    case PackType::tag: return Step::done;
    case PackType::ofs_delta: part_ = Part::distance; return Step::more;
    case PackType::ref_delta: part_ = Part::base; return Step::more;
    }
    return Step::bad;
}

EntryHeader::Step EntryHeader::take(unsigned char byte) {
    const bool last = (byte & 0x80U) == 0;
    switch (part_) {
    case Part::type:
        type_ = static_cast<PackType>((byte >> 4U) & 7U);
        size_ = byte & 0xfU;
        part_ = Part::size;
        return last ? after_size() : Step::more;
    case Part::size: {
        const std::uint64_t bits = byte & 0x7fU;
        if (shift_ > 60 || (bits << shift_) >> shift_ != bits) {
            return Step::bad;
        }
        size_ |= bits << shift_;
        shift_ += 7;
        return last ? after_size() : Step::more;
    }
    case Part::distance:
        if (distance_ > (std::numeric_limits<std::uint64_t>::max() >> 8U)) {
            return Step::bad;
        }
        // Each further byte counts on from where the shorter forms end.
        distance_ = count_++ == 0 ? byte & 0x7fU : ((distance_ + 1) << 7U) | (byte & 0x7fU);
        return last ? Step::done : Step::more;
    case Part::base: base_.id[count_++] = byte; return count_ == GIT_OID_SHA1_SIZE ? Step::done : Step::more;
    }
    return Step::bad;
}

Inflater::Inflater() {
    if (inflateInit(&stream_) != Z_OK) {
        throw std::bad_alloc();
    }
}

Inflater::~Inflater() {
    inflateEnd(&stream_);
}

void Inflater::start() {
    inflateReset(&stream_);
}

Inflater::Step Inflater::go(std::string_view input, char* room, std::size_t size) {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    const std::size_t given = std::min(input.size(), most);
    const std::size_t space = std::min(size, most);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data())); // zlib does not write there
    stream_.avail_in = static_cast<uInt>(given);
    stream_.next_out = reinterpret_cast<Bytef*>(room);
    stream_.avail_out = static_cast<uInt>(space);
    const int rc = inflate(&stream_, Z_NO_FLUSH);
    Step step{.kind = Step::Kind::bad, .used = given - stream_.avail_in, .made = space - stream_.avail_out};
    if (rc == Z_STREAM_END) {
        step.kind = Step::Kind::done;
    } else if (rc == Z_OK || rc == Z_BUF_ERROR) {
        step.kind = Step::Kind::more;
    }
    return step;
}

std::expected<Bytes, LibraryError> apply_delta(std::string_view base, std::string_view delta) {
    const std::optional<std::uint64_t> base_size = take_size(delta);
    const std::optional<std::uint64_t> result_size = take_size(delta);
    if (!base_size || !result_size || *base_size != base.size()) {
        return bad_pack("a delta is not for its base");
    }
    if (*result_size > largest_delta_result) {
        return bad_pack(std::format("a delta makes an object of {} bytes", *result_size));
    }
    Bytes result(*result_size);
    char* to = result.data.get();
    std::size_t room = result.size;
    while (!delta.empty()) {
        const auto command = static_cast<unsigned char>(delta.front());
        delta.remove_prefix(1);
        std::string_view piece;
        if ((command & 0x80U) != 0) {
            const auto offset = take_sparse(delta, command & 0xfU, 4);
            const auto length = take_sparse(delta, (command >> 4U) & 7U, 3);
            if (!offset || !length || *offset > base.size()) {
                return bad_pack("a delta leaves its base");
            }
            const std::size_t wanted = *length == 0 ? 0x10000 : *length;
            piece = base.substr(*offset, wanted);
            if (piece.size() != wanted) {
                return bad_pack("a delta leaves its base");
            }
        } else {
            if (command == 0 || command > delta.size()) {
                return bad_pack("a delta ends early");
            }
            piece = delta.substr(0, command);
            delta.remove_prefix(command);
        }
        if (piece.size() > room) {
            return bad_pack("a delta makes more than it says");
        }
        std::memcpy(to, piece.data(), piece.size());
        to += piece.size();
        room -= piece.size();
    }
    if (room != 0) {
        return bad_pack("a delta makes less than it says");
    }
    return result;
}

std::unexpected<LibraryError> bad_pack(std::string_view why) {
    return std::unexpected(library_error(GIT_ERROR_INDEXER, std::format("the pack is damaged: {}", why)));
}

} // namespace slipway::source
