#include "dockerfile/parse.hpp"

#include "dockerfile/instruction.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <format>
#include <optional>
#include <utility>

namespace slipway::dockerfile {
namespace {

constexpr std::size_t quoted_bytes = 400;

bool is_comment(std::string_view line) {
    return line.substr(leading_space(line)).starts_with('#');
}

// `# name = value` → (name, value).
std::optional<std::pair<std::string, std::string_view>> as_directive(std::string_view line) {
    line.remove_prefix(leading_space(line));
    if (!line.starts_with('#')) {
        return std::nullopt;
    }
    line.remove_prefix(1);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) {
        return std::nullopt;
    }
    std::string name = to_lower(trim(line.substr(0, equals)));
    std::string_view value = line.substr(equals + 1);
    value = trim(value).empty() && name == "escape" ? value.substr(0, 1) : trim(value);
    if (value.empty() || (name != "syntax" && name != "escape" && name != "check")) {
        return std::nullopt;
    }
    return std::pair{std::move(name), value};
}

// `<< NAME`: a here-document to shells and to BuildKit, none to buildah.
bool has_spaced_heredoc(std::string_view command) {
    for (std::size_t at = command.find("<<"); at != std::string_view::npos; at = command.find("<<", at + 2)) {
        const std::size_t name = command.find_first_not_of(" \t", at + 2);
        if (name != std::string_view::npos && name > at + 2) {
            const char c = command[name];
            if (c == '"' || c == '\'' || c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) {
                return true;
            }
        }
    }
    return false;
}

class Parser {
  public:
    Parser(std::string_view content, std::string file_name) {
        if (content.starts_with("\xEF\xBB\xBF")) {
            content.remove_prefix(3);
        }
        out_.file = std::move(file_name);
        out_.content = content;
    }

    Result<Dockerfile> run() {
        TRY(check_content());
        TRY(read_directives());
        int line = 1;
        while (line <= line_count()) {
            TRY_ASSIGN(line, read_logical_line(line));
        }
        TRY(check_whole());
        return std::move(out_);
    }

  private:
    [[nodiscard]] int line_count() const { return static_cast<int>(out_.line_starts.size()); }
    [[nodiscard]] std::string_view line_text(int line) const { return out_.line_text(line); }

    [[nodiscard]] std::unexpected<Error> fail_at(Where where, std::string message,
                                                 std::string hint = {}) const {
        Error error =
            make_error(ErrorClass::build, code::dockerfile_issue, std::move(message), std::move(hint));
        error.where = std::move(where);
        return fail(std::move(error));
    }

    Status check_content() {
        const std::string& content = out_.content;
        if (content.size() > Limits::content_bytes) {
            return fail_at({out_.file, 0, 0, {}},
                           std::format("the file is larger than {} MiB", Limits::content_bytes >> 20U),
                           "put what is embedded into files of its own and COPY them");
        }
        for (std::size_t at = 0; at < content.size();) {
            out_.line_starts.push_back(at);
            const std::size_t end = content.find('\n', at);
            const std::size_t length = (end == std::string::npos ? content.size() : end) - at;
            if (length > Limits::line_bytes) {
                return fail_at(out_.where(line_count(), 1),
                               std::format("the line is longer than {} MiB", Limits::line_bytes >> 20U),
                               "put what is embedded into a file of its own and COPY it");
            }
            at += length + 1;
        }
        if (const std::size_t nul = content.find('\0'); nul != std::string::npos) {
            const auto after = std::ranges::upper_bound(out_.line_starts, nul);
            const int line = static_cast<int>(after - out_.line_starts.begin());
            const bool utf16 = content.starts_with("\xFF\xFE") || content.starts_with("\xFE\xFF");
            return fail_at(out_.where(line, static_cast<int>(nul - *std::prev(after)) + 1),
                           "the file holds a NUL byte: it is no text",
                           utf16 ? "it looks like UTF-16: save it as UTF-8" : "save it as UTF-8 text");
        }
        return {};
    }

    // The reference allows several directives in any order; buildah heeds `escape` only while nothing but
    // escape directives came before it. Since it builds, its reading decides how lines are joined.
    Status read_directives() {
        bool escape_heeded = true;
        for (int line = 1; line <= line_count(); ++line) {
            if (line == 1 && line_text(line).starts_with("#!")) {
                escape_heeded = false;
                continue;
            }
            const auto directive = as_directive(line_text(line));
            if (!directive) {
                return {};
            }
            const auto& [name, value] = *directive;
            const bool again = std::ranges::contains(out_.directives, name, &Directive::name);
            out_.directives.push_back({name, std::string(value), line});
            if (name == "escape" && escape_heeded) {
                TRY(set_escape(value, line, again));
                continue;
            }
            escape_heeded = false;
            if (again) {
                out_.notes.push_back(
                    {"directivetwice",
                     std::format("the directive {} is there twice: BuildKit refuses the file", name), line,
                     "leave one of them out"});
            } else if (name == "escape" && value != "\\") {
                out_.notes.push_back({"escapeignored",
                                      "buildah heeds the escape directive on the first line only", line,
                                      "move it to the first line"});
            }
        }
        return {};
    }

    // Only the first character counts, to buildah.
    Status set_escape(std::string_view value, int line, bool again) {
        if (again) {
            return fail_at(out_.where(line, 1), "the directive \"escape\" is there twice",
                           "leave one of them out");
        }
        if (!value.starts_with('\\') && !value.starts_with('`')) {
            return fail_at(out_.where(line, 1),
                           std::format("the escape character \"{}\" is not known", shown(value)),
                           "it is \\ or `");
        }
        out_.escape = value.front();
        if (value.size() > 1) {
            out_.notes.push_back({"escapevalue",
                                  "more than one character follows escape=: BuildKit refuses the file", line,
                                  std::format("end the line behind {}", value.front())});
        }
        return {};
    }

    // Takes a continuation mark and the blanks behind it off the end. A doubled one continues, too (buildah).
    bool strip_continuation(std::string_view& line) const {
        std::size_t end = line.size();
        while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t')) {
            --end;
        }
        if (end == 0 || line[end - 1] != out_.escape) {
            return false;
        }
        line = line.substr(0, end - 1);
        return true;
    }

    // Reads the instruction that begins on `first`, if any; returns the line after it.
    Result<int> read_logical_line(int first) {
        std::string_view piece = line_text(first);
        const std::size_t indent = leading_space(piece);
        piece.remove_prefix(indent);
        if (piece.empty() || piece.starts_with('#')) {
            return first + 1;
        }
        bool more = strip_continuation(piece);
        std::string joined(piece);
        int last = first;
        while (more && last < line_count()) {
            ++last;
            piece = line_text(last);
            if (is_comment(piece)) {
                continue;
            }
            if (trim(piece).empty()) {
                note_empty_continuation(first, last);
                continue;
            }
            more = strip_continuation(piece);
            joined += piece;
            if (joined.size() > Limits::instruction_bytes) {
                return fail_at(out_.where(first, 1), std::format("the instruction is longer than {} MiB",
                                                                 Limits::instruction_bytes >> 20U));
            }
        }
        if (trim(joined).empty()) {
            return last + 1;
        }
        TRY_ASSIGN(Instruction instruction, read(joined, first, last, indent));
        TRY(read_heredocs(instruction, last));
        if (instruction.keyword == "RUN" && instruction.heredocs.empty() &&
            has_spaced_heredoc(instruction.rest)) {
            spaced_heredoc_ = first;
        }
        instruction.end_line = last;
        instruction.raw = raw_lines(first, last);
        out_.instructions.push_back(std::move(instruction));
        if (out_.instructions.size() > Limits::instructions) {
            return fail_at(out_.where(first, 1),
                           std::format("more than {} instructions", Limits::instructions));
        }
        return last + 1;
    }

    void note_empty_continuation(int first, int line) {
        if (last_empty_noted_ != first) {
            last_empty_noted_ = first;
            out_.notes.push_back({"emptycontinuation", "an empty line stands inside a continued instruction",
                                  line, "remove it, or put a # on it: builders mean to refuse it one day"});
        }
    }

    Result<Instruction> read(std::string_view joined, int first, int last, std::size_t indent) {
        const std::size_t notes = out_.notes.size();
        auto instruction = read_instruction(joined, out_.escape, false, out_.notes);
        for (std::size_t i = notes; i < out_.notes.size(); ++i) {
            out_.notes[i].line = first;
        }
        Instruction place;
        place.line = first;
        place.end_line = last;
        place.column = static_cast<int>(indent) + 1;
        if (!instruction) {
            Fault& fault = instruction.error();
            if (spaced_heredoc_ != 0 && fault.message.starts_with("unknown instruction")) {
                fault.hint =
                    std::format("buildah sees no here-document on line {}: take the blank behind << out",
                                spaced_heredoc_);
            }
            return fail_at(out_.where(place, fault.fragment), std::move(fault.message),
                           std::move(fault.hint));
        }
        words_ += instruction->arguments.size() + instruction->flags.size();
        if (words_ > Limits::words) {
            return fail_at(out_.where(first, 1),
                           std::format("more than {} words in the whole file", Limits::words));
        }
        instruction->line = first;
        instruction->end_line = last;
        instruction->column = place.column;
        for (Instruction& nested : instruction->nested) {
            const Where where = out_.where(place, nested.text.substr(0, nested.text.find(' ')));
            nested.line = where.line;
            nested.column = where.column;
            nested.end_line = last;
        }
        if (out_.instructions.empty() && instruction->keyword != "FROM" && instruction->keyword != "ARG") {
            return fail_at(
                out_.where(place, {}),
                std::format("the first instruction is {}, but must be FROM or ARG", instruction->keyword),
                "begin with FROM image");
        }
        if (!has_from_ && instruction->keyword != "FROM" && instruction->keyword != "ARG") {
            return fail_at(out_.where(place, {}),
                           std::format("{} stands before the first FROM", instruction->keyword),
                           "only ARG may stand there");
        }
        has_from_ = has_from_ || instruction->keyword == "FROM";
        return *std::move(instruction);
    }

    // Reads the bodies; moves `last` to the line of the last terminator.
    Status read_heredocs(Instruction& instruction, int& last) {
        const int end_of_command = last;
        for (Heredoc& heredoc : instruction.heredocs) {
            heredoc.line = last + 1;
            bool closed = false;
            while (last < line_count()) {
                ++last;
                std::string_view line = line_text(last);
                if (heredoc.strip_tabs) {
                    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
                }
                if (line == heredoc.name) {
                    closed = true;
                    break;
                }
                heredoc.content += line;
                heredoc.content += '\n';
            }
            if (!closed) {
                instruction.end_line = end_of_command;
                return fail_at(out_.where(instruction, "<<"),
                               std::format("the here-document \"{}\" is not closed", shown(heredoc.name)),
                               std::format("put {} alone on a line behind its text", shown(heredoc.name)));
            }
            heredoc.end_line = last;
        }
        if (instruction.keyword == "ONBUILD") {
            if (!instruction.heredocs.empty()) {
                out_.notes.push_back({"onbuildheredoc",
                                      "buildah loses the text of a here-document in ONBUILD",
                                      instruction.line, "put the text into a file and COPY it"});
            }
            for (Instruction& nested : instruction.nested) {
                nested.heredocs = instruction.heredocs;
                nested.end_line = last;
            }
        }
        return {};
    }

    [[nodiscard]] std::string raw_lines(int first, int last) const {
        const std::size_t from = out_.line_starts[static_cast<std::size_t>(first - 1)];
        const std::string_view end = line_text(last);
        const auto to = static_cast<std::size_t>(end.data() + end.size() - out_.content.data());
        return out_.content.substr(from, to - from);
    }

    Status check_whole() {
        if (out_.instructions.empty()) {
            return fail_at({out_.file, 0, 0, {}}, "the file holds no instruction", "begin with FROM image");
        }
        if (!has_from_) {
            return fail_at({out_.file, 0, 0, {}}, "the file has no FROM, so there is nothing to build",
                           "add FROM image");
        }
        return {};
    }

    Dockerfile out_;
    std::size_t words_ = 0;
    int last_empty_noted_ = 0;
    int spaced_heredoc_ = 0; ///< line of a RUN with `<< NAME`
    bool has_from_ = false;
};

} // namespace

const Flag* Instruction::flag(std::string_view name) const noexcept {
    const Flag* found = nullptr;
    for (const Flag& candidate : flags) {
        if (candidate.name == name) {
            found = &candidate;
        }
    }
    return found;
}

std::string_view Dockerfile::line_text(int line) const noexcept {
    if (line < 1 || static_cast<std::size_t>(line) > line_starts.size()) {
        return {};
    }
    const std::size_t from = line_starts[static_cast<std::size_t>(line - 1)];
    std::string_view text = std::string_view(content).substr(from);
    text = text.substr(0, text.find('\n'));
    if (text.ends_with('\r')) {
        text.remove_suffix(1);
    }
    return text;
}

Where Dockerfile::where(int line, int column) const {
    return {file, line, column, std::string(line_text(line).substr(0, quoted_bytes))};
}

Where Dockerfile::where(const Instruction& instruction, std::string_view fragment) const {
    if (!fragment.empty()) {
        for (int line = instruction.line; line <= instruction.end_line; ++line) {
            const std::string_view text = line_text(line);
            // Whatever is pointed at stands behind the keyword.
            const std::size_t indent =
                line == instruction.line ? static_cast<std::size_t>(instruction.column - 1) : 0;
            const std::size_t from = line == instruction.line ? text.find_first_of(" \t\v\f\r", indent) : 0;
            if (const std::size_t at = text.find(fragment, from); at != std::string_view::npos) {
                return where(line, static_cast<int>(at) + 1);
            }
        }
    }
    return where(instruction.line, instruction.column);
}

Result<Dockerfile> parse(std::string_view content, std::string file_name) {
    return Parser(content.substr(0, Limits::content_bytes + 4), std::move(file_name)).run();
}

} // namespace slipway::dockerfile
