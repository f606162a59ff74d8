// How much of the build's volume a build will need, told before anything is pulled.
//
// Pure. In: the chosen recipe, the base images' compressed sizes and numbers of layers as their manifests
// give them, the context's size. Out: an estimate (bytes, inodes), and what follows from it for a given file
// system: nothing, advice (warning frames), or an error (resource/outofdisk) where it cannot possibly fit.
//
// Rule. A layer unpacks to 2.6 times its compressed size (Debian, Python, Node: 2.2 to 3.0) and to one file
// per 20 KiB. Overlay keeps each layer once; vfs keeps, for every layer, a whole copy of all below it, and
// one more for the working container and the committed image. The largest download lies beside it for a
// while. What RUNs will write is not known and not counted: the estimate is a lower one. Certain is only that
// an image's compressed bytes have to fit, unless the file system compresses by itself.
#pragma once

#include "pod/recipe.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace slipway::pod {

struct ImageSize {
    std::uint64_t compressed = 0; ///< of all layers, bytes
    std::size_t layers = 1;
};

struct Forecast {
    std::uint64_t bytes = 0;  ///< estimated
    std::uint64_t inodes = 0; ///< estimated
    std::uint64_t least = 0;  ///< bytes below which it cannot work
};

Forecast forecast(const Recipe& recipe, const std::vector<ImageSize>& images, std::uint64_t context_bytes);

/// What the forecast means for a volume like this one.
Result<std::vector<Advice>> compare(const Forecast& forecast, const FileSystem& volume, const Recipe& recipe);

} // namespace slipway::pod
