// gzip (RFC 1952) by zlib, because libarchive's own reader does not verify the checksums.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

namespace slipway::archive {

/// Fills the buffer from the compressed file; 0 = its end.
using ReadMore = std::function<Result<std::size_t>(std::span<char> buffer)>;

/// Members one after another, as `cat a.gz b.gz` makes them; what follows the last and is no member is
/// ignored, as gzip does. Checksum and length of each are verified. Error: build/cannotextractbuildpack.
class Gunzip {
  public:
    Gunzip();
    ~Gunzip();
    Gunzip(const Gunzip&) = delete;
    Gunzip& operator=(const Gunzip&) = delete;

    /// The next piece, good until the next call; empty = the end.
    Result<std::string_view> next(const ReadMore& more);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace slipway::archive
