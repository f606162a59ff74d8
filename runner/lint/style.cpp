// Rules about how a file is written: case, order, repetition, deprecated forms.
#include "dockerfile/text.hpp"
#include "lint/pass.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <map>
#include <ranges>
#include <unordered_map>

namespace slipway::lint {

namespace {

using dockerfile::Instruction;
using dockerfile::shown;
using dockerfile::to_lower;
using dockerfile::to_upper;

/// The keyword as it stands in the file.
std::string_view written_keyword(const Instruction& instruction) {
    return std::string_view(instruction.text).substr(0, instruction.keyword.size());
}

void check_keyword_case(Pass& pass) {
    std::size_t lower = 0;
    std::size_t upper = 0;
    const auto each = [&](const auto& visit) {
        for (const StageView& stage : pass.stages) {
            visit(*stage.from);
            for (const Instruction* instruction : stage.body) {
                visit(*instruction);
            }
        }
    };
    each([&](const Instruction& instruction) {
        const std::string_view word = written_keyword(instruction);
        lower += word == to_lower(word) ? 1U : 0U;
        upper += word == instruction.keyword ? 1U : 0U;
    });
    const bool wants_lower = lower > upper;
    each([&](const Instruction& instruction) {
        const std::string_view word = written_keyword(instruction);
        const std::string wanted = wants_lower ? to_lower(word) : instruction.keyword;
        if (word != wanted) {
            pass.find("ConsistentInstructionCasing", instruction, {},
                      std::format("{} is in {} case, unlike most keywords of the file", word,
                                  word == to_lower(word)   ? "lower"
                                  : word == to_upper(word) ? "upper"
                                                           : "mixed"),
                      std::format("write {}", wanted));
        }
    });
}

void check_from(Pass& pass, const StageView& stage) {
    const Instruction& from = *stage.from;
    if (stage.name.empty()) {
        return;
    }
    const std::string_view keyword = written_keyword(from);
    const std::string& as = from.arguments[1];
    const std::string wanted = keyword == to_lower(keyword) ? "as" : "AS";
    if ((keyword == to_lower(keyword) || keyword == from.keyword) && as != wanted) {
        pass.find("FromAsCasing", from, as, std::format("{} has another case than its {}", as, keyword),
                  std::format("write {}", wanted));
    }
    if (!stage.name.contains('$') && stage.name != to_lower(stage.name)) {
        pass.find("StageNameCasing", from, stage.name,
                  std::format("the stage's name {} is not in lower case", shown(stage.name)),
                  std::format("write {}, here and where it is used", shown(to_lower(stage.name))));
    }
    if (const std::string name = to_lower(stage.name); name == "scratch" || name == "context") {
        pass.find("ReservedStageName", from, stage.name,
                  std::format("{} has a meaning of its own and names no stage", shown(stage.name)),
                  "give the stage another name");
    }
}

void check_stage_names(Pass& pass) {
    std::unordered_map<std::string, int> lines;
    for (const StageView& stage : pass.stages) {
        check_from(pass, stage);
        if (stage.name.empty()) {
            continue;
        }
        if (const auto [first, fresh] = lines.emplace(to_lower(stage.name), stage.from->line); !fresh) {
            pass.find("DuplicateStageName", *stage.from, stage.name,
                      std::format("the stage of line {} is named {} too", first->second, shown(stage.name)),
                      "give one of them another name");
        }
    }
}

void check_repeated(Pass& pass, const StageView& stage) {
    std::map<std::string_view, const Instruction*> last;
    for (const Instruction* instruction : stage.body) {
        const std::string& keyword = instruction->keyword;
        if (keyword != "CMD" && keyword != "ENTRYPOINT" && keyword != "HEALTHCHECK") {
            continue;
        }
        if (const Instruction* before = std::exchange(last[keyword], instruction)) {
            pass.find("MultipleInstructionsDisallowed", *before, {},
                      std::format("this {} has no effect: line {} replaces it", keyword, instruction->line),
                      "leave one of them out");
        }
    }
}

/// Whether /bin/sh -c would do the same with a command as the SHELL it was written for, as far as can be
/// seen.
bool same_in_sh(const std::vector<std::string>& shell, std::string_view command) {
    static constexpr std::array<std::string_view, 7> bourne{"sh",  "bash", "dash",   "ash",
                                                            "ksh", "zsh",  "busybox"};
    static constexpr std::array<std::string_view, 5> bashisms{"[[", "<(", ">(", "<<<", "source "};
    const std::string_view program = shell.empty() ? std::string_view() : std::string_view(shell.front());
    if (std::ranges::find(bourne, program.substr(program.rfind('/') + 1)) == bourne.end()) {
        return false;
    }
    const bool login = std::ranges::any_of(shell | std::views::drop(1), [](std::string_view word) {
        return word == "--login" || (word.starts_with('-') && !word.starts_with("--") && word.contains('l'));
    });
    std::size_t pipe = command.find('|');
    while (pipe != std::string_view::npos && command.substr(pipe).starts_with("||")) {
        pipe = command.find('|', pipe + 2);
    }
    const bool pipefail =
        pipe != std::string_view::npos && std::ranges::find(shell, "pipefail") != shell.end();
    return !login && !pipefail &&
           std::ranges::none_of(bashisms, [&](std::string_view text) { return command.contains(text); });
}

void check_shell_forms(Pass& pass) {
    std::vector<const Instruction*> shells(pass.stages.size(), nullptr); // the SHELL in force
    for (std::size_t i = 0; i < pass.stages.size(); ++i) {
        const StageView& stage = pass.stages[i];
        const Instruction*& shell = shells[i];
        shell = stage.base >= 0 ? shells[static_cast<std::size_t>(stage.base)] : nullptr;
        for (const Instruction* instruction : stage.body) {
            const std::string& keyword = instruction->keyword;
            if (keyword == "SHELL") {
                shell = instruction;
            } else if ((keyword != "CMD" && keyword != "ENTRYPOINT") || instruction->json ||
                       instruction->arguments.empty()) {
                continue;
            } else if (shell == nullptr) {
                pass.find("JSONArgsRecommended", *instruction, {},
                          std::format("{} runs in a shell, which keeps signals from the program", keyword),
                          std::format("write {} [\"program\", \"argument\"], or set SHELL if the shell is "
                                      "wanted",
                                      keyword));
            } else if (!same_in_sh(shell->arguments, instruction->arguments.front())) {
                // Tried with buildah 1.39, also with the SHELL of a base image.
                pass.find("ShellIgnored", *instruction, {},
                          std::format("buildah gives {} to /bin/sh, whatever SHELL says", keyword),
                          std::format("write the shell out: {} [\"/bin/bash\", \"-c\", \"…\"]", keyword));
            }
        }
    }
}

void check_pairs(Pass& pass, const Instruction& instruction) {
    if ((instruction.keyword != "ENV" && instruction.keyword != "LABEL") ||
        instruction.assignments.size() != 1) {
        return;
    }
    const std::string& name = instruction.assignments.front().name;
    const std::string_view rest = instruction.rest;
    if (rest.starts_with(name) && !rest.substr(name.size()).starts_with('=')) {
        pass.find("LegacyKeyValueFormat", instruction, name,
                  std::format("{} without an equals sign is an old form", instruction.keyword),
                  std::format("write {} {}=…", instruction.keyword, shown(name)));
    }
}

void check_ports(Pass& pass, const Instruction& instruction) {
    if (instruction.keyword != "EXPOSE") {
        return;
    }
    for (const std::string& word : instruction.arguments) {
        if (word.contains('$')) {
            continue;
        }
        const std::size_t slash = word.find('/');
        const std::string_view protocol =
            slash == std::string::npos ? std::string_view{} : std::string_view(word).substr(slash + 1);
        if (protocol != to_lower(protocol)) {
            pass.find("ExposeProtoCasing", instruction, word,
                      std::format("the protocol in {} is not in lower case", shown(word)),
                      std::format("write {}", shown(to_lower(word))));
        }
        if (word.contains(':')) {
            pass.find("ExposeInvalidFormat", instruction, word,
                      std::format("{} maps a port; EXPOSE only names the container's", shown(word)),
                      std::format("write {}; addresses and mappings belong to who runs the image",
                                  shown(std::string_view(word).substr(word.rfind(':') + 1))));
        }
    }
}

void check_workdirs(Pass& pass) {
    std::vector<bool> set(pass.stages.size(), false);
    for (std::size_t i = 0; i < pass.stages.size(); ++i) {
        const StageView& stage = pass.stages[i];
        set[i] = stage.base >= 0 && set[static_cast<std::size_t>(stage.base)];
        for (const Instruction* instruction : stage.body) {
            if (instruction->keyword != "WORKDIR" || set[i]) {
                continue;
            }
            set[i] = true;
            std::string_view path = instruction->arguments.front();
            path.remove_prefix(path.starts_with('"') || path.starts_with('\'') ? 1 : 0);
            const bool drive = path.size() > 1 && path[1] == ':';
            if (!path.starts_with('/') && !path.starts_with('$') && !drive) {
                pass.find("WorkdirRelativePath", *instruction, path,
                          std::format("WORKDIR {} depends on what the base image set", shown(path)),
                          std::format("write WORKDIR /{}", shown(path)));
            }
        }
    }
}

/// The comment right above an ARG or a named FROM is to begin with the name it describes.
void check_description(Pass& pass, const Instruction& instruction) {
    std::vector<std::string_view> names;
    if (instruction.keyword == "ARG") {
        for (const auto& assignment : instruction.assignments) {
            names.push_back(assignment.name);
        }
    } else if (instruction.keyword == "FROM" && instruction.arguments.size() == 3) {
        names.push_back(instruction.arguments[2]);
    }
    if (names.empty()) {
        return;
    }
    const std::string_view above = dockerfile::trim(pass.file.line_text(instruction.line - 1));
    const bool directive =
        std::ranges::contains(pass.file.directives, instruction.line - 1, &dockerfile::Directive::line);
    if (!above.starts_with('#') || directive) {
        return;
    }
    const std::string_view text = dockerfile::trim(above.substr(1));
    if (text.empty() || std::ranges::contains(names, text.substr(0, text.find(' ')))) {
        return;
    }
    pass.find("InvalidDefinitionDescription", instruction, {},
              std::format("the comment above does not describe {}", shown(names.front())),
              std::format("write # {} and what it is, or put an empty line below the comment",
                          shown(names.front())));
}

} // namespace

void check_style(Pass& pass) {
    check_keyword_case(pass);
    check_stage_names(pass);
    check_shell_forms(pass);
    check_workdirs(pass);
    for (const StageView& stage : pass.stages) {
        check_repeated(pass, stage);
    }
    for (const Instruction& instruction : pass.file.instructions) {
        check_pairs(pass, instruction);
        check_ports(pass, instruction);
        check_description(pass, instruction);
        if (instruction.keyword == "MAINTAINER") {
            pass.find("MaintainerDeprecated", instruction, {}, "MAINTAINER is deprecated",
                      "write LABEL org.opencontainers.image.authors=… instead");
        }
    }
    for (const dockerfile::Note& note : pass.file.notes) {
        if (note.code == "emptycontinuation") {
            pass.find_at("NoEmptyContinuation", nullptr, note.line, 0, 0, note.message, note.hint);
        }
    }
}

} // namespace slipway::lint
