// BuildKit's shell-like lexer, as of its release 0.19, which buildah 1.39 finds here-documents and fills in
// their bodies with. Patterns know * ? and \-escapes. Internal to the room.
#pragma once

#include "base/result.hpp"
#include "dockerfile/expand.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

struct LexOptions {
    char escape = '\\';
    bool raw_quotes = false;  ///< quotes work but stay in the text
    bool raw_escapes = false; ///< escapes work but stay in the text
    bool keep_unset = false;  ///< an unset variable stays as it is written
    bool split = false;       ///< fill Lexed::words
};

struct Lexed {
    std::string text;               ///< everything as one word
    std::vector<std::string> words; ///< split at unquoted blanks; empty words are dropped
    std::vector<std::string> unset;
};

Result<Lexed> lex(std::string_view source, const Lookup& lookup, const LexOptions& options);

} // namespace slipway::dockerfile
