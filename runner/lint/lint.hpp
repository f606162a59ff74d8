// Checks over a parsed Dockerfile: what its author hardly meant, and what an unprivileged build will not do.
// Pure: no I/O. The rules are rows of rules.cpp and of docs/lint.md; those that BuildKit has bear its names.
//
// A file steers its own checks as BuildKit reads it: `# check=skip=RULE,…;experimental=RULE,…;error=true`
// among its directives, and `# check=skip=…` in the comment right above one instruction.
//
// Input is hostile: time is linear in the size of the file, and of one rule's findings at most
// `most_findings_per_rule` are kept; the rest is counted.
#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::dockerfile {
struct BuildPlan;
struct Dockerfile;
} // namespace slipway::dockerfile

namespace slipway::lint {

inline constexpr std::size_t most_findings_per_rule = 50;

/// `error`: cannot be built. `warning`: will fail somewhere, or is not what was meant. `note`: advice.
enum class Severity { note, warning, error };
/// "note", "warning", "error".
std::string_view to_string(Severity severity) noexcept;

struct Finding {
    std::string rule; ///< a Rule's name; of an error its code
    Severity severity = Severity::warning;
    std::string message;
    std::string hint; ///< what to write instead; may be empty
    Where where;      ///< column in bytes
    int width = 0;    ///< bytes of the line meant, from its column on; 0 = unknown
};

struct Findings {
    std::vector<Finding> list; ///< by line
    std::size_t left_out = 0;
    bool fails = false; ///< the file asks for `error=true` and breaks a rule of BuildKit's

    [[nodiscard]] std::size_t count(Severity severity) const noexcept;
};

struct Options {
    std::map<std::string, std::string> build_args = {};
    /// The first user or group id that the build's user namespace does not hold.
    std::int64_t id_limit = 65536;
};

/// `plan` is nullptr where the file parses but cannot be planned; less is found then.
Findings check(const dockerfile::Dockerfile& file, const dockerfile::BuildPlan* plan, const Options& options);

/// What planning noticed, without the subjects that a rule covers.
Findings from_plan(const dockerfile::Dockerfile& file, const dockerfile::BuildPlan& plan);

/// An error as the finding that heads a report.
Finding from_error(const Error& error);

} // namespace slipway::lint
