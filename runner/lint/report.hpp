// Findings for tools and people: text, JSON (docs/lint.schema.json) and SARIF 2.1.0.
//
// What a Dockerfile says is shown as text of its own: control characters and broken UTF-8 are replaced in
// every form. Columns are 1-based: bytes in text and JSON, UTF-16 code units in SARIF, as that format
// defaults to.
#pragma once

#include "lint/lint.hpp"

#include <string>
#include <string_view>

namespace slipway::lint {

struct ReportOptions {
    std::string_view version; ///< of the program
    /// Before every file name: what leads from the current directory to the source. Ends in '/' or is empty.
    std::string prefix;
};

/// `FILE:LINE:COLUMN: SEVERITY: MESSAGE [RULE]`, the line with what is meant underlined, the hint; last a
/// count.
std::string text_report(const Findings& findings, const ReportOptions& options);
std::string json_report(const Findings& findings, const ReportOptions& options);
std::string sarif_report(const Findings& findings, const ReportOptions& options);

} // namespace slipway::lint
