// Walks the build context as `COPY . /` does: what would be sent, and how much of it there is.
//
// Symbolic links are counted, never followed; sockets are left out (buildah does, too); an excluded directory
// is entered only when an exception can lie beneath it. Bounded by `most_entries`; gives up soon after the
// token fires.
#pragma once

#include "base/result.hpp"
#include "base/stop.hpp"
#include "context/ignore.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace slipway::context {

struct Tally {
    std::uint64_t files = 0;
    std::uint64_t directories = 0;
    std::uint64_t symlinks = 0;
    std::uint64_t others = 0;     ///< pipes and devices
    std::uint64_t excluded = 0;   ///< entries met and left out; what is below them is not counted
    std::uint64_t unreadable = 0; ///< directories
    std::uint64_t bytes = 0;      ///< of the files
    using Sized = std::pair<std::uint64_t, std::string>;
    std::vector<Sized> largest; ///< files, largest first, at most five
    bool complete = true;       ///< false: a limit was met, or `visit` had seen enough
};

struct WalkLimits {
    std::uint64_t entries = 2'000'000;
    std::uint64_t work = 20'000'000'000; ///< steps of pattern matching: about a minute
};

/// Called for each entry sent, parents first, names in byte order; a directory's path ends in '/'. False =
/// enough seen.
using Visit = std::function<bool(std::string_view path)>;

/// `directory` is relative to `context`, "" = all of it. Fails only when stopped.
Result<Tally> walk(int context, const std::string& directory, const IgnoreRules& rules, const StopToken& stop,
                   const Visit& visit = {}, const WalkLimits& limits = {});

/// Names in a directory of the context, in byte order, at most `most`; none when it cannot be read.
std::vector<std::string> names_in(int context, const std::string& directory, std::size_t most);

} // namespace slipway::context
