#include "lint/rules.hpp"

#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>

namespace slipway::lint {

namespace {

using enum Origin;
using enum Severity;

constexpr std::array table{
    Rule{"ConsistentInstructionCasing", buildkit, warning, false,
         "Keywords of one file are all in upper or all in lower case."},
    // Nothing here looks for it: resolve refuses what is not in the context (contextissue). The name is known
    // because files name it in `check=skip=…`.
    Rule{"CopyIgnoredFile", buildkit, warning, false,
         "COPY and ADD name nothing that the ignore file keeps out."},
    Rule{"DuplicateStageName", buildkit, warning, false,
         "Names of stages are unique, also without regard to case."},
    Rule{"ExposeInvalidFormat", buildkit, warning, false, "EXPOSE names ports, not addresses or mappings."},
    Rule{"ExposeProtoCasing", buildkit, warning, false, "The protocol in EXPOSE is in lower case."},
    Rule{"FromAsCasing", buildkit, warning, false, "AS has the case of its FROM."},
    Rule{"FromPlatformFlagConstDisallowed", buildkit, warning, false,
         "FROM --platform is not fixed to one platform."},
    Rule{"InvalidDefaultArgInFrom", buildkit, warning, false,
         "FROM names an image also without build arguments."},
    Rule{"InvalidDefinitionDescription", buildkit, warning, true,
         "A comment right above ARG or FROM … AS describes it."},
    Rule{"JSONArgsRecommended", buildkit, warning, false,
         "CMD and ENTRYPOINT are JSON arrays, so that signals arrive."},
    Rule{"LegacyKeyValueFormat", buildkit, warning, false, "ENV and LABEL have an equals sign."},
    Rule{"MaintainerDeprecated", buildkit, warning, false, "Authors are named by a label."},
    Rule{"MultipleInstructionsDisallowed", buildkit, warning, false,
         "A stage has one CMD, ENTRYPOINT and HEALTHCHECK."},
    Rule{"NoEmptyContinuation", buildkit, warning, false, "A continued instruction has no empty lines."},
    Rule{"RedundantTargetPlatform", buildkit, warning, false,
         "FROM does not ask for the target platform: that is the default."},
    Rule{"ReservedStageName", buildkit, warning, false, "No stage is called scratch or context."},
    Rule{"SecretsUsedInArgOrEnv", buildkit, warning, false, "ARG and ENV hold no secrets."},
    Rule{"StageNameCasing", buildkit, warning, false, "Names of stages are in lower case."},
    Rule{"UndefinedArgInFrom", buildkit, warning, false, "FROM uses variables declared above it."},
    Rule{"UndefinedVar", buildkit, warning, false,
         "Variables are defined in the stage before they are used."},
    Rule{"WorkdirRelativePath", buildkit, warning, false, "The first WORKDIR of a stage is absolute."},

    Rule{"AddGitRepository", slipway, warning, false,
         "Git repositories are fetched before the build, not by ADD."},
    Rule{"CheckDirective", slipway, warning, false,
         "The check directive names options and rules that exist."},
    Rule{"FileCapabilities", slipway, note, false, "File capabilities need a pod that can write them."},
    Rule{"LostFile", slipway, warning, false, "RUN does not write files that the builder mounts over."},
    Rule{"RecursiveChown", slipway, note, false,
         "Owners are set while copying, not by a second copy of every file."},
    Rule{"ShellIgnored", slipway, warning, false, "CMD and ENTRYPOINT name the shell they want themselves."},
    Rule{"StageNameTypo", slipway, warning, false,
         "An image is not named like a stage but for one character."},
    Rule{"UnprivilegedContainerEngine", slipway, warning, false, "RUN starts no containers."},
    Rule{"UnprivilegedDevice", slipway, warning, false, "RUN makes no devices."},
    Rule{"UnprivilegedKernelModule", slipway, warning, false, "RUN loads no kernel modules."},
    Rule{"UnprivilegedKernelSetting", slipway, warning, false, "RUN changes no settings of the kernel."},
    Rule{"UnprivilegedMount", slipway, warning, false, "RUN mounts nothing itself."},
    Rule{"UnprivilegedNamespace", slipway, warning, false, "RUN enters no namespaces but those of users."},
    Rule{"UnprivilegedNetworkAdmin", slipway, warning, false, "RUN changes nothing about the pod's network."},
    Rule{"UnprivilegedNetworkFlag", slipway, warning, false,
         "RUN --network does not promise what the pod cannot keep."},
    Rule{"UnprivilegedPort", slipway, note, false, "RUN listens on ports from 1024 on."},
    Rule{"UnprivilegedService", slipway, warning, false, "RUN starts no services by a service manager."},
    Rule{"UnprivilegedUserId", slipway, warning, false,
         "User and group ids fit into the build's user namespace."},

    Rule{"DirectiveTwice", planner, warning, false, "A directive stands once."},
    Rule{"EscapeIgnored", planner, warning, false, "The escape directive is on the first line."},
    Rule{"EscapeValue", planner, warning, false, "The escape directive names one character."},
    Rule{"ExpansionDiffers", planner, warning, false, "Every builder makes the same of a word's variables."},
    Rule{"FlagIgnored", planner, warning, false, "Flags stand only where they have a meaning."},
    Rule{"JsonInvalid", planner, warning, false, "What looks like the JSON form is JSON."},
    Rule{"JsonTrailing", planner, warning, false, "Nothing follows the JSON form."},
    Rule{"LaterStage", planner, warning, false, "FROM does not name a stage that comes later."},
    Rule{"OnbuildHeredoc", planner, warning, false, "ONBUILD has no here-document."},
    Rule{"StageNameCase", planner, warning, false, "A stage is named as it is spelled behind AS."},
    Rule{"UnusedBuildArg", planner, warning, false, "Every build argument is taken by an ARG."},
};

} // namespace

std::span<const Rule> rules() noexcept {
    return table;
}

const Rule* find_rule(std::string_view name) noexcept {
    const auto* found = std::ranges::find_if(
        table, [&](const Rule& rule) { return dockerfile::equal_ignoring_case(rule.name, name); });
    return found == table.end() ? nullptr : found;
}

std::string_view to_string(Severity severity) noexcept {
    switch (severity) {
    case note: return "note";
    case warning: return "warning";
    case error: return "error";
    }
    return "";
}

} // namespace slipway::lint
