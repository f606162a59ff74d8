// Rules about what a build takes from where: images and stages, platforms, the context.
#include "dockerfile/text.hpp"
#include "lint/pass.hpp"
#include "lint/slip.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace slipway::lint {

namespace {

using dockerfile::Instruction;
using dockerfile::shown;

void check_platform(Pass& pass, const StageView& stage) {
    const dockerfile::Flag* flag = stage.from->flag("platform");
    if (flag == nullptr || flag->value.empty()) {
        return;
    }
    const std::string& value = flag->value;
    if (value == "$TARGETPLATFORM" || value == "${TARGETPLATFORM}") {
        pass.find("RedundantTargetPlatform", *stage.from, value,
                  std::format("--platform={} is what FROM does anyway", value), "leave the flag out");
        return;
    }
    if (value.contains('$')) {
        return;
    }
    // A stage that says in its name what it is for means it.
    const std::size_t slash = value.find('/');
    const std::string_view os = std::string_view(value).substr(0, slash);
    const std::string_view rest =
        slash == std::string::npos ? std::string_view{} : std::string_view(value).substr(slash + 1);
    const std::string_view architecture = rest.substr(0, rest.find('/'));
    if (!stage.name.contains(os) && (architecture.empty() || !stage.name.contains(architecture))) {
        pass.find(
            "FromPlatformFlagConstDisallowed", *stage.from, value,
            std::format("the stage is always built for {}, whatever the image is built for", shown(value)),
            std::format("write $BUILDPLATFORM or $TARGETPLATFORM, or name the stage after {}", shown(os)));
    }
}

/// "did you mean": an image called like an earlier stage but for one slip.
void check_stage_typo(Pass& pass, const Instruction& at, std::string_view spelling, std::size_t stage) {
    if (spelling.size() < 4 || spelling.find_first_of("/:@.$") != std::string_view::npos ||
        !pass.has_room("StageNameTypo")) {
        return;
    }
    const std::size_t first = stage > 200 ? stage - 200 : 0;
    std::string_view near;
    for (std::size_t i = first; i < stage; ++i) {
        if (pass.stages[i].name == spelling) {
            return;
        }
        if (one_slip(spelling, pass.stages[i].name)) {
            near = pass.stages[i].name;
        }
    }
    if (!near.empty()) {
        pass.find("StageNameTypo", at, spelling,
                  std::format("{} is taken for an image: no stage is named so", shown(spelling)),
                  std::format("did you mean {}?", shown(near)));
    }
}

void check_references(Pass& pass, std::size_t index) {
    const StageView& stage = pass.stages[index];
    check_stage_typo(pass, *stage.from, stage.from->arguments[0], index);
    for (const Instruction* instruction : stage.body) {
        if (instruction->keyword == "COPY") {
            if (const dockerfile::Flag* from = instruction->flag("from")) {
                check_stage_typo(pass, *instruction, from->value, index);
            }
        } else if (instruction->keyword == "RUN") {
            for (const dockerfile::Flag& flag : instruction->flags) {
                const std::size_t from = flag.name == "mount" ? flag.value.find("from=") : std::string::npos;
                if (from != std::string::npos && (from == 0 || flag.value[from - 1] == ',')) {
                    std::string_view name = std::string_view(flag.value).substr(from + 5);
                    name = name.substr(0, name.find(','));
                    check_stage_typo(pass, *instruction, name, index);
                }
            }
        }
    }
}

bool is_git(std::string_view source) {
    static constexpr std::array<std::string_view, 3> schemes{"git://", "ssh://", "git@"};
    if (std::ranges::any_of(schemes, [&](auto scheme) { return source.starts_with(scheme); })) {
        return true;
    }
    const bool web = source.starts_with("http://") || source.starts_with("https://");
    const std::string_view path = source.substr(0, source.find_first_of("#?"));
    return web && path.ends_with(".git");
}

void check_git_sources(Pass& pass) {
    for (const Instruction& instruction : pass.file.instructions) {
        if (instruction.keyword != "ADD") {
            continue;
        }
        for (std::size_t i = 0; i + 1 < instruction.arguments.size(); ++i) {
            const std::string& source = instruction.arguments[i];
            if (is_git(source)) {
                pass.find("AddGitRepository", instruction, source,
                          std::format("ADD {} needs git beside buildah; without it the directory stays empty "
                                      "and the build goes on",
                                      shown(source)),
                          "clone it in a RUN of a stage that has git, or make it a submodule of the source");
            }
        }
    }
}

} // namespace

void check_images(Pass& pass) {
    for (std::size_t i = 0; i < pass.stages.size(); ++i) {
        check_platform(pass, pass.stages[i]);
        check_references(pass, i);
    }
    check_git_sources(pass);
}

} // namespace slipway::lint
