// `# check=skip=A,B;error=true;experimental=C`: how a file steers its checks. Internal to the room.
#pragma once

#include "dockerfile/parse.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::lint {

struct Rule;

struct Config {
    bool skip_all = false;
    bool experimental_all = false;
    bool error = false;
    std::set<std::string, std::less<>> skip;
    std::set<std::string, std::less<>> experimental;
    std::vector<std::string> mistakes; ///< what was not understood, each a sentence

    [[nodiscard]] bool silences(const Rule& rule) const;
};

/// The value of the directive; options after a mistake are still heeded.
Config read_check(std::string_view value);

/// What the comment right above `instruction` says. The top directives are no such comment.
Config comment_above(const dockerfile::Dockerfile& file, const dockerfile::Instruction& instruction);

} // namespace slipway::lint
