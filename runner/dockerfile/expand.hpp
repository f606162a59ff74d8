// Variables in a word, as BuildKit's shell lexer expands them:
//   $x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w} ${x:?w} ${x?w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}
// Words inside braces are expanded themselves. Patterns know * ? and \-escapes. Single quotes keep
// everything, double quotes keep all but `$` and the escape character; both are removed. The escape
// character (backslash, or what the `escape` directive says) takes the meaning from what follows.
//
// Errors: class build, code `dockerfileissue`; `message` says what is wrong, the caller adds the place.
// Nesting and the size of the result are bounded.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

/// Value of a variable; nothing when it is not set.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

struct ExpandOptions {
    char escape = '\\';
    bool keep_quotes = false; ///< quotes are ordinary text (heredoc bodies)
};

struct Expansion {
    std::string text;
    std::vector<std::string> unset; ///< names used though not set and without a default; each once, in order
    /// A substitution buildah's own lexer (1.39) refuses, such as "${x-"; empty when there is none.
    std::string beyond_buildah;
};

struct WordsExpansion {
    std::vector<std::string> words;
    std::vector<std::string> unset;
};

/// The whole text as one word: blanks stay.
Result<Expansion> expand(std::string_view text, const Lookup& lookup, const ExpandOptions& options = {});

/// Split at blanks outside quotes, also at those that come out of an unquoted variable.
Result<WordsExpansion> expand_words(std::string_view text, const Lookup& lookup,
                                    const ExpandOptions& options = {});

} // namespace slipway::dockerfile
