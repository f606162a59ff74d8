// The rules, one row each; docs/lint.md says the same at length (a test compares the names).
#pragma once

#include "lint/lint.hpp"

#include <span>
#include <string_view>

namespace slipway::lint {

/// Who defines the rule: BuildKit's linter, Slipway's, or the planner, which notices some things on its way.
enum class Origin { buildkit, slipway, planner };

struct Rule {
    std::string_view name;
    Origin origin = Origin::slipway;
    Severity severity = Severity::warning;
    bool experimental = false; ///< only where a file asks for it
    std::string_view summary;  ///< one sentence
};

std::span<const Rule> rules() noexcept;

/// nullptr when there is none. `name` is compared without regard to case: the planner's codes are lower case.
const Rule* find_rule(std::string_view name) noexcept;

} // namespace slipway::lint
