// Tekton results: small files the entrypoint reads after the step, all of them within one byte budget.
//
// The entrypoint puts every result into one termination message of at most 4,096 bytes, and the kubelet may
// cut that to a fair share of 12 KiB over all containers; past the limit the whole batch is lost. So results
// are counted as they will be encoded and the least important are cut first.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::handoff {

struct NamedResult {
    std::string name; ///< IMAGE_DIGEST, commit, error-message, …
    std::string value;
};

/// Where each result goes: `--result NAME=PATH`.
using ResultPaths = std::vector<std::pair<std::string, std::filesystem::path>>;

inline constexpr std::size_t default_result_budget = 1800;

/// Bytes the entrypoint's JSON needs for one result: keys, quotes, commas and escaping included.
std::size_t encoded_size(const NamedResult& result);

/// Cuts values until all of them fit into `budget` bytes: first error-message (shortened, at the end of a
/// code point), then BASE_IMAGES_DIGESTS and IMAGES (entries dropped from the end: half an entry would be a
/// lie). What does not fit even then is dropped, last first. Returns the names that were cut.
std::vector<std::string> fit_budget(std::vector<NamedResult>& results, std::size_t budget);

/// Writes each result for which a path was given: no newline at the end, temporary file and rename.
/// Results nobody asked for are not written.
Status write_results(const ResultPaths& paths, const std::vector<NamedResult>& results);

} // namespace slipway::handoff
