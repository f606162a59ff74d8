#include "dockerfile/expand.hpp"

#include "dockerfile/lexer.hpp"

namespace slipway::dockerfile {
namespace {

LexOptions lex_options(const ExpandOptions& options) {
    LexOptions out{.escape = options.escape};
    out.raw_quotes = options.keep_quotes;
    out.raw_escapes = options.keep_quotes;
    out.plain_quotes = options.keep_quotes;
    return out;
}

// Most words have nothing in them to expand.
bool is_plain(std::string_view text, const ExpandOptions& options) {
    return text.find_first_of("$'\"") == std::string_view::npos && !text.contains(options.escape);
}

} // namespace

Result<Expansion> expand(std::string_view text, const Lookup& lookup, const ExpandOptions& options) {
    if (is_plain(text, options)) {
        return Expansion{std::string(text), {}, {}};
    }
    TRY_ASSIGN(Lexed lexed, lex(text, lookup, lex_options(options)));
    return Expansion{std::move(lexed.text), std::move(lexed.unset), std::move(lexed.beyond_buildah)};
}

Result<WordsExpansion> expand_words(std::string_view text, const Lookup& lookup,
                                    const ExpandOptions& options) {
    LexOptions splitting = lex_options(options);
    splitting.split = true;
    TRY_ASSIGN(Lexed lexed, lex(text, lookup, splitting));
    return WordsExpansion{std::move(lexed.words), std::move(lexed.unset)};
}

} // namespace slipway::dockerfile
