#include "lint/script.hpp"

#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>

namespace slipway::lint {

namespace {

bool is_shell(std::string_view program) {
    static constexpr std::array<std::string_view, 6> shells{"sh", "bash", "dash", "ash", "ksh", "zsh"};
    return std::ranges::contains(shells, program.substr(program.rfind('/') + 1));
}

/// The lines of an instruction joined as the parser joins them.
Script joined(const dockerfile::Dockerfile& file, const dockerfile::Instruction& instruction) {
    Script script;
    const int end =
        instruction.heredocs.empty() ? instruction.end_line : instruction.heredocs.front().line - 1;
    for (int line = instruction.line; line <= end; ++line) {
        std::string_view piece = file.line_text(line);
        if (line != instruction.line && piece.substr(dockerfile::leading_space(piece)).starts_with('#')) {
            continue;
        }
        const std::size_t last = piece.find_last_not_of(" \t");
        if (last != std::string_view::npos && piece[last] == file.escape) {
            piece = piece.substr(0, last);
        }
        script.add(piece, line, 1);
    }
    return script;
}

/// The shell that reads a body, or whether it has another interpreter.
bool body_is_shell(const dockerfile::Heredoc& heredoc, std::string_view command) {
    if (command.empty()) {
        const std::string_view first =
            std::string_view(heredoc.content).substr(0, heredoc.content.find('\n'));
        if (!first.starts_with("#!")) {
            return true;
        }
        std::string_view program = dockerfile::trim(first.substr(2));
        if (program.starts_with("/usr/bin/env ")) {
            program = dockerfile::trim(program.substr(13));
        }
        return is_shell(program.substr(0, program.find_first_of(" \t")));
    }
    return is_shell(command.substr(0, command.find_first_of(" \t")));
}

Script body_of(const dockerfile::Dockerfile& file, const dockerfile::Heredoc& heredoc) {
    Script script;
    for (int line = heredoc.line; line < heredoc.end_line; ++line) {
        std::string_view text = file.line_text(line);
        const std::size_t tabs = heredoc.strip_tabs ? std::min(text.find_first_not_of('\t'), text.size()) : 0;
        script.add(text.substr(tabs), line, static_cast<int>(tabs) + 1);
        script.text += '\n';
    }
    return script;
}

} // namespace

void Script::add(std::string_view piece, int line, int column) {
    pieces_.push_back({.offset = text.size(), .place = {.line = line, .column = column}});
    text += piece;
}

Place Script::place(std::size_t offset) const {
    offset += skipped_;
    const auto after = std::ranges::upper_bound(pieces_, offset, {}, &Piece::offset);
    if (after == pieces_.begin()) {
        return {};
    }
    const Piece& piece = *std::prev(after);
    return {.line = piece.place.line, .column = piece.place.column + static_cast<int>(offset - piece.offset)};
}

std::vector<Script> shell_scripts(const dockerfile::Dockerfile& file, const dockerfile::Instruction& outer,
                                  const dockerfile::Instruction& run) {
    std::vector<Script> scripts;
    if (run.json) {
        // ["sh", "-c", "script"]: places inside a JSON string are not followed; the instruction is one.
        if (run.arguments.size() >= 3 && is_shell(run.arguments[0]) && run.arguments[1].starts_with('-') &&
            run.arguments[1].ends_with('c')) {
            Script script;
            script.add(run.arguments[2], 0, 0);
            scripts.push_back(std::move(script));
        }
        return scripts;
    }
    if (run.heredocs.size() == 1) {
        const std::string_view rest = run.rest;
        const std::size_t mark = rest.find("<<");
        const std::string_view before = dockerfile::trim(rest.substr(0, mark));
        if (body_is_shell(run.heredocs.front(), before)) {
            if (&outer == &run) {
                scripts.push_back(body_of(file, run.heredocs.front()));
            }
            return scripts;
        }
    }
    Script line = joined(file, outer);
    const std::size_t end = dockerfile::trim_right(line.text).size();
    line.begin_at(end - std::min(end, run.rest.size()));
    scripts.push_back(std::move(line));
    return scripts;
}

} // namespace slipway::lint
