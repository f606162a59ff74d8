// A file of NAME=VALUE lines, as --build-args-file, --labels-file and --annotations-file take it.
#pragma once

#include "base/result.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace slipway::cli {

/// A value is all that follows the first '=', quotes and blanks included; the later of two lines wins. Empty
/// lines and lines that begin with # are passed over; CR LF ends a line as LF does. `name` is the file's, for
/// errors: class usage, with file and line.
Result<std::map<std::string, std::string>> parse_pairs(std::string_view text, std::string_view name);

/// The same of a file of at most 1 MiB.
Result<std::map<std::string, std::string>> read_pair_file(const std::filesystem::path& path);

/// The pairs of `path` (empty = none), and over them those of `more`.
Result<std::map<std::string, std::string>> pairs_over_file(const std::filesystem::path& path,
                                                           const std::map<std::string, std::string>& more);

} // namespace slipway::cli
