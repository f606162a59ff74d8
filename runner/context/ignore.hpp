// What an ignore file excludes, as buildah 1.39 reads it. Pure.
//
// Rules: imagebuilder splits the file into lines (comments begin in the first column; slashes are taken off
// both ends), containers/storage's fileutils trims, cleans and translates each pattern into a regular
// expression; the last pattern that matches a path or one of its parents decides. That is not quite what
// Docker does: docs/dockerfile.md lists the differences.
//
// Paths are relative to the context, without leading or trailing slash. Any bytes are a file; hostile
// patterns cost time linear in their size and the path's. `work` says how much so far.
#pragma once

#include "context/regex.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::context {

class IgnoreRules {
  public:
    static constexpr std::size_t largest_file = 1U << 20U;
    static constexpr std::size_t most_patterns = 20'000;

    struct Verdict {
        bool excluded = false;
        int line = 0; ///< of the pattern that decided; 0 = none, or one that stands in no file
    };
    struct Problem {
        int line = 0;
        std::string pattern; ///< as written
    };

    /// No rules: nothing is excluded.
    IgnoreRules() = default;
    explicit IgnoreRules(std::string_view content);

    /// One more pattern after the file's: the value of a `--exclude`.
    void exclude(std::string_view pattern) { add(pattern, 0); }

    [[nodiscard]] Verdict verdict(std::string_view path) const;

    /// Whether the walk enters a directory although it is excluded: an exception may lie beneath. Like
    /// buildah, looks at no wildcards: `!**/x` brings nothing back from below an excluded directory.
    [[nodiscard]] bool enters(std::string_view directory) const;

    /// The same question where COPY names the directory itself; buildah asks it a little differently.
    [[nodiscard]] bool enters_named(std::string_view directory) const;

    /// The first pattern with which buildah ends the build.
    [[nodiscard]] const std::optional<Problem>& malformed() const { return malformed_; }
    /// A pattern (or number of them) that only buildah can read: no verdict is certain then.
    [[nodiscard]] const std::optional<Problem>& unread() const { return unread_; }
    [[nodiscard]] bool empty() const { return rules_.empty(); }

    /// As written in that line, without white space around it; empty for line 0.
    [[nodiscard]] std::string_view pattern_of(int line) const;

    [[nodiscard]] std::uint64_t work() const { return work_; }

  private:
    struct Rule {
        int line = 0;
        std::string written;
        std::string cleaned;
        bool exception = false;
        bool literal = false;    ///< `cleaned` stands for itself
        std::string needed = {}; ///< every match contains it
        Regex regex = {};        ///< unless literal
    };

    void add(std::string_view pattern, int line);
    [[nodiscard]] bool matches(const Rule& rule, std::string_view path) const;

    std::vector<Rule> rules_;
    bool has_exceptions_ = false;
    std::optional<Problem> malformed_;
    std::optional<Problem> unread_;
    mutable std::uint64_t work_ = 0;
};

} // namespace slipway::context
