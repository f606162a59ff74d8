#include "dockerfile/expand.hpp"

#include "dockerfile/lexer.hpp"
#include "dockerfile/text.hpp"
#include "dockerfile/word.hpp"

#include <format>

namespace slipway::dockerfile {
namespace {

LexOptions lex_options(const ExpandOptions& options) {
    return {.escape = options.escape, .raw_quotes = options.keep_quotes, .raw_escapes = options.keep_quotes};
}

// Most words have nothing in them to expand.
bool is_plain(std::string_view text, const ExpandOptions& options) {
    return text.find_first_of("$'\"\\") == std::string_view::npos && !text.contains(options.escape);
}

std::string other_reading(std::string_view text, const Lookup& lookup, const ExpandOptions& options,
                          std::string_view ours) {
    const auto lexed = lex(text, lookup, lex_options(options));
    if (!lexed) {
        return "an error";
    }
    return lexed->text == ours ? std::string() : std::format("\"{}\"", shown(lexed->text));
}

} // namespace

Result<Expansion> expand(std::string_view text, const Lookup& lookup, const ExpandOptions& options) {
    if (is_plain(text, options)) {
        return Expansion{std::string(text), {}, {}};
    }
    if (options.keep_quotes || options.dialect == Dialect::buildkit) {
        TRY_ASSIGN(Lexed lexed, lex(text, lookup, lex_options(options)));
        return Expansion{std::move(lexed.text), std::move(lexed.unset), {}};
    }
    TRY_ASSIGN(Word word, expand_word(text, lookup));
    Expansion out{std::move(word.text), std::move(word.unset), {}};
    if (word.disputed || options.escape != '\\') {
        out.buildkit = other_reading(text, lookup, options, out.text);
    }
    return out;
}

Result<WordsExpansion> expand_words(std::string_view text, const Lookup& lookup,
                                    const ExpandOptions& options) {
    if (options.keep_quotes || options.dialect == Dialect::buildkit) {
        LexOptions splitting = lex_options(options);
        splitting.split = true;
        TRY_ASSIGN(Lexed lexed, lex(text, lookup, splitting));
        return WordsExpansion{std::move(lexed.words), std::move(lexed.unset)};
    }
    TRY_ASSIGN(Word word, expand_word(text, lookup));
    return WordsExpansion{std::move(word.words), std::move(word.unset)};
}

} // namespace slipway::dockerfile
