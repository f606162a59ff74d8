// Files that want to hurt: findings are capped, work is linear. No times are asserted: what is not linear
// would run into the test's time limit.
#include "lint/report.hpp"
#include "linted.hpp"

using namespace slipway::lint;

namespace {

std::string repeated(std::string_view piece, std::size_t bytes) {
    std::string out;
    while (out.size() < bytes) {
        out += piece;
    }
    return out;
}

} // namespace

TEST_CASE("long lines of RUN") {
    std::string text = "FROM scratch\n";
    text += "RUN " + repeated("mount /x;", 500'000) + "\n";
    for (const char* piece : {"echo \"$(a 'b')\" > /c && ", "a", "$(", "((", "<<"}) {
        text += "RUN " + repeated(piece, 200'000) + "x\n";
    }
    const Findings found = linted::findings(text);
    CHECK(found.list.size() == most_findings_per_rule);
    CHECK(found.left_out > 50'000);
    CHECK(text_report(found, {}).size() < 100'000);
}

TEST_CASE("one long instruction of many lines") {
    const Findings found =
        linted::findings("FROM scratch\nRUN " + repeated("mount /x && \\\n", 400'000) + "true\n");
    CHECK(found.list.size() == most_findings_per_rule);
    CHECK(found.list.back().where.line > 40);
}

TEST_CASE("very many variables, stages and names that are nearly alike") {
    std::string text = "FROM scratch\n";
    for (int i = 0; i < 5'000; ++i) {
        text += std::format("ENV NAME_{0:05}x=$NAEM_{0:05}x\n", i);
    }
    CHECK(linted::findings(text).list.size() <= most_findings_per_rule);
    text.clear();
    for (int i = 0; i < 1'000; ++i) {
        text += std::format("FROM stage{0}\nCOPY --from=stagex{0} a b\n", i);
    }
    CHECK_NOTHROW(linted::findings(text));
    text = "ARG A=xxxxxxxx\n";
    for (int i = 0; i < 500; ++i) {
        text += "ARG A=$A$A\n";
    }
    const auto file = slipway::dockerfile::parse(text + "FROM x$A\n", "Dockerfile");
    REQUIRE(file);
    CHECK_NOTHROW(check(*file, nullptr, {}));
}

TEST_CASE("a comment of a thousand lines above every other instruction") {
    const std::string text =
        "FROM scratch\n" + repeated("# check\n", 200'000) + "MAINTAINER x\nMAINTAINER y\n";
    CHECK(linted::findings(text).list.size() == 2);
}
