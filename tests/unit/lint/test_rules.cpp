// Every rule: what it finds and where, and what comes near it and is fine.
#include "lint/rules.hpp"
#include "linted.hpp"

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

using linted::rules;

TEST_CASE("ConsistentInstructionCasing") {
    CHECK(rules("FROM scratch\nRUN a\nrun b\n") == "ConsistentInstructionCasing@3:1+3");
    CHECK(rules("from scratch\nrun a\nRUN b\n") == "ConsistentInstructionCasing@3:1+3");
    CHECK(rules("FROM scratch\nRun a\n") == "ConsistentInstructionCasing@2:1+3");
    CHECK(rules("from scratch\nrun a\n") == "");
}

TEST_CASE("DuplicateStageName") {
    CHECK(rules("FROM a AS x\nFROM b AS X\n") == "StageNameCasing@2:11+1 DuplicateStageName@2:11+1");
    CHECK(rules("FROM a AS x\nFROM b AS x\n") == "DuplicateStageName@2:11+1"); // and an error of the plan
    CHECK(rules("FROM a AS x\nFROM b AS y\n") == "");
}

TEST_CASE("ExposeInvalidFormat and ExposeProtoCasing") {
    CHECK(rules("FROM scratch\nEXPOSE 80 127.0.0.1:81:82 83:84\n") ==
          "ExposeInvalidFormat@2:11+15 ExposeInvalidFormat@2:27+5");
    CHECK(rules("FROM scratch\nEXPOSE 80/TCP 81/udp\n") == "ExposeProtoCasing@2:8+6");
    CHECK(rules("FROM scratch\nARG P=1\nEXPOSE 80 81-90/tcp $P/TCP\n") == "");
}

TEST_CASE("FromAsCasing") {
    CHECK(rules("FROM a as x\n") == "FromAsCasing@1:8+2");
    CHECK(rules("from a AS x\n") == "FromAsCasing@1:8+2");
    CHECK(rules("FROM a As x\n") == "FromAsCasing@1:8+2");
    CHECK(rules("from a as x\n") == "");
    CHECK(rules("From a as x\n") == "ConsistentInstructionCasing@1:1+4");
}

TEST_CASE("FromPlatformFlagConstDisallowed and RedundantTargetPlatform") {
    CHECK(rules("FROM --platform=linux/amd64 a AS x\n") == "FromPlatformFlagConstDisallowed@1:17+11");
    CHECK(rules("FROM --platform=linux/amd64 a AS build_amd64\n") == "");
    CHECK(rules("FROM --platform=$TARGETPLATFORM a\n") == "RedundantTargetPlatform@1:17+15");
    CHECK(rules("FROM --platform=${TARGETPLATFORM} a\n") == "RedundantTargetPlatform@1:17+17");
    CHECK(rules("FROM --platform=$BUILDPLATFORM a\n") == "");
}

TEST_CASE("InvalidDefaultArgInFrom") {
    CHECK(rules("ARG TAG\nFROM a:$TAG\n") == "InvalidDefaultArgInFrom@2:6+6");
    CHECK(rules("ARG BASE\nFROM ${BASE}\n", {.build_args = {{"BASE", "a"}}}) ==
          "InvalidDefaultArgInFrom@2:6+7");
    CHECK(rules("ARG TAG=1\nARG FULL=${TAG}-x\nFROM a:${FULL}\n") == "");
    CHECK(rules("ARG TAG\nFROM a:${TAG:-latest}\n") == "");
    CHECK(rules("ARG SUFFIX\nFROM a:1$SUFFIX\n") == "");
    CHECK(rules("FROM a-$TARGETARCH:1\n") == "");
}

TEST_CASE("InvalidDefinitionDescription only where asked for") {
    CHECK(rules("# what follows\nFROM a AS x\n# another thing\nARG Y\n") == "");
    const std::string asked = "# check=experimental=InvalidDefinitionDescription\n";
    CHECK(rules(asked + "# y is a\nFROM a AS x\n# x\nARG x\n#\nARG z\n") ==
          "InvalidDefinitionDescription@3:1+4");
    CHECK(rules(asked + "FROM a AS x\n# note\n\nARG x\n") == "");
    CHECK(rules("# check=experimental=all;skip=all\n# y\nFROM a as x\n") ==
          "InvalidDefinitionDescription@3:1+4");
}

TEST_CASE("JSONArgsRecommended") {
    CHECK(rules("FROM scratch\nENTRYPOINT run it\nCMD it\n") ==
          "JSONArgsRecommended@2:1+10 JSONArgsRecommended@3:1+3");
    CHECK(rules("FROM scratch\nENTRYPOINT [\"a\"]\nCMD [\"b\"]\nHEALTHCHECK CMD c\n") == "");
    CHECK(rules("FROM scratch AS a\nSHELL [\"/bin/sh\", \"-c\"]\nFROM a\nCMD b\n") == "");
}

TEST_CASE("ShellIgnored") {
    CHECK(rules("FROM scratch AS a\nSHELL [\"/bin/bash\", \"-lc\"]\nCMD b\nFROM a\nENTRYPOINT c\n") ==
          "ShellIgnored@3:1+3 ShellIgnored@5:1+10");
    CHECK(rules("FROM scratch\nSHELL [\"pwsh\", \"-Command\"]\nCMD b\n") == "ShellIgnored@3:1+3");
    CHECK(rules("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD [[ -e a ]] && b\n") ==
          "ShellIgnored@3:1+3");
    CHECK(rules("FROM scratch\nSHELL [\"bash\", \"-o\", \"pipefail\", \"-c\"]\nCMD a | b\n") ==
          "ShellIgnored@3:1+3");
    CHECK(rules("FROM scratch\nSHELL [\"bash\", \"-o\", \"pipefail\", \"-c\"]\nCMD exec a ${B} || b\n") ==
          "");
    CHECK(rules("FROM scratch\nSHELL [\"bash\", \"-lc\"]\nCMD [\"b\"]\nHEALTHCHECK CMD c\nRUN d\n") == "");
    CHECK(rules("FROM scratch\nSHELL [\"bash\", \"-lc\"]\nSHELL [\"/bin/sh\", \"-c\"]\nCMD b\n") == "");
}

TEST_CASE("LegacyKeyValueFormat") {
    CHECK(rules("FROM scratch\nENV A b\nLABEL x y z\n") ==
          "LegacyKeyValueFormat@2:5+1 LegacyKeyValueFormat@3:7+1");
    CHECK(rules("FROM scratch\nENV A=b\nLABEL \"x y\"=z\nENV C=d E=f\n") == "");
}

TEST_CASE("MaintainerDeprecated") {
    CHECK(rules("FROM scratch\nMAINTAINER me\n") == "MaintainerDeprecated@2:1+10");
    CHECK(rules("FROM scratch\nLABEL maintainer=me\n") == "");
}

TEST_CASE("MultipleInstructionsDisallowed") {
    CHECK(rules("FROM scratch\nCMD [\"a\"]\nCMD [\"b\"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD a\n") ==
          "MultipleInstructionsDisallowed@2:1+3 MultipleInstructionsDisallowed@4:1+11");
    CHECK(rules("FROM scratch AS a\nCMD [\"a\"]\nFROM a\nCMD [\"b\"]\n") == "");
}

TEST_CASE("NoEmptyContinuation") {
    CHECK(rules("FROM scratch\nRUN a && \\\n\n  b\n") == "NoEmptyContinuation@3:0+0");
    CHECK(rules("FROM scratch\nRUN a && \\\n  # why\n  b\n") == "");
}

TEST_CASE("ReservedStageName and StageNameCasing") {
    CHECK(rules("FROM a AS scratch\n") == "ReservedStageName@1:11+7");
    CHECK(rules("FROM a AS context\n") == "ReservedStageName@1:11+7");
    CHECK(rules("FROM a AS Builder\n") == "StageNameCasing@1:11+7");
    CHECK(rules("FROM a AS scratchpad\n") == "");
    CHECK(rules("ARG NAME=x\nFROM a AS $NAME\n") == "");
}

TEST_CASE("SecretsUsedInArgOrEnv") {
    CHECK(rules("FROM scratch\nARG GITHUB_TOKEN\nENV a=b DB_PASSWORD=x\n") ==
          "SecretsUsedInArgOrEnv@2:5+12 SecretsUsedInArgOrEnv@3:9+11");
    CHECK(rules("ARG api_key\nFROM scratch\n") == "SecretsUsedInArgOrEnv@1:5+7");
    CHECK(rules("FROM scratch\nENV PUBLIC_KEY=x TOKEN_FILE=y KEYBOARD=z AWS_ACCESS_KEY_ID=a MONKEY=b\n") ==
          "");
}

TEST_CASE("UndefinedArgInFrom") {
    CHECK(rules("ARG VERSION=1\nFROM a:$VERSOIN\n") == "UndefinedArgInFrom@2:8+8");
    const auto found = linted::findings("ARG VERSION=1\nFROM a:$VERSOIN\n");
    CHECK(found.list.front().hint == "did you mean VERSION?");
    CHECK(rules("FROM --platform=$PLATFORM a\n") == "UndefinedArgInFrom@1:17+9");
    CHECK(rules("FROM a AS x\nARG V=1\nFROM b:$V\n") == "UndefinedArgInFrom@3:8+2");
    CHECK(rules("FROM a:${V:-1}\n") == "");
    CHECK(rules("FROM --platform=$BUILDPLATFORM a:$TARGETARCH\n") == "");
}

TEST_CASE("UndefinedVar from scratch: everything is known") {
    CHECK(rules("FROM scratch\nENV A=$B\n") == "UndefinedVar@2:7+2");
    CHECK(rules("FROM scratch\nARG B\nENV A=$B C=${D:-x} PATH=/x:$PATH\nCOPY $B /y$A\n") == "");
    CHECK(rules("FROM scratch AS x\nENV A=1\nFROM x\nWORKDIR /$A/${B}\n") == "UndefinedVar@4:13+3");
    CHECK(rules("FROM scratch\nENV A='$B'\nRUN echo $C\n") == "");
    CHECK(rules("FROM scratch AS x\nONBUILD ARG V=1\nFROM x\nLABEL v=$V\n") == "");
}

TEST_CASE("UndefinedVar on an image: only what speaks for a mistake") {
    CHECK(rules("FROM a\nENV PATH=$JAVA_HOME/bin:$PATH\nWORKDIR $HOME\nUSER $UNKNOWN\n") == "");
    CHECK(rules("FROM a\nARG APP_VERSION=1\nCOPY app-$APP_VERSOIN.jar /\n") == "UndefinedVar@3:10+12");
    CHECK(rules("ARG V=1\nFROM a:$V\nLABEL v=${V}\n") == "UndefinedVar@3:9+3");
    CHECK(rules("ARG V=1\nFROM a:$V\nARG V\nLABEL v=${V}\n") == "");
    CHECK(rules("FROM a\nCOPY x-$TARGETARCH /\n") == "UndefinedVar@2:8+11");
    CHECK(rules("FROM a\nENV PYTHON3_HOME=/x\nENV A=$PYTHON2_HOME\n") == "");
}

TEST_CASE("WorkdirRelativePath") {
    CHECK(rules("FROM a\nWORKDIR app\nWORKDIR more\n") == "WorkdirRelativePath@2:9+3");
    CHECK(rules("FROM a AS x\nWORKDIR /app\nWORKDIR more\nFROM x\nWORKDIR yet\n") == "");
    CHECK(rules("FROM a\nWORKDIR $HOME\nWORKDIR x\n") == "");
}

TEST_CASE("AddGitRepository") {
    CHECK(rules("FROM scratch\nADD https://x.example/a/b.git#v1 /b\nADD git@x.example:a/b /c\n") ==
          "AddGitRepository@2:5+28 AddGitRepository@3:5+17");
    CHECK(rules("FROM scratch\nADD https://x.example/a.git.tar /b\nCOPY a.git /c\n") == "");
}

TEST_CASE("StageNameTypo") {
    CHECK(rules("FROM a AS builder\nFROM b\nCOPY --from=bilder /x /x\n") == "StageNameTypo@3:13+6");
    CHECK(linted::findings("FROM a AS builder\nFROM b\nCOPY --from=bilder /x /x\n").list[0].hint ==
          "did you mean builder?");
    CHECK(rules("FROM a AS builder\nFROM builde\n") == "StageNameTypo@2:6+6");
    CHECK(rules("FROM a AS builder\nFROM b\nRUN --mount=type=bind,from=buildre,target=/x y\n") ==
          "StageNameTypo@3:28+7");
    CHECK(rules("FROM a AS stage1\nFROM b\nCOPY --from=stage2 /x /x\n") == "");
    CHECK(rules("FROM a AS nginx\nFROM b\nCOPY --from=nginx:1 /x /x\n") == "");
    CHECK(rules("FROM a AS go\nFROM b\nCOPY --from=jo /x /x\n") == "");
}

TEST_CASE("what the planner notices has rules too, and can be skipped") {
    CHECK(rules("FROM a\nCMD [\"b\"] x\n") == "JsonTrailing@2:0+0");
    CHECK(rules("# check=skip=JsonTrailing\nFROM a\nCMD [\"b\"] x\n") == "");
    CHECK(rules("FROM a\n", {.build_args = {{"X", "1"}}}) == "UnusedBuildArg@0:0+0");
    CHECK(rules("# check=skip=StageNameCasing\nFROM a AS X\nFROM x\n") == "StageNameCase@3:0+0");
    CHECK(rules("FROM a\nENV X=ab Y=${X%?b}\n") == "");
    CHECK(rules("FROM a\nENV X=a\nLABEL Y=$$X\n") == "ExpansionDiffers@3:0+0");
}

TEST_CASE("a file skips rules, one instruction too") {
    CHECK(rules("# check=skip=StageNameCasing,FromAsCasing\nFROM a as X\n") == "");
    CHECK(rules("# check=skip=all\nFROM a as X\nMAINTAINER x\n") == "");
    CHECK(
        rules("FROM a\n# check=skip=MaintainerDeprecated because of history\nMAINTAINER x\nMAINTAINER y\n") ==
        "MaintainerDeprecated@4:1+10");
    CHECK(rules("FROM a\n# check=skip=MaintainerDeprecated\n\nMAINTAINER x\n") ==
          "MaintainerDeprecated@4:1+10");
}

TEST_CASE("CheckDirective") {
    const auto found = linted::findings("# check=skip=StageNameCasin;error=maybe;other\nFROM a\n");
    REQUIRE(found.list.size() == 3);
    CHECK(found.list[0].message == "check: there is no rule StageNameCasin; did you mean StageNameCasing?");
    CHECK(found.list[1].message == "check: error=maybe is neither true nor false");
    CHECK(found.list[2].message.contains("other is none of"));
    CHECK(rules("# check=skip=InvalidBaseImagePlatform;experimental=all;error=true\nFROM a\n") == "");
}

TEST_CASE("a file that asks for errors gets them for BuildKit's rules alone") {
    CHECK(linted::findings("# check=error=true\nFROM a as x\n").fails);
    CHECK_FALSE(linted::findings("# check=error=true\nFROM a\nRUN mount x y\n").fails);
    CHECK_FALSE(linted::findings("# check=error=true;skip=FromAsCasing\nFROM a as x\n").fails);
    CHECK_FALSE(linted::findings("FROM a as x\n").fails);
}

TEST_CASE("every rule has its row in the documentation, and only rules have") {
    std::ifstream in(std::string(SLIPWAY_TEST_DIR) + "/../../docs/lint.md");
    std::ostringstream page;
    page << in.rdbuf();
    const std::string text = page.str();
    std::set<std::string> documented;
    const std::regex row(R"(\n\| `([A-Za-z]+)` \|)");
    for (std::sregex_iterator at(text.begin(), text.end(), row), end; at != end; ++at) {
        CHECK(documented.insert((*at)[1]).second);
    }
    std::set<std::string> known;
    for (const auto& rule : slipway::lint::rules()) {
        CHECK(known.insert(std::string(rule.name)).second);
        CHECK(rule.summary.ends_with("."));
    }
    CHECK(documented == known);
}
