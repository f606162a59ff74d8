// Plans as text for golden files: every member that matters, one line each.
#pragma once

#include "dockerfile/plan.hpp"

#include <format>
#include <string>

namespace dump {

inline std::string list(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) {
        out += (out.empty() ? "" : " | ") + item;
    }
    return "[" + out + "]";
}

inline std::string map(const auto& items) {
    std::string out;
    for (const auto& [name, value] : items) {
        out += (out.empty() ? "" : " | ") + name + "=" + value;
    }
    return "[" + out + "]";
}

inline std::string command(const slipway::dockerfile::BuildPlan& plan,
                           const slipway::dockerfile::Command& command) {
    const auto& stage = plan.stages[static_cast<std::size_t>(command.stage)];
    std::string out =
        std::format("  {:>2} [{}/{}] {}/{} line {}: {}\n", command.n, stage.index + 1, plan.stages_printed,
                    command.position, stage.commands.size(), command.line, command.text);
    const auto member = [&](std::string_view name, const std::vector<std::string>& items) {
        if (!items.empty()) {
            out += std::format("       {} {}\n", name, list(items));
        }
    };
    for (const auto& reference : command.references) {
        out += std::format("       {} {} = {}\n", to_string(reference.kind), reference.spelling,
                           reference.stage < 0 ? "image" : std::format("stage {}", reference.stage));
    }
    member("sources", command.local_sources);
    member("remote", command.remote_sources);
    member("mounted", command.mounted_sources);
    member("secrets", command.secrets);
    if (command.needs_ssh) {
        out += "       ssh\n";
    }
    if (command.from_onbuild) {
        out += "       trigger\n";
    }
    return out;
}

inline std::string plan(const slipway::dockerfile::BuildPlan& plan) {
    using slipway::dockerfile::BaseKind;
    std::string out =
        std::format("target {} of {}, {} commands, order", plan.target, plan.stages.size(), plan.commands);
    for (const int index : plan.order) {
        out += std::format(" {}", index);
    }
    out += "\n";
    for (const auto& stage : plan.stages) {
        const std::string base = stage.base.kind == BaseKind::scratch ? "scratch"
                                 : stage.base.kind == BaseKind::stage
                                     ? std::format("stage {}", stage.base.stage)
                                     : "image " + stage.base.spelling;
        out += std::format("stage {} {} line {} on {}{}{}\n", stage.index, stage.display_name, stage.line,
                           base, stage.base.platform.empty() ? "" : " for " + stage.base.platform,
                           stage.runs ? "" : " (left out)");
        for (const auto& each : stage.commands) {
            out += command(plan, each);
        }
        if (const auto env = stage.env.all(); !env.empty()) {
            out += "  env " + map(env) + "\n";
        }
    }
    for (const auto& image : plan.images) {
        out += std::format("image {}{}:", image.spelling,
                           image.platform.empty() ? "" : " for " + image.platform);
        for (const auto& use : image.uses) {
            out += std::format(" {} #{} line {};", to_string(use.kind), use.n, use.line);
        }
        out += "\n";
    }
    if (plan.needs_docker_format) {
        out += "docker format " + list(plan.docker_format_reasons) + "\n";
    }
    const auto& final = plan.final_stage;
    out += std::format(
        "final user={} workdir={} expose={} entrypoint={} cmd={} stop={} volumes={} labels={}\n", final.user,
        final.workdir, list(final.expose), final.entrypoint ? list(*final.entrypoint) : "-",
        final.cmd ? list(*final.cmd) : "-", final.stop_signal, list(final.volumes), map(final.labels));
    for (const auto& warning : plan.warnings) {
        out += std::format("warning {} line {}: {} ({})\n", warning.code, warning.line, warning.message,
                           warning.hint);
    }
    return out;
}

} // namespace dump
