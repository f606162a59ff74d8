#include "pod/forecast.hpp"

#include "base/clock.hpp"

#include <algorithm>
#include <format>

namespace slipway::pod {

namespace {

constexpr double unpacked_per_compressed = 2.6;
constexpr double bytes_per_file = 20.0 * 1024;
/// No image is larger; keeps hostile manifests from overflowing the sums.
constexpr std::uint64_t most_bytes = 1ULL << 50U;

} // namespace

Forecast forecast(const Recipe& recipe, const std::vector<ImageSize>& images, std::uint64_t context_bytes) {
    const bool copies = recipe.driver == "vfs";
    double bytes = 0;
    double largest = 0;
    for (const ImageSize& image : images) {
        const auto compressed = static_cast<double>(std::min(image.compressed, most_bytes));
        // Layer k of n is a copy of k layers; two more copies are the working container and the result.
        const double times = copies
                                 ? std::max(recipe.disk_factor, static_cast<double>(image.layers + 1) / 2 + 2)
                                 : recipe.disk_factor;
        bytes += compressed * unpacked_per_compressed * times;
        largest = std::max(largest, compressed);
    }
    const double context = static_cast<double>(std::min(context_bytes, most_bytes)) * (copies ? 2 : 1);
    return {.bytes = static_cast<std::uint64_t>(bytes + largest + context),
            .inodes = static_cast<std::uint64_t>(bytes / bytes_per_file),
            .least = static_cast<std::uint64_t>(largest)};
}

Result<std::vector<Advice>> compare(const Forecast& forecast, const FileSystem& volume,
                                    const Recipe& recipe) {
    std::vector<Advice> advice;
    if (!volume.exists) {
        return advice;
    }
    const bool compresses = volume.type == "btrfs" || volume.type == "zfs";
    if (!compresses && forecast.least > volume.free_bytes) {
        return fail(ErrorClass::resource, code::out_of_disk,
                    std::format("the base image alone takes {} and the build's volume has {} free",
                                humane_bytes(forecast.least), humane_bytes(volume.free_bytes)),
                    std::format("give the volume at {} about {}", volume.path.native(),
                                humane_bytes(forecast.bytes)));
    }
    const std::string less_with =
        recipe.driver == "vfs" ? "; native overlay (`slipway doctor`) needs far less" : "";
    if (forecast.bytes > volume.free_bytes) {
        advice.push_back(
            {"littlespace",
             std::format("the base images will take about {} with {}, and {} are free on the "
                         "build's volume",
                         humane_bytes(forecast.bytes), recipe.storage, humane_bytes(volume.free_bytes)),
             "give the build's volume more space" + less_with});
    }
    if (volume.total_inodes != 0 && forecast.inodes > volume.free_inodes) {
        advice.push_back({"fewinodes",
                          std::format("the base images will take about {} files with {}, and {} inodes are "
                                      "free on the build's volume",
                                      forecast.inodes, recipe.storage, volume.free_inodes),
                          "give the build's volume more inodes" + less_with});
    }
    return advice;
}

} // namespace slipway::pod
