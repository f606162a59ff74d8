// Go's filepath.Match: the patterns of COPY and ADD, and what makes a pattern well-formed.
// `*` and `?` stop at `/`; `[a-z]`, `[^a]`; `\` takes what follows literally.
#pragma once

#include <string_view>

namespace slipway::context {

enum class GlobMatch { no, yes, malformed };

/// Whether all of `name` matches. Like Go, this finds a pattern malformed only where it comes to read it: the
/// answer for another name may be `no`, but never `yes`.
GlobMatch glob_match(std::string_view pattern, std::string_view name);

/// Whether Go's filepath.Glob would read directories for it.
bool is_glob(std::string_view path) noexcept;

} // namespace slipway::context
