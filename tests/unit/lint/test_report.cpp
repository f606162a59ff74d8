// The three forms of a report over the same findings.
#include "lint/report.hpp"
#include "linted.hpp"

#include <nlohmann/json.hpp>

using namespace slipway::lint;
using slipway::Error;
using slipway::ErrorClass;
using Json = nlohmann::json;

namespace {

const std::string dockerfile = "FROM a as x\nRUN echo \xF0\x9F\x9A\xA2\xC3\xA4 && mount /x\n";
const ReportOptions options{.version = "1.2.3", .prefix = "some dir/"};

} // namespace

TEST_CASE("text: place, line, caret, hint, count") {
    CHECK(text_report(linted::findings(dockerfile), options) ==
          "some dir/Dockerfile:1:8: warning: as has another case than its FROM [FromAsCasing]\n"
          "     1 | FROM a as x\n"
          "       |        ^^\n"
          "  hint: write AS\n"
          "\n"
          "some dir/Dockerfile:2:20: warning: mount needs SYS_ADMIN, which no RUN has here "
          "[UnprivilegedMount]\n"
          "     2 | RUN echo \xF0\x9F\x9A\xA2\xC3\xA4 && mount /x\n"
          "       |                ^^^^^\n"
          "  hint: RUN --mount=type=bind, cache, tmpfs or secret puts things in place without it\n"
          "\n"
          "2 warnings\n");
    CHECK(text_report({}, options) == "no findings\n");
}

TEST_CASE("text: an error, notes and what was left out are counted") {
    Findings findings = linted::findings("FROM a\nRUN setcap x y\n");
    Error error = make_error(ErrorClass::build, "dockerfileissue", "no");
    error.cause = "why";
    findings.list.push_back(from_error(error));
    findings.left_out = 3;
    const std::string text = text_report(findings, options);
    CHECK(text.contains("slipway: error: no: why [dockerfileissue]\n"));
    CHECK(text.ends_with("1 error, 1 note; 3 more not shown\n"));
}

TEST_CASE("text: what the file says cannot command a terminal") {
    const std::string text = text_report(linted::findings("FROM a as x\x1b[2J\x7f\xff\xc2\x9b\n"),
                                         {.version = {}, .prefix = "\x1b]0;"});
    CHECK(text.find_first_of("\x1b\x7f\xff") == std::string::npos);
    CHECK_FALSE(text.contains("\xc2\x9b"));
}

TEST_CASE("JSON: members, and places in bytes") {
    const Json json = Json::parse(json_report(linted::findings(dockerfile), options));
    CHECK(json["slipway_lint"] == 1);
    CHECK(json["version"] == "1.2.3");
    CHECK(json["totals"] == Json({{"errors", 0}, {"warnings", 2}, {"notes", 0}, {"left_out", 0}}));
    const Json& second = json["findings"][1];
    CHECK(second["rule"] == "UnprivilegedMount");
    CHECK(second["severity"] == "warning");
    CHECK(second["where"]["file"] == "some dir/Dockerfile");
    CHECK(second["where"]["line"] == 2);
    CHECK(second["where"]["column"] == 20);
    CHECK(second["where"]["end_column"] == 25);
    CHECK_FALSE(Json::parse(json_report(linted::findings("FROM a as x\xff\n"), options)).empty());
}

TEST_CASE("SARIF: rules, levels, relative URIs, columns in UTF-16") {
    const Json json = Json::parse(sarif_report(linted::findings(dockerfile), options));
    CHECK(json["version"] == "2.1.0");
    const Json& run = json["runs"][0];
    const Json& driver = run["tool"]["driver"];
    CHECK(driver["name"] == "slipway");
    CHECK(run["columnKind"] == "utf16CodeUnits");
    const Json& second = run["results"][1];
    CHECK(second["ruleId"] == "UnprivilegedMount");
    CHECK(driver["rules"][second["ruleIndex"].get<std::size_t>()]["id"] == "UnprivilegedMount");
    CHECK(second["level"] == "warning");
    const Json& place = second["locations"][0]["physicalLocation"];
    CHECK(place["artifactLocation"]["uri"] == "some%20dir/Dockerfile");
    // The ship is a surrogate pair, the umlaut one unit.
    CHECK(place["region"] == Json({{"startLine", 2}, {"startColumn", 17}, {"endColumn", 22}}));
}

TEST_CASE("SARIF: a finding without a place has none, one of a whole file no region") {
    Findings findings;
    findings.list.push_back(from_error(make_error(ErrorClass::network, "network", "no")));
    Error error = make_error(ErrorClass::build, "dockerfileissue", "empty");
    error.where = slipway::Where{.file = "Dockerfile", .line = 0, .column = 0, .quote = {}};
    findings.list.push_back(from_error(error));
    const Json results = Json::parse(sarif_report(findings, {}))["runs"][0]["results"];
    CHECK_FALSE(results[0].contains("locations"));
    CHECK_FALSE(results[0].contains("ruleIndex"));
    CHECK(results[0]["level"] == "error");
    CHECK_FALSE(results[1]["locations"][0]["physicalLocation"].contains("region"));
}
