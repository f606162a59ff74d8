// A word with its variables filled in, exactly as buildah 1.39 does it (imagebuilder's own lexer, which is
// not BuildKit's). Internal to the room; expand.hpp is the way in.
//
// Where it departs from BuildKit: the escape character is always the backslash; only `:-`, `:+`, `:?` are
// known, not
// `-`, `+`, `?`; an unset variable and an empty one are the same; `#`, `%` and `/` go by path_pattern.hpp,
// leave the value alone where a pattern would take (nearly) all of it, and refuse an empty pattern; `$12` is
// `$1` and a 2; `$@` and its like are text; `${}` is empty. One rule is BuildKit's: `${x:?message}` without a
// value is an error. buildah takes the message for the value.
#pragma once

#include "base/result.hpp"
#include "dockerfile/expand.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

struct Word {
    std::string text;
    std::vector<std::string> words; ///< split at unquoted blanks; empty words are dropped
    std::vector<std::string> unset;
    bool disputed = false; ///< holds something BuildKit may read otherwise
};

Result<Word> expand_word(std::string_view source, const Lookup& lookup);

} // namespace slipway::dockerfile
