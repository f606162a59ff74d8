// Names of archive entries: from what an archive says to components that cannot leave a directory.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::archive {

/// Components of a path below the target: none is empty, ".", ".." or longer than 255 bytes, none holds '/'
/// or NUL. No components = the target itself.
struct Name {
    std::vector<std::string> parts;
    bool was_absolute = false; ///< a leading slash was taken off, as tar does

    [[nodiscard]] std::string text() const; ///< joined by '/'
};

enum class Separators {
    slash,
    slash_and_backslash, ///< zips of old Windows programs; elsewhere a backslash is a letter like any other
};

/// `strip`: that many leading components are dropped; what has no more than these becomes the target itself.
/// Error: build/cannotextractbuildpack for `..`, for names longer than the file system takes (255 bytes a
/// component, 4,000 in all) and for more than 200 levels.
Result<Name> parse_name(std::string_view raw, Separators separators, int strip);

/// What somebody else called a file, fit for one line of a message: valid UTF-8, control characters as '?',
/// cut to `most` bytes.
std::string printable_name(std::string_view raw, std::size_t most = 200);

/// An Error of class build, code cannotextractbuildpack.
Error bad_archive(std::string message, std::string hint = {});

} // namespace slipway::archive
