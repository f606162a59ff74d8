#include "steps/inspect.hpp"

#include "base/fd.hpp"
#include "frames/check.hpp"
#include "frames/frame.hpp"
#include "frames/reader.hpp"
#include "frames/render.hpp"
#include "pod/probe.hpp"
#include "pod/recipe.hpp"
#include "pod/report.hpp"
#include "source/git.hpp"
#include "steps/step.hpp"
#include "steps/verbs.hpp"
#include "steps/work.hpp"

#include <format>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <unistd.h>
#include <zstd.h>

#ifndef SLIPWAY_COMMIT
#define SLIPWAY_COMMIT "unknown"
#endif

namespace slipway::steps {

int print(std::string_view text) {
    return write_all(STDOUT_FILENO, text) ? 0 : exit_status(ErrorClass::internal);
}

int print_version(const cli::Version& params) {
    const nlohmann::ordered_json libraries{{"libgit2", source::git_library_version()},
                                           {"openssl", ::OpenSSL_version(OPENSSL_VERSION_STRING)},
                                           {"zstd", ::ZSTD_versionString()}};
    if (params.json) {
        const nlohmann::ordered_json json{{"version", program_version()},
                                          {"protocol", frames::protocol_version},
                                          {"commit", SLIPWAY_COMMIT},
                                          {"libraries", libraries}};
        return print(json.dump(2) + "\n");
    }
    std::string text = std::format("slipway {} (frame protocol {}, commit {})\n", program_version(),
                                   frames::protocol_version, SLIPWAY_COMMIT);
    for (const auto& [name, version] : libraries.items()) {
        text += std::format("{} {}\n", name, version.get<std::string>());
    }
    return print(text);
}

int run_doctor(const cli::Doctor& params) {
    const pod::Report report = pod::probe({.work = work_directory(params.work), .state = {}});
    const auto recipe = pod::choose(report);
    const int printed =
        print(params.json ? pod::render_json(report, recipe) : pod::render_text(report, recipe));
    return printed != 0 || recipe ? printed : exit_status(recipe.error().klass);
}

namespace {

int check(frames::StreamReader& stream) {
    const frames::CheckReport report = frames::check_stream(stream);
    std::string text;
    for (const frames::Violation& violation : report.violations) {
        text += std::format("line {}: {}: {}\n", violation.line, violation.rule, violation.message);
    }
    text += std::format("{} frames of {} steps, {} foreign lines, {} violations: {}\n", report.frames,
                        report.steps, report.foreign, report.violation_count, report.ok() ? "ok" : "not ok");
    const int printed = print(text);
    return printed != 0 || report.ok() ? printed : exit_status(ErrorClass::build);
}

int render(frames::StreamReader& stream, bool colour) {
    int printed = 0;
    frames::Renderer renderer({.colour = colour}, [&](std::string_view text) { printed |= print(text); });
    for (;;) {
        auto line = stream.next();
        if (!line || !*line) {
            renderer.finish();
            return line ? printed : report(line.error());
        }
        renderer.consume((*line)->text);
    }
}

} // namespace

int run_frames(const cli::Frames& params) {
    auto stream = frames::StreamReader::open(params.file);
    if (!stream) {
        return report(stream.error());
    }
    return params.action == cli::Frames::Action::check ? check(*stream) : render(*stream, params.color);
}

} // namespace slipway::steps
