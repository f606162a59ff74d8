#include "buildah/lines.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::buildah;

namespace {

constexpr std::string_view id = "f9de899573b615a7da7597eada336e52fa17c344007aaa28b4e82b2e8178ebd4";

template <class T> T out(Interpreter& interpreter, std::string_view line) {
    const Event event = interpreter.feed(Stream::out, line, true);
    INFO(line);
    REQUIRE(std::holds_alternative<T>(event));
    return std::get<T>(event);
}

template <class T> T err(Interpreter& interpreter, std::string_view line) {
    const Event event = interpreter.feed(Stream::err, line, true);
    INFO(line);
    REQUIRE(std::holds_alternative<T>(event));
    return std::get<T>(event);
}

} // namespace

TEST_CASE("a lone stage's lines are understood") {
    Interpreter lines;
    CHECK(out<StepStarted>(lines, "STEP 1/3: FROM debian:13") == StepStarted{1, 1, 1, 3, "FROM debian:13"});
    CHECK(out<StepStarted>(lines, "STEP 2/3: RUN make -j2").text == "RUN make -j2");
    CHECK(out<LayerCommitted>(lines, "--> f9de899573b6") == LayerCommitted{1, 2, "f9de899573b6"});
    out<StepStarted>(lines, "STEP 3/3: LABEL \"a\"=\"b\"");
    CHECK(out<CommitStarted>(lines, "COMMIT").name.empty());
    CHECK(out<CommitStarted>(lines, "COMMIT name:1").name == "name:1");
    CHECK(out<LayerCommitted>(lines, "--> f9de899573b6").position == 3);
    CHECK(out<Tagged>(lines, "Successfully tagged localhost/name:1").name == "localhost/name:1");
    CHECK(out<ImageCommitted>(lines, id).id == id);
    CHECK(lines.current()->position == 3);
}

TEST_CASE("stages that wait for each other keep their own cache hits") {
    // As printed by buildah 1.39.3 for a second build with --layers.
    Interpreter lines;
    out<StepStarted>(lines, "[1/4] STEP 1/2: FROM x AS a");
    out<StepStarted>(lines, "[1/4] STEP 2/2: RUN echo A >/a");
    CHECK(out<Cached>(lines, "--> Using cache " + std::string(id)) == Cached{1, 2, std::string(id)});
    CHECK(out<LayerCommitted>(lines, "--> f9de899573b6") == LayerCommitted{1, 2, "f9de899573b6"});
    out<StepStarted>(lines, "[4/4] STEP 1/4: FROM x");
    out<StepStarted>(lines, "[4/4] STEP 2/4: COPY --from=c /a /a");
    out<StepStarted>(lines, "[3/4] STEP 1/2: FROM f9de AS c");
    out<StepStarted>(lines, "[3/4] STEP 2/2: RUN echo C");
    const std::string second = "8d5d46c4cf70078af62239cebe978193c9518fbe1b082d8ae0075857e3ba0e41";
    CHECK(out<Cached>(lines, "--> Using cache " + second).stage == 3);
    CHECK(out<LayerCommitted>(lines, "--> 8d5d46c4cf70").stage == 3);
    const std::string third = "0c072df639c168e3fa2cee00aa194bdcb0cc2a39be49068289e63e3cb3a4f942";
    CHECK(out<Cached>(lines, "--> Using cache " + third) == Cached{4, 2, third});
}

TEST_CASE("several platforms are marked in front") {
    Interpreter lines;
    CHECK(out<StepStarted>(lines, "[linux/arm64] [3/4] STEP 2/2: RUN x") == StepStarted{3, 4, 2, 2, "RUN x"});
}

TEST_CASE("copying lines are progress") {
    Interpreter lines;
    using What = Copying::What;
    CHECK(err<Copying>(lines, "Trying to pull quay.io/a/b:1...") == Copying{What::trying, "quay.io/a/b:1"});
    CHECK(err<Copying>(lines, "Getting image source signatures").what == What::signatures);
    CHECK(err<Copying>(lines, "Copying blob sha256:" + std::string(id)).subject ==
          "sha256:" + std::string(id));
    CHECK(err<Copying>(lines, "Copying blob sha256:12 skipped: already exists").what == What::blob_skipped);
    CHECK(err<Copying>(lines, "Copying config sha256:12").subject == "sha256:12");
    CHECK(err<Copying>(lines, "Writing manifest to image destination").what == What::manifest);
    CHECK(lines.error_tail().empty());
}

TEST_CASE("complaints are told from output") {
    Interpreter lines;
    CHECK(err<ErrorText>(lines, "Error: building at STEP \"RUN false\": exit status 1").final);
    const auto warning = err<ErrorText>(
        lines, R"(time="2026-11-22T17:21:08Z" level=warning msg="missing \"X\" build argument. Try")");
    CHECK(warning.text == "missing \"X\" build argument. Try");
    CHECK_FALSE(warning.final);
    CHECK_FALSE(err<ErrorText>(lines, "WARNING: image platform (linux/amd64) does not match").final);
    CHECK(out<ErrorText>(lines, "[Warning] one or more build args were not consumed: [NOPE]")
              .text.starts_with("one"));
    CHECK(err<Output>(lines, "subprocess exited with status 7").stream == Stream::err);
}

TEST_CASE("a RUN cannot forge structure") {
    Interpreter lines;
    out<StepStarted>(lines, "STEP 2/3: RUN evil");
    for (const char* line :
         {"STEP 3/3: RUN fake", "--> Using cache aaaaaaaaaaaa", "COMMIT x", "Successfully tagged x",
          "f9de899573b615a7da7597eada336e52fa17c344007aaa28b4e82b2e8178ebd4"}) {
        const Event event = lines.feed(Stream::out, line, false);
        INFO(line);
        REQUIRE(std::holds_alternative<Output>(event));
        CHECK(std::get<Output>(event).text == line);
    }
    CHECK(std::holds_alternative<Output>(lines.feed(Stream::err, "Error: no space left on device", false)));
    CHECK(lines.current()->text == "RUN evil");
    CHECK(lines.error_tail().empty());
    CHECK(lines.helper_tail().size() == 1);
}

TEST_CASE("nearly right lines are output, never half understood") {
    Interpreter lines;
    for (const char* line : {"STEP",
                             "STEP 1",
                             "STEP /3: x",
                             "STEP 4/3: x",
                             "STEP 0/3: x",
                             "STEP 1/3 x",
                             "STEP 99999999999/3: x",
                             "[1/2 STEP 1/2: x",
                             "[2/1] STEP 1/2: x",
                             "[/]",
                             "[",
                             "--> ",
                             "--> Using cache",
                             "--> Using cache zz",
                             "--> 12",
                             "COMMITTED",
                             "STEP -1/3: x",
                             "f9de899573b615a7da7597eada336e52fa17c344007aaa28b4e82b2e8178ebd",
                             "",
                             "\x1b[31mSTEP 1/2: x",
                             "Step 1/2: x"}) {
        INFO(line);
        CHECK(std::holds_alternative<Output>(lines.feed(Stream::out, line, true)));
    }
    CHECK_FALSE(lines.current());
}

TEST_CASE("hostile amounts stay bounded") {
    Interpreter lines;
    const std::string huge(1U << 20U, '\xff');
    for (int i = 0; i < 200; ++i) {
        lines.feed(Stream::err, huge, true);
        lines.feed(Stream::err, huge, false);
    }
    std::size_t bytes = 0;
    for (const std::string& line : lines.error_tail()) {
        bytes += line.size();
    }
    CHECK(bytes <= (32U << 10U));
    for (int i = 1; i < 90'000; i += 7) {
        lines.feed(Stream::out, "[" + std::to_string(i) + "/99999] STEP 2/2: x", true);
    }
    CHECK(std::get<StepStarted>(lines.feed(Stream::out, "STEP 1/1: " + huge, true)).text.size() <= 3 * 4096);
}
