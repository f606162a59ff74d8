// A Dockerfile's findings as one line of text, for comparing.
#pragma once

#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "lint/lint.hpp"

#include <catch2/catch_test_macros.hpp>
#include <format>
#include <string>

namespace linted {

inline slipway::lint::Findings findings(std::string_view text, const slipway::lint::Options& options = {}) {
    const auto file = slipway::dockerfile::parse(text, "Dockerfile");
    INFO(text.substr(0, 1000));
    REQUIRE(file);
    slipway::dockerfile::PlanOptions plan_options;
    plan_options.build_args.assign(options.build_args.begin(), options.build_args.end());
    const auto plan = slipway::dockerfile::plan(*file, plan_options);
    return check(*file, plan ? &*plan : nullptr, options);
}

/// "Rule@line:column+width …"
inline std::string rules(const slipway::lint::Findings& found) {
    std::string out;
    for (const auto& finding : found.list) {
        out += std::format("{}{}@{}:{}+{}", out.empty() ? "" : " ", finding.rule, finding.where.line,
                           finding.where.column, finding.width);
    }
    return out;
}

inline std::string rules(std::string_view text, const slipway::lint::Options& options = {}) {
    return rules(findings(text, options));
}

} // namespace linted
