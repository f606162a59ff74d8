#include "source/pack_index.hpp"

#include "base/fd.hpp"
#include "source/big_endian.hpp"
#include "source/pack_sum.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace slipway::source {
namespace {

/// Gathers small pieces, sums them up and writes them.
class Output {
  public:
    explicit Output(int fd) : fd_(fd) {}

    void add(std::string_view bytes) {
        if (buffer_.size() + bytes.size() > limit) {
            flush();
        }
        buffer_.append(bytes);
    }
    void add32(std::uint32_t value) {
        std::array<char, 4> bytes{};
        put32(bytes.data(), value);
        add({bytes.data(), bytes.size()});
    }
    void add64(std::uint64_t value) {
        std::array<char, 8> bytes{};
        put64(bytes.data(), value);
        add({bytes.data(), bytes.size()});
    }
    /// The sum of all before it, and everything out.
    Status finish() {
        flush();
        if (status_) {
            status_ = write_all(fd_, sum_.finish());
        }
        return status_;
    }

  private:
    static constexpr std::size_t limit = 64 * 1024;

    void flush() {
        sum_.add(buffer_);
        if (status_) {
            status_ = write_all(fd_, buffer_);
        }
        buffer_.clear();
    }

    int fd_;
    Checksum sum_;
    std::string buffer_;
    Status status_;
};

} // namespace

std::expected<void, LibraryError> write_pack_index(int fd, PackObjects& objects, std::string_view pack_sum) {
    constexpr std::uint64_t first_large = 1U << 31U;
    std::vector<PackEntry>& entries = objects.entries;
    std::ranges::sort(entries, [](const PackEntry& a, const PackEntry& b) { return a.id < b.id; });
    const auto twice = std::ranges::adjacent_find(
        entries, [](const PackEntry& a, const PackEntry& b) { return !(a.id < b.id); });
    if (twice != entries.end()) {
        return bad_pack("it has " + hex(twice->id) + " twice");
    }

    Output out(fd);
    out.add("\377tOc");
    out.add32(2);
    std::uint32_t count = 0;
    for (unsigned first = 0; first < 256; ++first) {
        while (count < entries.size() && entries[count].id.id[0] == first) {
            ++count;
        }
        out.add32(count);
    }
    for (const PackEntry& entry : entries) {
        out.add({reinterpret_cast<const char*>(entry.id.id), GIT_OID_SHA1_SIZE});
    }
    for (const PackEntry& entry : entries) {
        out.add32(entry.crc);
    }
    std::uint32_t large = 0;
    for (const PackEntry& entry : entries) {
        const std::uint64_t offset = entry.offset;
        out.add32(offset < first_large ? static_cast<std::uint32_t>(offset) : 0x80000000U | large++);
    }
    for (const PackEntry& entry : entries) {
        if (entry.offset >= first_large) {
            out.add64(entry.offset);
        }
    }
    out.add(pack_sum);
    if (const Status written = out.finish(); !written) {
        return std::unexpected(
            library_error(GIT_ERROR_OS, "write the pack's index: " + written.error().cause));
    }
    return {};
}

} // namespace slipway::source
