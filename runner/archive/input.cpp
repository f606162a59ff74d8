#include "archive/input.hpp"

#include "archive/gunzip.hpp"
#include "archive/name.hpp"
#include "base/clock.hpp"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <format>
#include <optional>
#include <span>
#include <string_view>
#include <unistd.h>

namespace slipway::archive {

namespace {

using Handle = struct ::archive;

constexpr std::size_t read_size = std::size_t{128} << 10U;

ssize_t pread_retrying(int fd, char* into, std::size_t size, std::uint64_t offset) {
    for (;;) {
        const ssize_t n = ::pread(fd, into, size, static_cast<off_t>(offset));
        if (n >= 0 || errno != EINTR) {
            return n;
        }
    }
}

} // namespace

Result<std::string> read_at(int fd, std::uint64_t offset, std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
        const ssize_t n = pread_retrying(fd, bytes.data() + done, size - done, offset + done);
        if (n < 0) {
            return fail_errno("read the archive", errno);
        }
        if (n == 0) {
            break;
        }
        done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
}

Error too_much(std::uint64_t limit) {
    return bad_archive(std::format("the archive unpacks to more than {}", humane_bytes(limit)),
                       "raise --unpacked-limit, or pack less");
}

struct Input::Feed {
    Handle* handle = nullptr;
    int fd = -1;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t most = 0;
    std::uint64_t given = 0; ///< bytes out of `gunzip` or `inner`
    StopToken stop;
    std::optional<Error> error; ///< of ours: libarchive only knows that reading failed
    std::array<char, read_size> buffer{};
    /// What stands between the file and libarchive, if anything.
    std::unique_ptr<Gunzip> gunzip;
    std::unique_ptr<Input> inner;

    Result<std::size_t> from_file(std::span<char> into) {
        if (stop.requested()) {
            return fail(stop.error());
        }
        const ssize_t n = pread_retrying(fd, into.data(), into.size(), offset);
        if (n < 0) {
            return fail_errno("read the archive", errno);
        }
        offset += static_cast<std::uint64_t>(n);
        return static_cast<std::size_t>(n);
    }

    /// The next bytes for libarchive; none at the end.
    Result<std::string_view> pull() {
        std::string_view piece;
        if (gunzip) {
            TRY_ASSIGN(piece, gunzip->next([this](std::span<char> into) { return from_file(into); }));
        } else if (inner) {
            TRY_ASSIGN(const Block block, inner->block());
            piece = {block.data, block.size};
        } else {
            // A decompressor of libarchive's may be at work above.
            given = static_cast<std::uint64_t>(archive_filter_bytes(handle, 0));
            TRY_ASSIGN(const std::size_t n, from_file(buffer));
            return given > most ? Result<std::string_view>(fail(too_much(most)))
                                : std::string_view(buffer.data(), n);
        }
        given += piece.size();
        if (given > most) {
            return fail(too_much(most));
        }
        return piece;
    }

    static la_ssize_t read(Handle* handle, void* self, const void** data) {
        auto& me = *static_cast<Feed*>(self);
        auto piece = me.pull();
        if (!piece) {
            me.error = std::move(piece).error();
            archive_set_error(handle, ECANCELED, "given up");
            return -1;
        }
        *data = piece->data();
        return static_cast<la_ssize_t>(piece->size());
    }

    static la_int64_t skip(Handle* /*unused*/, void* self, la_int64_t count) {
        auto& me = *static_cast<Feed*>(self);
        // Past the end nothing would be missed: only as far as there is something to skip.
        const auto left = static_cast<la_int64_t>(me.size - std::min(me.offset, me.size));
        const la_int64_t skipped = std::clamp<la_int64_t>(count, 0, left);
        me.offset += static_cast<std::uint64_t>(skipped);
        return skipped;
    }

    static la_int64_t seek(Handle* /*unused*/, void* self, la_int64_t to, int whence) {
        auto& me = *static_cast<Feed*>(self);
        const la_int64_t base = whence == SEEK_CUR   ? static_cast<la_int64_t>(me.offset)
                                : whence == SEEK_END ? static_cast<la_int64_t>(me.size)
                                                     : 0;
        if (to < -base || to > static_cast<la_int64_t>(me.size) - base) {
            return ARCHIVE_FATAL;
        }
        me.offset = static_cast<std::uint64_t>(base + to);
        return base + to;
    }
};

Input::Input(std::unique_ptr<Feed> feed) : feed_(std::move(feed)) {}
Input::Input(Input&&) noexcept = default;
Input::~Input() {
    if (feed_) {
        archive_read_free(feed_->handle);
    }
}

Result<Input> Input::open(int fd, Kind compression, Format format, std::uint64_t most_bytes,
                          const StopToken& stop) {
    const off_t size = ::lseek(fd, 0, SEEK_END);
    if (size < 0) {
        return fail_errno("read the archive", errno);
    }
    auto feed = std::make_unique<Feed>();
    feed->handle = archive_read_new();
    feed->fd = fd;
    feed->size = static_cast<std::uint64_t>(size);
    feed->most = most_bytes;
    feed->stop = stop;
    Handle* handle = feed->handle;
    if (handle == nullptr) {
        return fail(ErrorClass::resource, code::out_of_memory, "no memory left to read the archive");
    }
    Feed* const raw = feed.get();
    Input input(std::move(feed));
    int rc = ARCHIVE_OK;
    if (compression == Kind::gzip) {
        raw->gunzip = std::make_unique<Gunzip>();
    } else if (is_compression(compression) && format == Format::tar) {
        // A reader of its own for the compression: it can be read to its end, where its checksum is.
        TRY_ASSIGN(Input inner, open(fd, compression, Format::raw, most_bytes, stop));
        raw->inner = std::make_unique<Input>(std::move(inner));
        TRY(raw->inner->next());
    } else {
        rc = compression == Kind::bzip2  ? archive_read_support_filter_bzip2(handle)
             : compression == Kind::xz   ? archive_read_support_filter_xz(handle)
             : compression == Kind::zstd ? archive_read_support_filter_zstd(handle)
                                         : ARCHIVE_OK;
    }
    if (rc == ARCHIVE_OK) {
        rc = format == Format::tar   ? archive_read_support_format_tar(handle)
             : format == Format::zip ? archive_read_support_format_zip_seekable(handle)
                                     : archive_read_support_format_raw(handle);
    }
    archive_read_set_read_callback(handle, &Feed::read);
    if (!raw->gunzip && !raw->inner) {
        archive_read_set_skip_callback(handle, &Feed::skip);
        archive_read_set_seek_callback(handle, &Feed::seek);
    }
    archive_read_set_callback_data(handle, raw);
    // ARCHIVE_WARN would mean an outside program: none is compiled in.
    if (rc != ARCHIVE_OK || archive_read_open1(handle) != ARCHIVE_OK) {
        return fail(input.failure());
    }
    // libarchive goes on as long as it finds the same compression again; its last filter is the file itself.
    if (archive_filter_count(handle) > 2) {
        return fail(bad_archive("the archive is packed twice by the same compression", "pack it once"));
    }
    return input;
}

Error Input::failure() const {
    if (feed_->error) {
        return *feed_->error;
    }
    const int number = archive_errno(feed_->handle);
    const char* words = archive_error_string(feed_->handle);
    if (number == ENOMEM) {
        Error error = make_error(ErrorClass::resource, code::out_of_memory,
                                 "no memory left to unpack the archive", "give the step more memory");
        error.cause = words == nullptr ? "" : words;
        return error;
    }
    const std::string_view text = words == nullptr ? "" : words;
    const bool cut = text.contains("runcated") || text.contains("nexpected end");
    Error error =
        bad_archive(cut ? "the archive is cut short" : "the archive is damaged",
                    "pack or upload it again; --archive-digest tells a damaged upload from a bad archive");
    error.cause = printable_name(text);
    return error;
}

Result<archive_entry*> Input::next() {
    archive_entry* entry = nullptr;
    const int rc = archive_read_next_header(feed_->handle, &entry);
    if (rc == ARCHIVE_EOF) {
        TRY(drain());
        return nullptr;
    }
    // A warning here is about converting names (we take their bytes) or attributes nobody asked for.
    if (rc != ARCHIVE_OK && (rc != ARCHIVE_WARN || feed_->error)) {
        return fail(failure());
    }
    return entry;
}

/// A tar's end is not the end of what it is packed in: only there checksums are verified.
Status Input::drain() {
    while (feed_->gunzip || feed_->inner) {
        TRY_ASSIGN(const std::string_view piece, feed_->pull());
        if (piece.empty()) {
            break;
        }
    }
    return {};
}

Result<Input::Block> Input::block() {
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    for (;;) {
        const int rc = archive_read_data_block(feed_->handle, &data, &size, &offset);
        if (rc == ARCHIVE_EOF) {
            return Block{.data = nullptr, .size = 0, .offset = static_cast<std::uint64_t>(offset)};
        }
        // Here a warning is a wrong checksum or length.
        if (rc != ARCHIVE_OK || offset < 0) {
            return fail(failure());
        }
        if (size > 0) {
            return Block{.data = static_cast<const char*>(data),
                         .size = size,
                         .offset = static_cast<std::uint64_t>(offset)};
        }
    }
}

} // namespace slipway::archive
