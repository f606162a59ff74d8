// Regular expressions as far as ignore patterns reach them.
//
// buildah turns each ignore pattern into a regular expression of Go's and escapes little of what means
// something there, so `+`, `(`, `|`, `{2}`, `^` and classes in a pattern act as they do in Go. This is that
// part of the syntax (https://pkg.go.dev/regexp/syntax), matched in time linear in text times expression
// whatever they are; nothing ever backtracks.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::context {

class Regex {
  public:
    enum class Refusal {
        malformed, ///< Go refuses it, too
        unread,    ///< Go may take it; this reader does not (\p{…}, [[:alpha:]], \b, or too large)
    };

    /// Flags are Go's defaults: `.` does not match a line feed, `^` and `$` are the ends of the text.
    static std::expected<Regex, Refusal> compile(std::string_view expression);

    /// Whether any part of `text` matches. A byte that is not UTF-8 counts as U+FFFD. `work` grows by the
    /// number of steps taken.
    [[nodiscard]] bool matches(std::string_view text, std::uint64_t& work) const;

  private:
    friend class RegexCompiler;

    enum class Op : std::uint8_t { rune, any_but_line_feed, set, split, jump, begin, end, match };
    struct Instruction {
        Op op = Op::match;
        char32_t rune = 0;
        std::uint32_t to = 0;    ///< set: index; jump and split: next instruction
        std::uint32_t other = 0; ///< split: the alternative
    };
    struct Set {
        std::vector<std::pair<char32_t, char32_t>> ranges;
        bool negated = false;
    };
    class Threads;

    std::vector<Instruction> program_;
    std::vector<Set> sets_;
    bool anchored_ = false; ///< a match can only begin where the text does
};

} // namespace slipway::context
