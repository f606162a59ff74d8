#include "lint/report.hpp"

#include "base/encoding.hpp"
#include "lint/rules.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <nlohmann/json.hpp>
#include <optional>

namespace slipway::lint {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view documentation = "docs/lint.md";

/// One line that no terminal takes for commands: control characters become `?`, tabs blanks.
std::string printable(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Step step = utf8_step(text.substr(at));
        const std::string_view bytes = text.substr(at, step.length);
        const auto byte = static_cast<unsigned char>(bytes[0]);
        const bool c1 = bytes.size() == 2 && byte == 0xC2 && static_cast<unsigned char>(bytes[1]) < 0xA0;
        if (bytes == "\t") {
            out += ' ';
        } else if (!step.valid || byte < 0x20 || byte == 0x7F || c1) {
            out += '?';
        } else {
            out += bytes;
        }
        at += step.length;
    }
    return out;
}

/// Code units of UTF-16 that the bytes become.
std::size_t utf16_units(std::string_view bytes) {
    std::size_t units = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const Utf8Step step = utf8_step(bytes.substr(at));
        units += step.valid && step.length == 4 ? 2U : 1U;
        at += step.length;
    }
    return units;
}

/// Characters of `printable(bytes)`.
std::size_t characters(std::string_view bytes) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += utf8_step(bytes.substr(at)).length) {
        ++count;
    }
    return count;
}

/// The part of the quoted line that is meant, as offsets; nothing when it is not in the quote.
struct Region {
    std::size_t begin = 0;
    std::size_t end = 0;
};
std::optional<Region> region_of(const Finding& finding) {
    const std::string& quote = finding.where.quote;
    if (finding.where.line <= 0 || finding.where.column <= 0 ||
        static_cast<std::size_t>(finding.where.column) > quote.size()) {
        return std::nullopt;
    }
    const auto begin = static_cast<std::size_t>(finding.where.column - 1);
    const std::size_t width = std::max<std::size_t>(static_cast<std::size_t>(std::max(finding.width, 0)), 1);
    return Region{.begin = begin, .end = std::min(begin + width, quote.size())};
}

std::string counted(std::size_t count, std::string_view what) {
    return std::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string place_of(const Finding& finding, const ReportOptions& options) {
    const Where& where = finding.where;
    if (where.file.empty()) {
        return "slipway: ";
    }
    return options.prefix + where.file + (where.line > 0 ? std::format(":{}", where.line) : "") +
           (where.line > 0 && where.column > 0 ? std::format(":{}", where.column) : "") + ": ";
}

std::string dumped(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string_view sarif_level(Severity severity) {
    return to_string(severity); // "note", "warning" and "error" in both
}

Json sarif_rules() {
    Json out = Json::array();
    for (const Rule& rule : rules()) {
        out.push_back({{"id", rule.name},
                       {"shortDescription", {{"text", rule.summary}}},
                       {"help", {{"text", std::format("{} See {}.", rule.summary, documentation)}}},
                       {"defaultConfiguration",
                        {{"enabled", !rule.experimental}, {"level", sarif_level(rule.severity)}}},
                       {"properties",
                        {{"origin", rule.origin == Origin::buildkit  ? "buildkit"
                                    : rule.origin == Origin::slipway ? "slipway"
                                                                     : "planner"}}}});
    }
    return out;
}

Json sarif_location(const Finding& finding, const ReportOptions& options) {
    Json physical;
    std::string path = options.prefix + finding.where.file;
    std::string uri;
    for (std::size_t at = 0; at <= path.size();) { // slashes stay
        const std::size_t end = std::min(path.find('/', at), path.size());
        uri += percent_encode(std::string_view(path).substr(at, end - at));
        uri += end < path.size() ? "/" : "";
        at = end + 1;
    }
    physical["artifactLocation"] = {{"uri", uri}};
    if (finding.where.line > 0) {
        Json region{{"startLine", finding.where.line}};
        if (const auto part = region_of(finding)) {
            const std::string_view quote = finding.where.quote;
            const std::size_t start = utf16_units(quote.substr(0, part->begin)) + 1;
            region["startColumn"] = start;
            region["endColumn"] = start + utf16_units(quote.substr(part->begin, part->end - part->begin));
        }
        physical["region"] = std::move(region);
    }
    return {{"physicalLocation", std::move(physical)}};
}

} // namespace

std::string text_report(const Findings& findings, const ReportOptions& options) {
    std::string out;
    for (const Finding& finding : findings.list) {
        out += printable(std::format("{}{}: {} [{}]", place_of(finding, options), to_string(finding.severity),
                                     finding.message, finding.rule)) +
               "\n";
        const Where& where = finding.where;
        if (where.line > 0 && !where.quote.empty()) {
            const std::string number = std::format("{:>6}", where.line);
            out += number + " | " + printable(where.quote) + "\n";
            if (const auto part = region_of(finding)) {
                const std::string_view quote = where.quote;
                out += std::string(number.size(), ' ') + " | " +
                       std::string(characters(quote.substr(0, part->begin)), ' ') +
                       std::string(characters(quote.substr(part->begin, part->end - part->begin)), '^') +
                       "\n";
            }
        }
        if (!finding.hint.empty()) {
            out += "  hint: " + printable(finding.hint) + "\n";
        }
        out += "\n";
    }
    std::string total;
    for (const Severity severity : {Severity::error, Severity::warning, Severity::note}) {
        if (const std::size_t count = findings.count(severity); count > 0) {
            total += (total.empty() ? "" : ", ") + counted(count, to_string(severity));
        }
    }
    out += total.empty() ? "no findings" : total;
    if (findings.left_out > 0) {
        out += std::format("; {} more not shown", findings.left_out);
    }
    return out + "\n";
}

std::string json_report(const Findings& findings, const ReportOptions& options) {
    Json list = Json::array();
    for (const Finding& finding : findings.list) {
        Json entry{
            {"rule", finding.rule}, {"severity", to_string(finding.severity)}, {"message", finding.message}};
        if (!finding.hint.empty()) {
            entry["hint"] = finding.hint;
        }
        if (!finding.where.file.empty()) {
            Json where{{"file", options.prefix + finding.where.file}};
            if (finding.where.line > 0) {
                where["line"] = finding.where.line;
            }
            if (finding.where.line > 0 && finding.where.column > 0) {
                where["column"] = finding.where.column;
                if (finding.width > 0) {
                    where["end_column"] = finding.where.column + finding.width;
                }
            }
            if (!finding.where.quote.empty()) {
                where["quote"] = finding.where.quote;
            }
            entry["where"] = std::move(where);
        }
        list.push_back(std::move(entry));
    }
    return dumped({{"slipway_lint", 1},
                   {"version", options.version},
                   {"findings", std::move(list)},
                   {"totals",
                    {{"errors", findings.count(Severity::error)},
                     {"warnings", findings.count(Severity::warning)},
                     {"notes", findings.count(Severity::note)},
                     {"left_out", findings.left_out}}}});
}

std::string sarif_report(const Findings& findings, const ReportOptions& options) {
    Json results = Json::array();
    for (const Finding& finding : findings.list) {
        const std::string text =
            finding.hint.empty() ? finding.message : std::format("{} ({})", finding.message, finding.hint);
        Json result{{"ruleId", finding.rule}};
        if (const Rule* rule = find_rule(finding.rule)) {
            result["ruleIndex"] = rule - rules().data();
        }
        result["level"] = sarif_level(finding.severity);
        result["message"] = {{"text", text}};
        if (!finding.where.file.empty()) {
            result["locations"] = Json::array({sarif_location(finding, options)});
        }
        results.push_back(std::move(result));
    }
    Json driver{{"name", "slipway"}, {"version", options.version}, {"rules", sarif_rules()}};
    Json run{{"tool", {{"driver", std::move(driver)}}},
             {"columnKind", "utf16CodeUnits"},
             {"results", std::move(results)}};
    return dumped({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                   {"version", "2.1.0"},
                   {"runs", Json::array({std::move(run)})}});
}

} // namespace slipway::lint
