// libarchive, reading from a descriptor (gzip by zlib: gunzip.hpp). Only the formats and the one compression
// asked for are compiled into a reader, so what was sniffed is what gets read.
#pragma once

#include "archive/sniff.hpp"
#include "base/result.hpp"
#include "base/stop.hpp"

#include <cstdint>
#include <memory>
#include <string>

struct archive;
struct archive_entry;

namespace slipway::archive {

/// Up to `size` bytes at `offset`; fewer only at the end of the file.
Result<std::string> read_at(int fd, std::uint64_t offset, std::size_t size);

class Input {
  public:
    enum class Format { tar, zip, raw };

    /// `compression` is one of the four, or anything else for none. More than `most_bytes` out of the
    /// decompressor end the reading with `too_much()`.
    static Result<Input> open(int fd, Kind compression, Format format, std::uint64_t most_bytes,
                              const StopToken& stop);
    Input(Input&&) noexcept;
    Input& operator=(Input&&) = delete;
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    ~Input();

    /// The next entry, valid until the next call; null at the end.
    Result<archive_entry*> next();

    struct Block {
        const char* data = nullptr;
        std::size_t size = 0; ///< 0 = the entry's content is over
        std::uint64_t offset = 0;
    };
    /// The next piece of the entry's content; pieces come in order, gaps between them are holes.
    Result<Block> block();

  private:
    struct Feed;
    explicit Input(std::unique_ptr<Feed> feed);
    [[nodiscard]] Error failure() const;
    Status drain();
    std::unique_ptr<Feed> feed_;
};

/// What the archive's content would be too large for: which limit, and how to raise it.
Error too_much(std::uint64_t limit);

} // namespace slipway::archive
