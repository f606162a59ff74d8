// The exec form's JSON array of strings (RFC 8259), at the beginning of a text. Internal to the room.
// Not a general reader: other values are only told from nonsense, because that decides between an error and
// the shell form.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

struct JsonArray {
    enum class Kind {
        none,        ///< no array, or no JSON: the shell form
        not_strings, ///< an array, with something else than strings in it
        strings,
    } kind = Kind::none;
    std::vector<std::string> strings;
    std::size_t length = 0; ///< bytes read; what follows the array is the caller's concern
};

/// Leading blanks are skipped. Lone surrogates become U+FFFD.
JsonArray read_json_array(std::string_view text);

} // namespace slipway::dockerfile
