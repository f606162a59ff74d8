#include "archive/unpack.hpp"

#include "archive/input.hpp"
#include "archive/name.hpp"
#include "archive/sniff.hpp"
#include "archive/tree.hpp"
#include "archive/zip_index.hpp"
#include "base/clock.hpp"

#include <algorithm>
#include <archive_entry.h>
#include <cerrno>
#include <format>
#include <limits>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace slipway::archive {

namespace {

constexpr std::uint64_t largest_dockerfile = std::uint64_t{1} << 20U;
/// A tar's headers and padding, which count for the decompressor but not as content.
constexpr std::uint64_t overhead_per_entry = 2048;

/// Adds up content against the limits.
class Meter {
  public:
    Meter(const Limits& limits, std::uint64_t archive_size, const UnpackCallbacks& callbacks)
        : limits_(limits), archive_size_(archive_size), callbacks_(callbacks) {}

    Status add(std::uint64_t bytes) {
        if (bytes > limits_.bytes - total_) {
            return fail(too_much(limits_.bytes));
        }
        total_ += bytes;
        if (limits_.ratio > 0 && total_ > limits_.ratio_from && total_ / limits_.ratio > archive_size_) {
            return fail(bad_archive(std::format("the archive of {} unpacks to more than {} times its size",
                                                humane_bytes(archive_size_), limits_.ratio),
                                    "that is what a decompression bomb looks like; raise --ratio-limit (0 = "
                                    "none) if it is none"));
        }
        if (callbacks_.on_progress) {
            callbacks_.on_progress(total_);
        }
        return {};
    }
    [[nodiscard]] std::uint64_t total() const { return total_; }

  private:
    const Limits& limits_;
    std::uint64_t archive_size_;
    const UnpackCallbacks& callbacks_;
    std::uint64_t total_ = 0;
};

/// What was left out or changed, with the first few names.
class Notes {
  public:
    void special_file(std::string_view name) { remember(special_, name); }
    void absolute(std::string_view name) { remember(absolute_, name); }

    [[nodiscard]] std::vector<std::string> take() const {
        std::vector<std::string> lines;
        if (special_.count > 0) {
            lines.push_back(
                std::format("left out {} devices, fifos or sockets: {}", special_.count, special_.names));
        }
        if (absolute_.count > 0) {
            lines.push_back(
                std::format("took the leading slash off {} names: {}", absolute_.count, absolute_.names));
        }
        return lines;
    }

  private:
    struct Kept {
        std::uint64_t count = 0;
        std::string names;
    };
    static void remember(Kept& kept, std::string_view name) {
        constexpr std::uint64_t shown = 5;
        ++kept.count;
        if (kept.count <= shown) {
            kept.names += (kept.count > 1 ? ", " : "") + printable_name(name, 80);
        } else if (kept.count == shown + 1) {
            kept.names += ", …";
        }
    }
    Kept special_;
    Kept absolute_;
};

Status write_at(int fd, const char* data, std::size_t size, std::uint64_t offset) {
    while (size > 0) {
        const ssize_t n = ::pwrite(fd, data, size, static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno("write an unpacked file", errno);
        }
        data += n;
        size -= static_cast<std::size_t>(n);
        offset += static_cast<std::uint64_t>(n);
    }
    return {};
}

/// One archive on its way into one tree.
class Unpacking {
  public:
    Unpacking(Input input, std::optional<std::vector<ZipEntry>> index, Tree& tree, Meter& meter,
              const UnpackOptions& options, const StopToken& stop)
        : input_(std::move(input)), index_(std::move(index)), tree_(tree), meter_(meter), options_(options),
          stop_(stop) {}

    Status run() {
        std::uint64_t seen = 0;
        for (;;) {
            if (stop_.requested()) {
                return fail(stop_.error());
            }
            TRY_ASSIGN(archive_entry * entry, input_.next());
            if (entry == nullptr) {
                break;
            }
            // Entries that make nothing (left out, repeated) cost time as well.
            if (seen++ == options_.limits.entries) {
                return fail(bad_archive(
                    std::format("the archive holds more than {} entries", options_.limits.entries),
                    "raise --entry-limit, or pack less"));
            }
            TRY(one(entry, seen - 1));
        }
        if (index_ && seen != index_->size()) {
            return fail(
                bad_archive("the zip archive is damaged or forged: entries are missing", "pack it again"));
        }
        return tree_.finish();
    }

    [[nodiscard]] std::vector<std::string> notes() const { return notes_.take(); }

  private:
    Status one(archive_entry* entry, std::uint64_t number) {
        TRY_ASSIGN(const std::string raw, name_of(entry, number));
        const Separators separators = index_ ? Separators::slash_and_backslash : Separators::slash;
        TRY_ASSIGN(const Name name, parse_name(raw, separators, options_.strip_components));
        if (name.was_absolute) {
            notes_.absolute(raw);
        }
        const Attributes attributes = attributes_of(entry);
        const bool stripped = options_.strip_components > 0 && name.parts.empty();
        if (const char* link = archive_entry_hardlink(entry); link != nullptr && !stripped) {
            TRY(skip(entry));
            TRY_ASSIGN(const Name target, parse_name(link, separators, options_.strip_components));
            return tree_.hard_link(name, target);
        }
        const mode_t type = archive_entry_filetype(entry);
        if (type == AE_IFREG && !stripped) {
            return file(entry, name, attributes);
        }
        TRY(skip(entry));
        if (type == AE_IFDIR) {
            return tree_.directory(name, attributes);
        }
        if (stripped) {
            return {};
        }
        if (type == AE_IFLNK) {
            const char* target = archive_entry_symlink(entry);
            return tree_.symbolic_link(name, target == nullptr ? "" : target, attributes);
        }
        notes_.special_file(raw);
        return {};
    }

    /// In a zip the name is the index's; libarchive's must not contradict it.
    Result<std::string> name_of(archive_entry* entry, std::uint64_t number) {
        const char* name = archive_entry_pathname(entry);
        if (!index_) {
            return std::string(name == nullptr ? "" : name);
        }
        if (number >= index_->size()) {
            return fail(
                bad_archive("the zip archive is damaged or forged: it has more entries than its directory",
                            "pack it again"));
        }
        const std::string& indexed = (*index_)[number].name;
        if (name != nullptr &&
            std::ranges::all_of(indexed,
                                [](char c) { return (static_cast<unsigned char>(c) & 0x80U) == 0; }) &&
            comparable(name) != comparable(indexed)) {
            return fail(bad_archive("the zip archive is damaged or forged: " + printable_name(indexed) +
                                        " comes out as " + printable_name(name),
                                    "pack it again"));
        }
        return indexed;
    }

    /// libarchive turns backslashes and gives directories their slash.
    static std::string comparable(std::string name) {
        std::ranges::replace(name, '\\', '/');
        while (name.ends_with('/')) {
            name.pop_back();
        }
        return name;
    }

    static Attributes attributes_of(archive_entry* entry) {
        Attributes attributes{.mode = archive_entry_perm(entry), .modified = {}};
        if (archive_entry_mtime_is_set(entry) != 0) {
            attributes.modified =
                timespec{.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)};
        }
        return attributes;
    }

    static std::uint64_t declared_size(archive_entry* entry) {
        const la_int64_t size = archive_entry_size_is_set(entry) != 0 ? archive_entry_size(entry) : 0;
        return size > 0 ? static_cast<std::uint64_t>(size) : 0;
    }

    /// Content that is not taken still has to be read past.
    Status skip(archive_entry* entry) { return meter_.add(declared_size(entry)); }

    Status file(archive_entry* entry, const Name& name, const Attributes& attributes) {
        const std::uint64_t declared = declared_size(entry);
        if (declared > options_.limits.bytes - meter_.total()) {
            return fail(too_much(options_.limits.bytes)); // before anything is written
        }
        TRY_ASSIGN(Fd fd, tree_.file(name));
        std::uint64_t end = 0;
        for (;;) {
            if (stop_.requested()) {
                return fail(stop_.error());
            }
            TRY_ASSIGN(const Input::Block block, input_.block());
            if (block.size == 0) {
                break;
            }
            if (block.offset < end || block.size > std::numeric_limits<std::int64_t>::max() - block.offset) {
                return fail(bad_archive("the archive is damaged: pieces of " + printable_name(name.text()) +
                                            " overlap",
                                        "pack it again"));
            }
            TRY(meter_.add(block.offset + block.size - end));
            TRY(write_at(fd.get(), block.data, block.size, block.offset));
            end = block.offset + block.size;
        }
        // A hole at the end, and zips that only say afterwards how long they are.
        if (declared > end) {
            TRY(meter_.add(declared - end));
            if (::ftruncate(fd.get(), static_cast<off_t>(declared)) != 0) {
                return fail_errno("write an unpacked file", errno);
            }
        }
        return Tree::close_file(std::move(fd), attributes);
    }

    Input input_;
    std::optional<std::vector<ZipEntry>> index_;
    Tree& tree_;
    Meter& meter_;
    const UnpackOptions& options_;
    const StopToken& stop_;
    Notes notes_;
};

Error not_a_source(const Sniffed& sniffed, std::string_view inside) {
    const std::string what =
        inside.empty() ? sniffed.words : std::format("{}, {} inside", sniffed.words, inside);
    Error error =
        bad_archive(sniffed.kind == Kind::empty ? std::format("the archive is {}", what)
                                                : std::format("this is no source archive but {}", what),
                    "send a tar (plain, gzip, bzip2, xz, zstd), a zip, or a Dockerfile");
    if (!sniffed.quote.empty()) {
        error.cause = "it begins: " + sniffed.quote;
    }
    return error;
}

Result<std::uint64_t> size_of(int fd) {
    struct stat info{};
    if (::fstat(fd, &info) != 0) {
        return fail_errno("read the archive", errno);
    }
    return static_cast<std::uint64_t>(info.st_size);
}

/// The content of `fd`, decompressed, up to `most` bytes; more is cut.
Result<std::string> decompressed(int fd, Kind compression, std::size_t most, const StopToken& stop) {
    // Several times `most`: the decompressor works in larger pieces than are asked of it.
    TRY_ASSIGN(Input input,
               Input::open(fd, compression, Input::Format::raw, std::uint64_t{256} << 20U, stop));
    TRY_ASSIGN(archive_entry * entry, input.next());
    std::string bytes;
    while (entry != nullptr && bytes.size() < most) {
        TRY_ASSIGN(const Input::Block block, input.block());
        if (block.size == 0) {
            break;
        }
        bytes.append(block.data, std::min(block.size, most - bytes.size()));
    }
    return bytes;
}

Result<Unpacked> write_dockerfile(std::string_view content, std::string what, int directory) {
    if (content.size() > largest_dockerfile) {
        return fail(
            bad_archive(std::format("the Dockerfile is larger than {}", humane_bytes(largest_dockerfile)),
                        "send an archive, with the Dockerfile in it"));
    }
    Tree tree(directory, 1);
    TRY_ASSIGN(Fd fd, tree.file({.parts = {"Dockerfile"}}));
    TRY(write_all(fd.get(), content));
    TRY(Tree::close_file(std::move(fd), {.mode = 0644, .modified = {}}));
    return Unpacked{
        .what = std::move(what), .lone_dockerfile = true, .entries = 1, .bytes = content.size(), .notes = {}};
}

/// An archive, or what may be one once it is decompressed.
bool holds_files(Kind kind) {
    return kind == Kind::tar || kind == Kind::zip || is_compression(kind);
}

} // namespace

Result<Unpacked> unpack(int archive, int directory, const UnpackOptions& options,
                        const UnpackCallbacks& callbacks, const StopToken& stop) {
    TRY_ASSIGN(const std::uint64_t size, size_of(archive));
    TRY_ASSIGN(const std::string head, read_at(archive, 0, sniff_bytes));
    Sniffed outer = sniff(head);
    Sniffed inner = outer;
    if (is_compression(outer.kind)) {
        TRY_ASSIGN(const std::string content, decompressed(archive, outer.kind, sniff_bytes, stop));
        inner = sniff(content);
        if (is_compression(inner.kind) || inner.kind == Kind::zip) {
            return fail(bad_archive(
                std::format("the archive is packed twice: {}, {} inside", outer.words, inner.words),
                "pack it once"));
        }
    }
    const bool packed = is_compression(outer.kind);
    const std::string what =
        packed ? std::format("{} {}", outer.words, inner.kind == Kind::tar ? "tar archive" : "Dockerfile")
               : outer.words;
    if (inner.kind == Kind::dockerfile) {
        TRY_ASSIGN(const std::string content,
                   packed ? decompressed(archive, outer.kind, largest_dockerfile + 1, stop)
                          : read_at(archive, 0, largest_dockerfile + 1));
        return write_dockerfile(content, what, directory);
    }
    if (inner.kind != Kind::tar && inner.kind != Kind::zip) {
        return fail(packed ? not_a_source(outer, inner.words) : not_a_source(outer, {}));
    }
    std::optional<std::vector<ZipEntry>> index;
    if (inner.kind == Kind::zip) {
        TRY_ASSIGN(index, read_zip_index(archive, size, options.limits.entries));
    }
    const Limits& limits = options.limits;
    const std::uint64_t overhead =
        limits.entries < (std::uint64_t{1} << 40U) ? limits.entries * overhead_per_entry : 0;
    const std::uint64_t stream_limit = limits.bytes > std::numeric_limits<std::uint64_t>::max() - overhead
                                           ? limits.bytes
                                           : limits.bytes + overhead;
    TRY_ASSIGN(Input input, Input::open(archive, outer.kind, index ? Input::Format::zip : Input::Format::tar,
                                        stream_limit, stop));
    Tree tree(directory, limits.entries);
    Meter meter(limits, size, callbacks);
    Unpacking unpacking(std::move(input), std::move(index), tree, meter, options, stop);
    TRY(unpacking.run());
    if (tree.made() == 0) {
        return fail(bad_archive(std::format("the archive ({}) holds nothing", what),
                                options.strip_components > 0 ? "check --strip-components"
                                                             : "pack the source's files"));
    }
    return Unpacked{.what = what,
                    .lone_dockerfile = false,
                    .entries = tree.made(),
                    .bytes = meter.total(),
                    .notes = unpacking.notes()};
}

Result<bool> is_archive(int file) {
    TRY_ASSIGN(const std::string head, read_at(file, 0, sniff_bytes));
    return holds_files(sniff(head).kind);
}

Result<Unpacked> place_file(int file, int directory, std::string_view name, const Limits& limits,
                            const StopToken& stop) {
    constexpr std::size_t piece = std::size_t{256} << 10U;
    TRY_ASSIGN(const std::uint64_t size, size_of(file));
    if (size > limits.bytes) {
        return fail(too_much(limits.bytes));
    }
    TRY_ASSIGN(const Name parsed, parse_name(name, Separators::slash, 0));
    Tree tree(directory, limits.entries);
    TRY_ASSIGN(Fd fd, tree.file(parsed));
    for (std::uint64_t at = 0; at < size;) {
        if (stop.requested()) {
            return fail(stop.error());
        }
        TRY_ASSIGN(const std::string content, read_at(file, at, piece));
        if (content.empty()) {
            return fail_errno("read a file that became shorter", EIO);
        }
        TRY(write_all(fd.get(), content));
        at += content.size();
    }
    TRY(Tree::close_file(std::move(fd), {.mode = 0644, .modified = {}}));
    TRY(tree.finish());
    return Unpacked{.what = "the file " + printable_name(parsed.text()),
                    .lone_dockerfile = false,
                    .entries = tree.made(),
                    .bytes = size,
                    .notes = {}};
}

Result<Unpacked> place_dockerfile(int file, int directory, const StopToken& stop) {
    if (stop.requested()) {
        return fail(stop.error());
    }
    TRY_ASSIGN(const std::string content, read_at(file, 0, largest_dockerfile + 1));
    const Sniffed sniffed = sniff(std::string_view(content).substr(0, sniff_bytes));
    if (sniffed.kind == Kind::empty) {
        return fail(bad_archive("the Dockerfile is " + sniffed.words, "send a Dockerfile"));
    }
    if (holds_files(sniffed.kind)) {
        return fail_usage(std::format("--dockerfile-only was given {}{}", sniffed.words,
                                      is_compression(sniffed.kind) ? " data" : ""),
                          "use --archive for archives");
    }
    return write_dockerfile(content, "a Dockerfile", directory);
}

} // namespace slipway::archive
