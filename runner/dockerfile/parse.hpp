// Dockerfile text → instructions. Pure: no I/O, nothing is expanded and no file is looked at.
//
// Input is hostile: it is bounded (Limits) and read in time linear in its size. Rules follow the Dockerfile
// reference; where builders differ, what `buildah build` accepts decides, because it builds in the end.
//
// Errors: class build, code `dockerfileissue`, always with a place (file, line, column in bytes, the line
// itself) and, where something can be advised, a hint. More instructions than Limits allow is such an error.
#pragma once

#include "base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {

/// What one file may ask of us. Far past anything written by people; a breach is an error, never a cut.
struct Limits {
    static constexpr std::size_t content_bytes = std::size_t{16} << 20U;
    static constexpr std::size_t instructions = 100'000;
    static constexpr std::size_t line_bytes = std::size_t{2}
                                              << 20U; ///< one physical line; buildah's own limit
    static constexpr std::size_t instruction_bytes = std::size_t{4} << 20U; ///< one logical line, joined
    static constexpr std::size_t heredocs_per_instruction = 100;
    static constexpr std::size_t words = 500'000; ///< arguments and flags of the whole file
};

/// `--name=value`; a bare `--name` has an empty value and `has_value` false. A name may come twice.
struct Flag {
    std::string name;  ///< without the dashes
    std::string value; ///< variables kept; quotes and escapes are gone, as builders remove them here already
    bool has_value = false;
};

/// A here-document. `content` has its line ends (LF) and no terminator line; tabs are already stripped.
struct Heredoc {
    std::string name;        ///< delimiter without quotes
    std::string content;     ///<
    bool expand = true;      ///< false when the delimiter was quoted
    bool strip_tabs = false; ///< `<<-`
    int descriptor = -1;     ///< the digit before `<<`, -1 = none
    int line = 0;            ///< first line of the content
    int end_line = 0;        ///< line of the terminator
};

/// One `NAME=value` of ENV, LABEL or ARG, as written: quotes, escapes and variables are still in it.
struct Assignment {
    std::string name;
    std::string value;
    bool has_value = true; ///< false for `ARG NAME`
};

/// One instruction.
struct Instruction {
    std::string keyword; ///< upper case: "RUN"
    std::string
        text; ///< as written, continuations joined, comments inside dropped; heredoc bodies are not in it
    std::string
        raw; ///< all its lines exactly as they stand in the file (heredocs too), without the last line end
    int line = 0;     ///< 1-based
    int end_line = 0; ///< last line, heredocs included
    int column = 1;   ///< of the keyword, 1-based, bytes

    std::vector<Flag> flags;
    std::string rest; ///< text after keyword and flags, trimmed, as written
    /// `json`: the decoded strings. Otherwise RUN, CMD, ENTRYPOINT, SHELL-form HEALTHCHECK CMD: one element,
    /// the command line. COPY, ADD, VOLUME, EXPOSE, FROM, USER, …: the words as written (quotes, variables
    /// kept). ENV, LABEL, ARG: one `NAME=value` each; see `assignments`.
    std::vector<std::string> arguments;
    bool json = false;
    std::vector<Assignment> assignments;
    std::vector<Heredoc> heredocs;
    std::vector<Instruction> nested; ///< ONBUILD: its trigger; HEALTHCHECK: its CMD. Otherwise empty

    /// Value of the last flag of that name; nullptr when it is not there.
    [[nodiscard]] const Flag* flag(std::string_view name) const noexcept;
};

/// `# name=value` at the top of the file.
struct Directive {
    std::string name; ///< lower case: "syntax", "escape", "check"
    std::string value;
    int line = 0;
};

/// Something accepted that its author hardly meant, or that other builders read differently.
struct Note {
    std::string code; ///< lower case, see plan.hpp
    std::string message;
    int line = 0;
    std::string hint;
};

struct Dockerfile {
    std::string file;
    char escape = '\\';
    std::vector<Directive> directives;
    std::vector<Instruction> instructions; ///< never empty; the first is FROM or ARG, at least one is FROM
    std::vector<Note> notes;

    std::string content;                  ///< the text read
    std::vector<std::size_t> line_starts; ///< offset of each physical line in `content`

    /// Physical line (1-based) without its end; empty when there is none such.
    [[nodiscard]] std::string_view line_text(int line) const noexcept;
    /// A place in this file, with the line quoted (cut to 400 bytes).
    [[nodiscard]] Where where(int line, int column = 0) const;
    /// Where `fragment` stands within the lines of `instruction`; its keyword when it cannot be found.
    [[nodiscard]] Where where(const Instruction& instruction, std::string_view fragment) const;
};

/// `file_name` is only said in errors and in Dockerfile::file.
Result<Dockerfile> parse(std::string_view content, std::string file_name);

} // namespace slipway::dockerfile
