#include "dockerfile/plan.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

using namespace slipway::dockerfile;

namespace {

slipway::Result<BuildPlan> planned(std::string_view text, const PlanOptions& options = {}) {
    TRY_ASSIGN(const Dockerfile file, parse(text, "Dockerfile"));
    return plan(file, options);
}

bool warns(const BuildPlan& plan, std::string_view code) {
    for (const PlanWarning& warning : plan.warnings) {
        if (warning.code == code) {
            return true;
        }
    }
    return false;
}

} // namespace

TEST_CASE("A STEP line leads to its command, also behind triggers of a base image") {
    const auto plan =
        planned("FROM scratch AS a\nLABEL x=1\nFROM i\nLABEL y=1\nLABEL z=1\nCOPY --from=a /a /b\n");
    REQUIRE(plan);
    CHECK(find_command(*plan, 1, 2)->n == 2);
    CHECK(find_command(*plan, 2, 1)->text == "FROM i");
    CHECK(find_command(*plan, 2, 3, 4)->text == "LABEL z=1");
    // Two triggers of the image "i": STEP 1/4 is printed before they are known, then 2/6 … 6/6.
    CHECK(find_command(*plan, 2, 2, 6) == nullptr);
    CHECK(find_command(*plan, 2, 3, 6) == nullptr);
    CHECK(find_command(*plan, 2, 4, 6)->text == "LABEL y=1");
    // One command of --label behind them.
    CHECK(find_command(*plan, 2, 4, 5, 1)->text == "COPY --from=a /a /b");
    CHECK(find_command(*plan, 2, 5, 5, 1) == nullptr);
    CHECK(find_command(*plan, 3, 1) == nullptr);
    CHECK(find_command(*plan, 0, 1) == nullptr);
    CHECK(find_command(*plan, 2, 0) == nullptr);
}

TEST_CASE("Without a bracket the only stage is meant") {
    const auto plan = planned("FROM scratch\nLABEL x=1\n");
    REQUIRE(find_command(*plan, 0, 2)->text == "LABEL x=1");
}

TEST_CASE("A target nobody bears is the caller's mistake") {
    const auto plan = planned("FROM scratch AS a\nFROM scratch AS b\n", {.target = "c"});
    REQUIRE_FALSE(plan);
    CHECK(plan.error().klass == slipway::ErrorClass::usage);
    CHECK(plan.error().hint == "the stages are a, b");
    CHECK(planned("FROM scratch AS a\nFROM scratch AS b\n", {.target = "0"})->stages_printed == 1);
    CHECK_FALSE(planned("FROM scratch\n", {.target = "1"}));
    CHECK_FALSE(planned("FROM scratch AS a\n", {.target = "A"}));
}

TEST_CASE("A platform that cannot be read is the caller's mistake") {
    for (const char* platform :
         {"", "linux", "linux/", "/amd64", "linux/arm/v7/x", "Linux/amd64", "linux amd64"}) {
        CAPTURE(platform);
        const auto plan = planned("FROM scratch\n", {.platform = platform});
        REQUIRE_FALSE(plan);
        CHECK(plan.error().klass == slipway::ErrorClass::usage);
    }
}

TEST_CASE("Platform arguments are there in FROM, and in a stage that declares them") {
    const std::string text = "FROM --platform=$BUILDPLATFORM i-$TARGETARCH$TARGETVARIANT AS a\nARG TARGETOS\n"
                             "ENV os=$TARGETOS arch=$TARGETARCH\n";
    const auto plan = planned(text, {.platform = "linux/arm/v7", .build_platform = "linux/x86_64"});
    REQUIRE(plan);
    CHECK(plan->stages[0].base.spelling == "i-armv7");
    CHECK(plan->stages[0].base.platform == "linux/amd64");
    CHECK(plan->stages[0].env.at("os") == "linux");
    CHECK(plan->stages[0].env.at("arch").empty());
    REQUIRE(plan->images.size() == 1);
    CHECK(plan->images[0].platform == "linux/amd64");
}

TEST_CASE("A build argument no ARG takes is warned about, with the likely name") {
    const auto plan =
        planned("ARG VERSION\nFROM scratch\nARG OTHER\n",
                {.build_args = {{"VERSOIN", "1"}, {"OTHER", "2"}, {"HTTP_PROXY", "p"}, {"TARGETARCH", "x"}}});
    REQUIRE(plan);
    REQUIRE(plan->warnings.size() == 1);
    CHECK(plan->warnings[0].code == "unusedbuildarg");
    CHECK(plan->warnings[0].hint == "did you mean VERSION?");
}

TEST_CASE("Names that speak of secrets are warned about, others not") {
    for (const char* name :
         {"NPM_TOKEN", "password", "AWS_SECRET_ACCESS_KEY", "api_key", "DB_PASSWD", "auth"}) {
        CAPTURE(name);
        CHECK(warns(*planned(std::string("FROM scratch\nARG ") + name + "\n"), "secretinname"));
        CHECK(warns(*planned(std::string("FROM scratch\nENV ") + name + "=x\n"), "secretinname"));
    }
    for (const char* name :
         {"MONKEY", "KEYBOARD", "PUBLIC_KEY", "TOKEN_FILE", "AUTHOR", "SECRETARY", "KEY_ID"}) {
        CAPTURE(name);
        CHECK_FALSE(warns(*planned(std::string("FROM scratch\nARG ") + name + "\n"), "secretinname"));
    }
}

TEST_CASE("ENV wins over ARG, and the build argument over a default") {
    const auto plan = planned(
        "ARG V=head\nFROM scratch\nARG V\nARG W=def\nENV a=$V b=$W\nENV V=env\nARG V=late\nENV c=$V\n",
        {.build_args = {{"W", "given"}}});
    REQUIRE(plan);
    CHECK(plan->stages[0].env.at("a") == "head");
    CHECK(plan->stages[0].env.at("b") == "given");
    CHECK(plan->stages[0].env.at("c") == "env");
}

TEST_CASE("Values of one instruction see the variables as they were before it") {
    const auto plan = planned("FROM scratch\nENV a=1\nENV a=2 b=$a\nARG c=3 d=$c\nENV e=$d\n");
    REQUIRE(plan);
    CHECK(plan->stages[0].env.at("b") == "1");
    CHECK(plan->stages[0].env.at("e").empty());
}

TEST_CASE("A stage inherits ENV and settings of the stage it is built on, but no ARG") {
    const auto plan = planned("FROM scratch AS a\nARG x=1\nENV y=2\nUSER u\nCMD [\"c\"]\nLABEL l=m\n"
                              "FROM a\nENV z=$x$y\nENTRYPOINT e\n");
    REQUIRE(plan);
    CHECK(plan->stages[1].env.at("z") == "2");
    CHECK(plan->final_stage.user == "u");
    CHECK(plan->final_stage.labels.at("l") == "m");
    CHECK_FALSE(plan->final_stage.cmd);
    CHECK(plan->final_stage.entrypoint == std::vector<std::string>{"/bin/sh", "-c", "e"});
}

TEST_CASE("Proxies need no ARG, and what the environment gives to every RUN is never unused") {
    const auto plan = planned("FROM scratch\nENV p=$http_proxy q=[$https_proxy]\n",
                              {.build_args = {{"http_proxy", "h"}, {"EXTRA", "e"}},
                               .predefined = {{"EXTRA", "e"}, {"https_proxy", "s"}}});
    REQUIRE(plan);
    CHECK(plan->warnings.empty());
    CHECK(plan->stages[0].env.at("p") == "h");
    CHECK(plan->stages[0].env.at("q") == "[]");
}

TEST_CASE("The Docker format is asked for where the OCI format would lose something") {
    CHECK(planned("FROM scratch\nHEALTHCHECK NONE\n")->needs_docker_format);
    CHECK(planned("FROM scratch\nSHELL [\"a\"]\n")->needs_docker_format);
    CHECK(planned("FROM scratch\nONBUILD RUN x\n")->needs_docker_format);
    CHECK(planned("FROM scratch AS a\nHEALTHCHECK NONE\nFROM a\n")->needs_docker_format);
    CHECK(planned("FROM scratch AS a\nONBUILD LABEL x=1\nFROM a AS b\nFROM scratch\nCOPY --from=b /a /b\n")
              ->needs_docker_format);
    CHECK_FALSE(planned("FROM scratch AS a\nHEALTHCHECK NONE\nFROM scratch\nCOPY --from=a /a /b\n")
                    ->needs_docker_format);
    CHECK_FALSE(planned("FROM scratch AS a\nSHELL [\"a\"]\nFROM scratch\n")->needs_docker_format);
    CHECK_FALSE(planned("FROM scratch\nRUN x\n")->needs_docker_format);
}

TEST_CASE("Triggers fire once, in the stage built on theirs, and not under the OCI format") {
    const std::string text =
        "FROM scratch AS a\nONBUILD ENV x=1\nFROM a AS b\nLABEL l=$x\nFROM b\nLABEL m=$x\n";
    const auto docker = planned(text);
    REQUIRE(docker->stages[1].commands.size() == 3);
    CHECK(docker->stages[1].commands[1].from_onbuild);
    CHECK(docker->stages[1].commands[1].text == "ENV x=1");
    CHECK(docker->stages[1].commands[1].line == 2);
    CHECK(docker->stages[2].commands.size() == 2);
    CHECK(docker->final_stage.labels.at("m") == "1");
    const auto oci = planned(text, {.oci_format = true});
    CHECK(oci->stages[1].commands.size() == 2);
    CHECK(oci->final_stage.labels.at("m").empty());
}

TEST_CASE("A further build context is neither a stage nor an image") {
    const PlanOptions options{.contexts = {"docs", "Docs 2"}};
    const auto plan = planned(
        "FROM scratch\nCOPY --from=docs a /\nRUN --mount=type=bind,from=docs,target=/docs true\n", options);
    INFO((plan ? "" : plan.error().message));
    REQUIRE(plan);
    CHECK(plan->images.empty());
    REQUIRE(plan->stages[0].commands[1].references.size() == 1);
    CHECK(plan->stages[0].commands[1].references[0].context);
    CHECK(plan->stages[0].commands[1].local_sources.empty());
    CHECK(plan->stages[0].commands[2].references[0].context);
    // Without the option the same text means an image.
    CHECK(planned("FROM scratch\nCOPY --from=docs a /\n")->images.size() == 1);
}

TEST_CASE("A build context takes nobody's place") {
    const PlanOptions options{.contexts = {"docs"}};
    const auto stage =
        planned("FROM scratch AS docs\nCOPY a /\nFROM scratch\nCOPY --from=docs a /\n", options);
    REQUIRE_FALSE(stage);
    CHECK(stage.error().where->line == 1);
    const auto base = planned("FROM scratch AS a\nFROM docs\n", options);
    REQUIRE_FALSE(base);
    CHECK(base.error().where->line == 2);
}

TEST_CASE("The network a RUN asks for is part of the plan") {
    const auto plan = planned("FROM scratch\nARG N=none\nRUN a\nRUN --network=$N b\nRUN --network=host c\n");
    REQUIRE(plan);
    const auto& commands = plan->stages[0].commands;
    CHECK(commands[2].network.empty());
    CHECK(commands[3].network == "none");
    CHECK(commands[4].network == "host");
}
