#include "archive/zip_index.hpp"

#include "archive/input.hpp"
#include "archive/name.hpp"

#include <algorithm>
#include <format>
#include <string_view>

namespace slipway::archive {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t end_size = 22;
constexpr std::size_t end64_size = 56;
constexpr std::size_t locator_size = 20;
constexpr std::size_t central_size = 46;
constexpr std::size_t local_size = 30;
constexpr std::size_t longest_comment = 0xffff;
constexpr std::uint64_t largest_directory = std::uint64_t{256} << 20U;
constexpr std::uint32_t in_zip64 = 0xffffffff;
constexpr unsigned encrypted = 1U << 0U;
constexpr unsigned sizes_follow = 1U << 3U;
constexpr unsigned hidden_directory = 1U << 13U;

/// Little-endian numbers at fixed places. What lies outside reads as 0: lengths are checked before.
class Record {
  public:
    explicit Record(std::string_view bytes) : bytes_(bytes) {}
    [[nodiscard]] std::uint64_t at(std::size_t offset, std::size_t width) const {
        std::uint64_t value = 0;
        for (std::size_t i = width; i-- > 0;) {
            value = value << 8U |
                    (offset + i < bytes_.size() ? static_cast<unsigned char>(bytes_[offset + i]) : 0U);
        }
        return value;
    }
    [[nodiscard]] std::uint16_t u16(std::size_t offset) const {
        return static_cast<std::uint16_t>(at(offset, 2));
    }
    [[nodiscard]] std::uint32_t u32(std::size_t offset) const {
        return static_cast<std::uint32_t>(at(offset, 4));
    }
    [[nodiscard]] std::uint64_t u64(std::size_t offset) const { return at(offset, 8); }

  private:
    std::string_view bytes_;
};

struct Entry : ZipEntry {
    std::uint64_t stored = 0; ///< compressed bytes
    std::uint16_t flags = 0;
    std::uint16_t method = 0;
};

struct Directory {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t entries = 0;
};

std::unexpected<Error> damaged(std::string_view what) {
    return fail(bad_archive(std::format("the zip archive is damaged or forged: {}", what),
                            "pack it again, or send a tar archive"));
}

/// Reads exactly `size` bytes; what lies beyond the end is an error of the archive's.
Result<std::string> bytes_at(int fd, std::uint64_t offset, std::uint64_t size) {
    TRY_ASSIGN(std::string bytes, read_at(fd, offset, static_cast<std::size_t>(size)));
    if (bytes.size() != size) {
        return damaged("it ends early");
    }
    return bytes;
}

Result<Directory> find_directory(int fd, std::uint64_t size) {
    const std::uint64_t tail_size = std::min<std::uint64_t>(size, end_size + longest_comment);
    TRY_ASSIGN(const std::string tail, bytes_at(fd, size - tail_size, tail_size));
    // From the back; a comment may hold what looks like an end record, so its length must fit.
    for (std::size_t i = tail.size() < end_size ? 0 : tail.size() - end_size + 1; i-- > 0;) {
        const Record end(std::string_view(tail).substr(i));
        if (!std::string_view(tail).substr(i).starts_with("PK\x05\x06"sv) ||
            i + end_size + end.u16(20) != tail.size()) {
            continue;
        }
        if (end.u16(4) != end.u16(6) || end.u16(8) != end.u16(10)) {
            return fail(bad_archive("the zip archive is split over several files", "pack it as one file"));
        }
        Directory directory{.offset = end.u32(16), .size = end.u32(12), .entries = end.u16(10)};
        std::uint64_t ends_at = size - tail_size + i;
        const bool may_have_zip64 = ends_at >= locator_size;
        TRY_ASSIGN(const std::string locator, may_have_zip64
                                                  ? bytes_at(fd, ends_at - locator_size, locator_size)
                                                  : Result<std::string>(""));
        if (locator.starts_with("PK\x06\x07"sv)) {
            const std::uint64_t at = Record(locator).u64(8);
            if (at > ends_at || ends_at - at < end64_size) {
                return damaged("its zip64 end record lies outside");
            }
            TRY_ASSIGN(const std::string bytes, bytes_at(fd, at, end64_size));
            if (!bytes.starts_with("PK\x06\x06"sv)) {
                return damaged("its zip64 end record is missing");
            }
            const Record end64(bytes);
            directory = {.offset = end64.u64(48), .size = end64.u64(40), .entries = end64.u64(32)};
            ends_at = at;
        }
        if (directory.size > ends_at || directory.offset > ends_at - directory.size) {
            return damaged("its directory lies outside");
        }
        return directory;
    }
    return damaged("it has no end record, so it may be cut short");
}

/// Sizes and offset that do not fit into 32 bits stand in an extra field, in this order, only those needed.
Status apply_zip64(std::string_view extra, std::uint32_t size, Entry& entry) {
    while (extra.size() >= 4) {
        const Record field(extra);
        const std::size_t length = field.u16(2);
        if (length > extra.size() - 4) {
            break;
        }
        if (field.u16(0) == 1) {
            std::size_t at = 4 + (size == in_zip64 ? 8U : 0U);
            if (entry.stored == in_zip64) {
                entry.stored = field.u64(at);
                at += 8;
            }
            if (entry.offset == in_zip64) {
                entry.offset = field.u64(at);
                at += 8;
            }
            if (at > length + 4) {
                return damaged("a zip64 field is too short");
            }
            return {};
        }
        extra.remove_prefix(4 + length);
    }
    return {};
}

Result<std::vector<Entry>> read_central(std::string_view bytes, std::uint64_t count, std::uint64_t limit) {
    std::vector<Entry> entries;
    while (!bytes.empty()) {
        if (bytes.size() < central_size || !bytes.starts_with("PK\x01\x02"sv)) {
            return damaged("its directory does not hold together");
        }
        const Record record(bytes);
        const std::size_t name = record.u16(28);
        const std::size_t extra = record.u16(30);
        const std::size_t whole = central_size + name + extra + record.u16(32);
        if (whole > bytes.size()) {
            return damaged("its directory does not hold together");
        }
        Entry entry;
        entry.name = bytes.substr(central_size, name);
        entry.offset = record.u32(42);
        entry.stored = record.u32(20);
        entry.flags = record.u16(8);
        entry.method = record.u16(10);
        TRY(apply_zip64(bytes.substr(central_size + name, extra), record.u32(24), entry));
        if ((entry.flags & (encrypted | hidden_directory)) != 0) {
            return fail(bad_archive("the zip archive is encrypted: " + printable_name(entry.name),
                                    "pack it without a password; a source needs none here"));
        }
        if (entry.name.contains('\0')) {
            return damaged("a name holds a NUL byte");
        }
        entries.push_back(std::move(entry));
        if (entries.size() > limit) {
            return fail(
                bad_archive(std::format("the archive holds more than {} files and directories", limit),
                            "raise --entry-limit, or pack less"));
        }
        bytes.remove_prefix(whole);
    }
    if (entries.size() != count) {
        return damaged("its directory has another number of entries than its end record says");
    }
    return entries;
}

/// Where the entry ends, at least: a trailing data descriptor is not counted.
Result<std::uint64_t> check_local(int fd, const Entry& entry) {
    TRY_ASSIGN(const std::string bytes, bytes_at(fd, entry.offset, local_size + entry.name.size()));
    const Record local(bytes);
    const std::string shown = printable_name(entry.name);
    if (!bytes.starts_with("PK\x03\x04"sv)) {
        return damaged(shown + " is not where the directory says");
    }
    if (local.u16(26) != entry.name.size() || std::string_view(bytes).substr(local_size) != entry.name) {
        return damaged(shown + " has another name in the directory than before its content");
    }
    const std::uint32_t stored = local.u32(18);
    const bool same_size = (local.u16(6) & sizes_follow) != 0 || stored == in_zip64 || stored == entry.stored;
    if (((local.u16(6) ^ entry.flags) & (encrypted | sizes_follow)) != 0 || local.u16(8) != entry.method ||
        !same_size) {
        return damaged(shown + " is described in two different ways");
    }
    const std::uint64_t head = local_size + entry.name.size() + local.u16(28);
    return entry.offset + head + entry.stored;
}

} // namespace

Result<std::vector<ZipEntry>> read_zip_index(int fd, std::uint64_t size, std::uint64_t limit) {
    TRY_ASSIGN(const Directory directory, find_directory(fd, size));
    if (directory.size > largest_directory) {
        return damaged("its directory is larger than 256 MiB");
    }
    TRY_ASSIGN(const std::string bytes, bytes_at(fd, directory.offset, directory.size));
    TRY_ASSIGN(std::vector<Entry> entries, read_central(bytes, directory.entries, limit));
    std::ranges::sort(entries, {}, &Entry::offset);
    std::uint64_t free_from = 0;
    std::vector<ZipEntry> index;
    index.reserve(entries.size());
    for (Entry& entry : entries) {
        if (entry.offset < free_from || entry.offset >= directory.offset ||
            entry.stored > directory.offset - entry.offset) {
            return damaged(printable_name(entry.name) + " overlaps what stands beside it");
        }
        TRY_ASSIGN(free_from, check_local(fd, entry));
        if (free_from > directory.offset) {
            return damaged(printable_name(entry.name) + " overlaps what stands beside it");
        }
        index.push_back(std::move(entry));
    }
    return index;
}

} // namespace slipway::archive
