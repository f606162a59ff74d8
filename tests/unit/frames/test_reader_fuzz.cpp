// Random and mutated input through everything that reads: nothing crashes, hangs or reaches the terminal raw.
#include "base/file.hpp"
#include "frames/check.hpp"
#include "frames/live.hpp"
#include "frames/render.hpp"

#include <catch2/catch_test_macros.hpp>
#include <format>
#include <random>
#include <string>
#include <vector>

using namespace slipway;
using namespace slipway::frames;

namespace {

void run_through(const std::vector<std::string>& lines, int width) {
    Checker checker;
    std::string plain;
    Renderer renderer({.colour = false, .width = width}, [&](std::string_view text) { plain += text; });
    std::size_t live_bytes = 0;
    LiveView live(
        {.render = {.colour = true}, .size = [width] { return std::optional(TerminalSize{width, 10}); }},
        [&](std::string_view text) { live_bytes += text.size(); });
    LiveView::TimePoint now{};
    for (const auto& line : lines) {
        checker.consume(line);
        renderer.consume(line);
        now += std::chrono::milliseconds(40);
        live.consume(line, now);
        live.tick(now);
    }
    const CheckReport report = checker.finish();
    CHECK(report.frames + report.foreign <= lines.size());
    renderer.finish();
    live.finish();
    for (const char c : plain) {
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n') {
            FAIL("a control character reached the text");
        }
    }
}

} // namespace

TEST_CASE("random bytes crash nothing") {
    std::mt19937 random(1); // NOLINT(cert-msc51-cpp): the same bytes in every run
    for (int round = 0; round < 60; ++round) {
        std::vector<std::string> lines;
        for (int i = 0; i < 10; ++i) {
            std::string line = random() % 2 == 0 ? "{\"slipway\":" : "";
            const std::size_t size = random() % 400;
            for (std::size_t k = 0; k < size; ++k) {
                line += static_cast<char>(random() % 256);
            }
            lines.push_back(line);
        }
        run_through(lines, 10 + static_cast<int>(random() % 100));
    }
}

TEST_CASE("mutated frames crash nothing") {
    const auto stream = read_file(std::format("{}/frames/golden/render_run.frames", SLIPWAY_TEST_DIR));
    REQUIRE(stream);
    std::vector<std::string> good;
    for (std::string_view rest = *stream; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        good.emplace_back(line);
        rest.remove_prefix(line.size() + 1);
    }
    const std::vector<std::string> splices{"-1",
                                           "99999999999999999999",
                                           "null",
                                           "\"\\u001b[2J\"",
                                           "[]",
                                           "{}",
                                           "true",
                                           "1e308",
                                           "\"\\ud800\"",
                                           ",\"kind\":\"end\"",
                                           "\x1b",
                                           "\"\"",
                                           "-9223372036854775808"};
    std::mt19937 random(2); // NOLINT(cert-msc51-cpp)
    for (int round = 0; round < 80; ++round) {
        std::vector<std::string> lines;
        for (std::string line : good) {
            switch (random() % 6) {
            case 0: { // a value replaced
                const std::size_t colon = line.find(':', random() % line.size());
                if (colon != std::string::npos) {
                    const std::size_t end = line.find_first_of(",}", colon);
                    line.replace(colon + 1, end - colon - 1, splices[random() % splices.size()]);
                }
                break;
            }
            case 1: line[random() % line.size()] = static_cast<char>(random() % 256); break;
            case 2: line.erase(random() % line.size(), random() % 20); break;
            case 3: std::swap(line, good[random() % good.size()]); break;
            default: break;
            }
            lines.push_back(line.empty() ? "x" : line);
            if (line.empty()) {
                line = "x";
            }
        }
        for (auto& line : good) {
            if (line.empty()) {
                line = "x";
            }
        }
        run_through(lines, 10 + static_cast<int>(random() % 100));
    }
}
