// The whole log of a step, redacted, zstd-compressed, in a directory somebody bound for it.
//
// The file holds the frames as they would have been without a budget: numbered without gaps, nothing
// dropped, ending in `end`. Memory is bounded; what was written is readable up to the last mebibyte even if
// the pod is killed. Failing to write is never fatal: the archive stops and says why.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace slipway::frames {

/// "<build-id>-<attempt>-<step>.frames.zst", every part reduced to [A-Za-z0-9._-] and a length that fits.
std::string archive_name(std::string_view build_id, int attempt, std::string_view step);

/// Not thread-safe; Stream owns the calls.
class Archive {
  public:
    /// Creates the file anew in `directory`, which must exist. An existing file of that name is replaced,
    /// a link is not followed.
    static Result<Archive> create(const std::filesystem::path& directory, std::string_view build_id,
                                  int attempt, std::string_view step);
    Archive(Archive&&) noexcept;
    Archive& operator=(Archive&&) noexcept;
    ~Archive();

    /// One encoded frame with its newline. After the first error nothing more is written.
    void write(std::string_view line);
    /// Finishes the compressed frame and closes the file. Returns the first error, if there was one.
    Status close();

    [[nodiscard]] const std::filesystem::path& path() const noexcept;
    [[nodiscard]] bool failed() const noexcept;

  private:
    struct Impl;
    explicit Archive(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

} // namespace slipway::frames
