// Files nobody would write. Sizes are near the limits; a quadratic step anywhere makes these tests time out.
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"

#include <catch2/catch_test_macros.hpp>
#include <ctime>
#include <format>
#include <random>
#include <string>

using namespace slipway::dockerfile;

namespace {

// Processor time, generous because sanitizers are slow; a quadratic reading takes hours.
constexpr double patience_seconds = 40;

slipway::Result<BuildPlan> planned(const std::string& text) {
    const std::clock_t start = std::clock();
    slipway::Result<BuildPlan> out = [&]() -> slipway::Result<BuildPlan> {
        TRY_ASSIGN(const Dockerfile file, parse(text, "Dockerfile"));
        return plan(file, {});
    }();
    REQUIRE(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < patience_seconds);
    return out;
}

std::string repeated(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) {
        out += text;
    }
    return out;
}

} // namespace

TEST_CASE("Ten mebibytes of one here-document are read") {
    std::string text = "FROM scratch\nCOPY <<EOF /f\n";
    while (text.size() < std::size_t{10} << 20U) {
        text += "a line of the document with $variables and 'quotes'\n";
    }
    const auto plan = planned(text + "EOF\n");
    REQUIRE(plan);
    REQUIRE(plan->commands == 2);
}

TEST_CASE("Ten mebibytes of comments and empty lines are read") {
    REQUIRE(planned("FROM scratch\n" + repeated("# a comment of some length\n\n", 375'000)));
}

TEST_CASE("An instruction continued over a million lines is read") {
    REQUIRE(planned("FROM scratch\nRUN a" + repeated(" \\\n# c\n\n x", 300'000)));
    REQUIRE_FALSE(planned(repeated("\\\n", 1'000'000)));
}

TEST_CASE("Ten thousand stages in one chain are planned") {
    std::string text = "FROM scratch AS s0\nENV a=b\n";
    for (int i = 1; i < 10'000; ++i) {
        text += std::format("FROM s{} AS s{}\nCOPY --from={} /a /b\n", i - 1, i, i - 1);
    }
    const auto plan = planned(text);
    REQUIRE(plan);
    REQUIRE(plan->order.size() == 10'000);
    REQUIRE(plan->commands == 20'000);
}

TEST_CASE("Stages that all need all others are planned") {
    std::string text;
    for (int i = 0; i < 300; ++i) {
        text += std::format("FROM scratch AS s{}\n", i);
        for (int j = 0; j < i; ++j) {
            text += std::format("COPY --from=s{} /a /b\n", j);
        }
    }
    REQUIRE(planned(text)->order.size() == 300);
}

TEST_CASE("Variables that double each time are stopped") {
    const auto doubled = planned("FROM scratch\nENV a=xxxxxxxxxxxxxxxx\n" + repeated("ENV a=$a$a\n", 100));
    REQUIRE_FALSE(doubled);
    REQUIRE(doubled.error().where);
    REQUIRE_FALSE(
        planned("FROM scratch\nENV a=" + std::string(60'000, 'x') + "\n" + repeated("LABEL l=$a\n", 90'000)));
}

TEST_CASE("Environments handed down through many stages are shared, not copied") {
    std::string text = "FROM scratch AS s0\n";
    for (int i = 0; i < 2'000; ++i) {
        text += std::format("ENV v{}={}\n", i, std::string(100, 'x'));
    }
    for (int i = 1; i < 9'000; ++i) {
        text += std::format("FROM s{} AS s{}\nENV w{}=$v7 v8={}\n", i - 1, i, i, i);
    }
    const auto plan = planned(text);
    REQUIRE(plan);
    const Environment& env = plan->stages.back().env;
    CHECK(env.at("w1") == std::string(100, 'x'));
    CHECK(env.at("v8") == "8999");
    CHECK(plan->stages[1].env.at("v8") == "1");
    CHECK(env.all().size() == 2'000 + 8'999);
}

TEST_CASE("Health checks handed down through many stages are stopped before memory is") {
    std::string text = "FROM scratch AS s0\n" + repeated("HEALTHCHECK NONE\n", 1'000);
    for (int i = 1; i < 9'000; ++i) {
        text += std::format("FROM s{} AS s{}\n", i - 1, i);
    }
    const auto plan = planned(text);
    REQUIRE_FALSE(plan);
    REQUIRE(plan.error().message.contains("hand down too many"));
}

TEST_CASE("Many words, flags, triggers and here-documents are taken or refused in time") {
    REQUIRE(planned("FROM scratch\nEXPOSE" + repeated(" 80 81", 50'000)));
    std::string volumes = "FROM scratch\nVOLUME";
    for (int i = 0; i < 50'000; ++i) {
        volumes += std::format(" /{}", i);
    }
    REQUIRE(planned(volumes));
}

TEST_CASE("Many assignments, mounts, triggers and here-documents are taken or refused in time") {
    REQUIRE_FALSE(planned("FROM scratch\nENV" + repeated(" a=b", 600'000).substr(0, 2'000'000)));
    REQUIRE(planned("FROM scratch\nRUN" + repeated(" --mount=type=secret,id=a", 50'000) + " x"));
    REQUIRE_FALSE(planned("FROM scratch\nRUN" + repeated(" <<E", 1'000)));
    REQUIRE_FALSE(planned("FROM scratch\nRUN cat <<E\n" + repeated("no end\n", 100'000)));
    REQUIRE(planned("FROM scratch AS a\n" + repeated("ONBUILD RUN x\n", 40'000) + "FROM a\n"));
}

TEST_CASE("Warnings do not pile up") {
    const auto plan = planned("FROM scratch\n" + repeated("MAINTAINER me\n", 50'000));
    REQUIRE(plan);
    REQUIRE(plan->warnings.size() <= 201);
}

TEST_CASE("Deep nesting of every kind is refused or harmless") {
    CHECK_FALSE(planned("FROM " + repeated("${a:-", 100'000) + "x" + std::string(100'000, '}')));
    CHECK_FALSE(planned("FROM scratch\n" + repeated("ONBUILD ", 100'000) + "RUN x"));
    CHECK(planned("FROM scratch\nRUN " + std::string(1'000'000, '[')));
    CHECK(planned("FROM scratch\nRUN " + repeated("${a:-", 100'000) + " <<EOF"));
}

TEST_CASE("Random lines of Dockerfile pieces are taken or refused with a place") {
    std::mt19937 random(4'711); // NOLINT: the same files every time
    const std::vector<std::string> pieces = {"FROM ",
                                             "scratch",
                                             " AS ",
                                             "a",
                                             "b",
                                             "\n",
                                             "\\\n",
                                             "RUN ",
                                             "COPY ",
                                             "--from=",
                                             "--mount=type=bind,from=",
                                             "0 ",
                                             "1",
                                             " /x",
                                             "ARG ",
                                             "ENV ",
                                             "=",
                                             "$a",
                                             "${a:-b}",
                                             "<<E",
                                             "\nE\n",
                                             "\"",
                                             "'",
                                             "[\"",
                                             "\"]",
                                             ",",
                                             "ONBUILD ",
                                             "HEALTHCHECK ",
                                             "CMD ",
                                             "#",
                                             " ",
                                             "\t",
                                             "\xC2\xA0",
                                             "\xFF",
                                             "--",
                                             "`",
                                             "EXPOSE ",
                                             "LABEL ",
                                             "# escape=`\n"};
    for (int round = 0; round < 20'000; ++round) {
        std::string text = random() % 4 == 0 ? "" : "FROM scratch AS a\n";
        for (auto i = random() % 30; i > 0; --i) {
            text += pieces[random() % pieces.size()];
        }
        CAPTURE(text);
        const auto file = parse(text, "Dockerfile");
        if (!file) {
            REQUIRE(file.error().where);
            REQUIRE_FALSE(file.error().message.empty());
            continue;
        }
        int line = 0;
        for (const Instruction& instruction : file->instructions) {
            REQUIRE(instruction.line > line);
            REQUIRE(instruction.end_line >= instruction.line);
            line = instruction.end_line;
        }
        if (const auto plan = slipway::dockerfile::plan(*file, {}); plan) {
            REQUIRE(plan->order.back() == plan->target);
        } else {
            REQUIRE(plan.error().where);
        }
    }
}

TEST_CASE("Random bytes are refused or taken, never more") {
    std::mt19937 random(42); // NOLINT: the same bytes every time
    for (int round = 0; round < 5'000; ++round) {
        std::string text = "FROM x\n";
        for (auto i = random() % 200; i > 0; --i) {
            text += static_cast<char>(static_cast<unsigned char>(random() % 256));
        }
        (void)planned(text);
    }
}
