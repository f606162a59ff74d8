// Archives for tests, made by libarchive's own writer, and a place to unpack them to.
#pragma once

#include "archive/unpack.hpp"
#include "base/file.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <vector>

namespace slipway::archive::testing {

struct File {
    std::string name;
    std::string content = {};
    unsigned mode = 0644;
    unsigned type = AE_IFREG;
    std::string link = {}; ///< of a symbolic link; of a regular file: hard link
};

enum class Format { pax, gnutar, ustar, v7tar, zip };

inline std::string pack(const std::vector<File>& files, Format format = Format::pax,
                        int filter = ARCHIVE_FILTER_NONE) {
    auto* out = archive_write_new();
    switch (format) {
    case Format::pax: archive_write_set_format_pax(out); break;
    case Format::gnutar: archive_write_set_format_gnutar(out); break;
    case Format::ustar: archive_write_set_format_ustar(out); break;
    case Format::v7tar: archive_write_set_format_v7tar(out); break;
    case Format::zip: archive_write_set_format_zip(out); break;
    }
    REQUIRE(archive_write_add_filter(out, filter) == ARCHIVE_OK);
    std::string bytes(std::size_t{4} << 20U, '\0');
    std::size_t used = 0;
    REQUIRE(archive_write_open_memory(out, bytes.data(), bytes.size(), &used) == ARCHIVE_OK);
    for (const File& file : files) {
        auto* entry = archive_entry_new();
        archive_entry_set_pathname(entry, file.name.c_str());
        archive_entry_set_filetype(entry, file.type);
        archive_entry_set_perm(entry, static_cast<mode_t>(file.mode));
        archive_entry_set_mtime(entry, 1'767'225'600, 0);
        if (file.type == AE_IFLNK) {
            archive_entry_set_symlink(entry, file.link.c_str());
        } else if (!file.link.empty()) {
            archive_entry_set_hardlink(entry, file.link.c_str());
        } else if (file.type == AE_IFREG) {
            archive_entry_set_size(entry, static_cast<la_int64_t>(file.content.size()));
        }
        REQUIRE(archive_write_header(out, entry) >= ARCHIVE_WARN);
        if (!file.content.empty()) {
            REQUIRE(archive_write_data(out, file.content.data(), file.content.size()) >= 0);
        }
        archive_entry_free(entry);
    }
    REQUIRE(archive_write_close(out) == ARCHIVE_OK);
    archive_write_free(out);
    bytes.resize(used);
    return bytes;
}

inline Fd in_memory(std::string_view bytes) {
    Fd fd(::memfd_create("archive", MFD_CLOEXEC));
    REQUIRE(write_all(fd.get(), bytes));
    return fd;
}

/// An empty directory, and what unpacking into it said.
struct Target {
    TemporaryDirectory directory = *TemporaryDirectory::create("unpack-");

    Result<Unpacked> unpack(std::string_view bytes, const UnpackOptions& options = {},
                            const StopToken& stop = {}) const {
        const Fd from = in_memory(bytes);
        const Fd to = *open_directory(directory.path());
        return archive::unpack(from.get(), to.get(), options, {}, stop);
    }
    [[nodiscard]] std::string text(std::string_view name) const {
        return *read_file(directory.path() / name);
    }
};

} // namespace slipway::archive::testing
