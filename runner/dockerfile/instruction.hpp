// One logical line → an Instruction: keyword, flags, arguments in the form its keyword asks for, and what can
// be said against it without knowing any other line. Internal to the room.
#pragma once

#include "base/result.hpp"
#include "dockerfile/parse.hpp"

#include <string>
#include <string_view>

namespace slipway::dockerfile {

/// What is wrong with a line, before it is known where in the file it stands.
struct Fault {
    std::string message;
    std::string hint;
    std::string fragment; ///< what to point at; empty = the keyword
};

/// Fills keyword, text, flags, rest, arguments, assignments, json and nested of the result; here-documents
/// only by name (Heredoc without content). `inside_onbuild`: the line is a trigger.
std::expected<Instruction, Fault> read_instruction(std::string_view line, char escape, bool inside_onbuild,
                                                   std::vector<Note>& notes);

} // namespace slipway::dockerfile
