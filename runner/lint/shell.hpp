// The commands of a shell script, as far as they can be known without running it: what stands in command
// position, with its words. Internal to the room.
//
// POSIX shell and what is common of bash: quotes, comments, lists, pipes, groups, substitutions, keywords,
// case, functions, redirections, here-documents, assignments in front. Strings are not looked into, nor are
// scripts handed to another shell. A script that is none gives nonsense, never a failure. Linear in its size.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::lint {

struct ShellWord {
    std::string text; ///< without its quotes; substitutions as a single `$`
    std::size_t offset = 0;
};

struct ShellCommand {
    /// The program and its arguments; without sudo, env, exec, timeout and their like. At most 1000.
    std::vector<ShellWord> words;
    std::vector<ShellWord> written; ///< targets of `>` and `>>`
    /// Its failure does not fail the script: a condition, or something behind `||` comes to its help.
    bool tolerated = false;

    /// The program's name without its directories.
    [[nodiscard]] std::string_view program() const noexcept;
    /// Whether an argument is exactly that.
    [[nodiscard]] bool has(std::string_view argument) const noexcept;
    /// The first argument that is no option; nullptr when all are.
    [[nodiscard]] const ShellWord* operand() const noexcept;
};

void scan_shell(std::string_view script, const std::function<void(const ShellCommand&)>& on_command);

} // namespace slipway::lint
