// Texts in git's configuration format (git-config(1)), from memory: no file is looked for and no include
// followed.
#pragma once

#include "base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::source {

struct ConfigEntry {
    std::string section;    ///< lower case
    std::string subsection; ///< as written; may be empty
    std::string name;       ///< lower case
    std::string value;      ///< empty as well where there is none
};

/// In the order of the text. A malformed one is an error of class build, `cause` says why.
Result<std::vector<ConfigEntry>> parse_config(std::string_view text);

} // namespace slipway::source
