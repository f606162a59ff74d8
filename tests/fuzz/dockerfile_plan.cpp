// A Dockerfile with a target, a platform and build arguments: a plan whose numbers fit together, or an error.
// The first lines are options: `@target=…`, `@platform=…`, `@noskip`, `@oci`, `@NAME=value` (a build
// argument).
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "hold.hpp"

#include <cstdint>

namespace {

using namespace slipway::dockerfile;

std::string_view read_options(std::string_view text, PlanOptions& options) {
    while (text.starts_with('@')) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(1, end - 1);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t equals = line.find('=');
        const std::string name(line.substr(0, equals));
        const std::string value(equals == std::string_view::npos ? std::string_view{}
                                                                 : line.substr(equals + 1));
        if (name == "target") {
            options.target = value;
        } else if (name == "platform") {
            options.platform = value;
        } else if (name == "noskip") {
            options.skip_unused_stages = false;
        } else if (name == "oci") {
            options.oci_format = true;
        } else {
            options.build_args.emplace_back(name, value);
        }
    }
    return text;
}

void require(bool holds) {
    hold(holds);
}

void check(const BuildPlan& plan) {
    require(!plan.order.empty() && plan.order.back() == plan.target);
    int n = 0;
    for (const int index : plan.order) {
        const Stage& stage = plan.stages.at(static_cast<std::size_t>(index));
        require(stage.runs && !stage.commands.empty() && stage.commands.front().keyword == "FROM");
        require(
            stage.base.kind != BaseKind::stage ||
            (stage.base.stage < index && plan.stages.at(static_cast<std::size_t>(stage.base.stage)).runs));
        int position = 0;
        for (const Command& command : stage.commands) {
            require(command.n == ++n && command.position == ++position && command.stage == index);
            require(command.line >= 1 && command.end_line >= command.line);
            for (const Reference& reference : command.references) {
                require(reference.stage < index);
            }
            require(find_command(plan, index + 1, position, static_cast<int>(stage.commands.size())) ==
                    &command);
        }
    }
    require(n == plan.commands);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    PlanOptions options;
    const std::string_view text =
        read_options(std::string_view(reinterpret_cast<const char*>(data), size), options);
    const auto file = parse(text, "Dockerfile");
    if (!file) {
        require(file.error().where.has_value());
        return 0;
    }
    if (const auto made = plan(*file, options)) {
        check(*made);
    } else {
        require(!made.error().message.empty());
    }
    return 0;
}
