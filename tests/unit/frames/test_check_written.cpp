// What the writing side encodes is what the reading side expects: every kind, once, through the checker.
#include "frames/check.hpp"
#include "frames/encode.hpp"
#include "frames/render.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace slipway;
using namespace slipway::frames;

TEST_CASE("every kind as encoded keeps the checker's table") {
    using namespace std::chrono_literals;
    Hello hello;
    hello.version = "0.1.0";
    hello.build_id = "b";
    hello.does = "build";
    hello.recipe = Recipe{.name = "userns", .isolation = "chroot", .reason = "allowed"};
    hello.storage = Storage{.driver = "overlay", .path = "/var"};
    hello.limits = {.timeout = 1h,
                    .grace = 5s,
                    .heartbeat = 10s,
                    .log_budget = 1,
                    .memory = 2,
                    .storage = 3,
                    .processes = 4};
    ErrorFrame error;
    error.code = "builderror";
    error.klass = ErrorClass::build;
    error.message = "it failed";
    error.cause = "cause";
    error.hint = "hint";
    error.where = Where{.file = "Dockerfile", .line = 3, .column = 2, .quote = "RUN x"};
    error.exit = 10;
    error.child_exit = 2;
    End end;
    end.status = EndStatus::succeeded;
    end.frames = 17;
    end.archive = "/logs/x.zst";
    const Command command{.n = 1,
                          .of = 1,
                          .stage = "app",
                          .line = 2,
                          .text = "RUN x",
                          .state = CommandState::started,
                          .duration = {},
                          .trust = Trust::text};
    Command done = command;
    done.state = CommandState::done;
    done.duration = 5ms;
    const std::vector<Payload> payloads{
        hello,
        Phase{.name = PhaseName::pulling,
              .pull = Pull{.registry = "r", .image = "i", .tag = "t", .digest = "d", .username = "u"}},
        Phase{.name = PhaseName::building, .pull = {}},
        command,
        Log{.stream = Lane::err, .n = 1, .text = "text", .more = true, .dropped = 5, .tail = false},
        Log{.stream = Lane::err, .n = 1, .text = "rest", .more = false, .dropped = 0, .tail = false},
        done,
        Progress{.what = "pull", .id = "x", .current = 1, .total = 2, .unit = Unit::layers},
        Heartbeat{.elapsed = 1s, .memory = 1, .memory_limit = 2, .storage_free = 3, .inodes_free = 4},
        Heartbeat{.elapsed = 1s, .memory = {}, .memory_limit = {}, .storage_free = {}, .inodes_free = {}},
        Warning{.code = "c",
                .message = "m",
                .hint = "h",
                .rule = "r",
                .where = slipway::Where{.file = "f", .line = 1, .column = 2, .quote = "q"}},
        Image{.id = "i",
              .digest = "d",
              .config_digest = "c",
              .media_type = "m",
              .platform = "p",
              .size = 1,
              .layers = 1,
              .base_images = {{.name = "n", .digest = "d"}}},
        Layer{.digest = "d", .size = 1, .media_type = "m", .from = LayerOrigin::base},
        ResultFrame{.name = "n", .value = std::string(9000, 'v')},
        Timing{.what = "w",
               .start = std::chrono::system_clock::now(),
               .duration = 1s,
               .cpu = 1s,
               .peak_memory = 1,
               .bytes = 1},
        error,
        end,
    };
    Checker checker;
    std::string text;
    Renderer renderer({}, [&](std::string_view piece) { text += piece; });
    std::uint64_t seq = 0;
    for (const Payload& payload : payloads) {
        const std::string line =
            encode(++seq, std::chrono::system_clock::time_point(1'000'000s), "build", payload);
        checker.consume(std::string_view(line).substr(0, line.size() - 1));
        renderer.consume(line);
    }
    const CheckReport report = checker.finish();
    for (const Violation& it : report.violations) {
        UNSCOPED_INFO(it.line << " " << it.rule << " " << it.message);
    }
    CHECK(report.ok());
    CHECK(report.complete);
    renderer.finish();
    for (const auto* part :
         {"recipe userns (allowed)", "pulling r/i:t@d as u", "[1/1 app]", "text", "builderror", "it failed",
          "Dockerfile:3:2", "3 │ RUN x", "whole log: /logs/x.zst"}) {
        INFO(text);
        CHECK(text.contains(part));
    }
}
