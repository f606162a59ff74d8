// Variables in a word:
//   $x ${x} ${x:-w} ${x:+w} ${x:?w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}
// Words inside braces are expanded themselves. Single quotes keep everything, double quotes keep all but `$`
// and the escape character; both are removed.
//
// Two programs read such words, and not alike: buildah, which builds (word.hpp says where it departs), and
// BuildKit (lexer.hpp), whose lexer buildah uses for here-documents alone. The result is what buildah makes
// of the word; where BuildKit would make something else of it, that is said in Expansion::buildkit.
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

enum class Dialect { buildah, buildkit };

struct ExpandOptions {
    char escape = '\\'; ///< BuildKit's escape character; buildah's is always the backslash
    bool keep_quotes =
        false; ///< quotes and escapes work but stay (bodies of here-documents); BuildKit's reading
    Dialect dialect = Dialect::buildah;
};

struct Expansion {
    std::string text;
    std::vector<std::string> unset; ///< names used though not set and without a default; each once, in order
    /// What BuildKit makes of it, if that is something else: the text in quotes, or "an error". Otherwise
    /// empty.
    std::string buildkit;
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
