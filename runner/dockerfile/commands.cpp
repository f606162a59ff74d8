// Second pass of a plan: the commands of the stages that run, what they take from where, and what the image
// will say about itself.
#include "dockerfile/checks.hpp"
#include "dockerfile/lexer.hpp"
#include "dockerfile/planner.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>
#include <optional>
#include <set>
#include <utility>

namespace slipway::dockerfile {
namespace {

// Reasons for the Docker format that stages hand down to each other, in all.
constexpr std::size_t inherited_limit = 500'000;

// What an image built so far would hold.
struct State {
    Scope scope;
    FinalStage config;                        // handed down only to where the final stage comes from
    std::vector<const Instruction*> triggers; // ONBUILD instructions
    std::vector<std::string> docker_only; // "HEALTHCHECK (line 12)": lost when the image is of the OCI format
    std::set<std::string> listed;         // what is in config.expose and config.volumes already
    std::set<std::string> ports;          // exposed, without their protocols
    bool cmd_set = false;

    void list(std::vector<std::string>& into, std::string text) {
        if (listed.insert((&into == &config.expose ? "e" : "v") + text).second) {
            into.push_back(std::move(text));
        }
    }
};

bool is_remote(std::string_view source) {
    return source.starts_with("http://") || source.starts_with("https://");
}

// Git sources other than by HTTP, which buildah would look for in the context.
bool is_git(std::string_view source) {
    static constexpr std::array<std::string_view, 3> prefixes = {"git://", "git@", "ssh://"};
    return std::ranges::any_of(prefixes, [&](auto prefix) { return source.starts_with(prefix); });
}

bool names_heredoc(std::string_view word) {
    const std::size_t at = word.find_first_not_of("0123456789");
    return at != std::string_view::npos && word.substr(at).starts_with("<<");
}

// Only a relative path is cleaned, as buildah does it.
std::string join_path(std::string_view base, std::string_view path) {
    std::string out = path.starts_with('/')
                          ? std::string(path)
                          : (std::filesystem::path("/") / base / path).lexically_normal().string();
    if (out.size() > 1 && out.ends_with('/')) {
        out.pop_back();
    }
    return out;
}

// "80" → "80/tcp"; what follows a second slash is dropped.
std::string port_of(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::string(text) + "/tcp";
    }
    return std::string(text.substr(0, text.find('/', slash + 1)));
}

std::vector<std::string> command_line(const Instruction& instruction) {
    std::vector<std::string> out;
    if (!instruction.json) {
        out = {"/bin/sh", "-c"};
    }
    out.insert(out.end(), instruction.arguments.begin(), instruction.arguments.end());
    return out;
}

class CommandPass {
  public:
    explicit CommandPass(Planner& planner) : planner_(planner), plan_(planner.plan) {}

    Status run() {
        states_.resize(plan_.stages.size());
        leads_to_target_.resize(plan_.stages.size());
        for (int index = plan_.target; index >= 0;
             index = plan_.stages[static_cast<std::size_t>(index)].base.stage) {
            leads_to_target_[static_cast<std::size_t>(index)] = true;
        }
        for (const int index : plan_.order) {
            TRY(run_stage(plan_.stages[static_cast<std::size_t>(index)]));
        }
        plan_.commands = counter_;
        finish();
        return {};
    }

  private:
    Status run_stage(Stage& stage) {
        const StageDraft& draft = planner_.drafts[static_cast<std::size_t>(stage.index)];
        State& state = states_[static_cast<std::size_t>(stage.index)];
        std::vector<const Instruction*> triggers;
        if (stage.base.kind == BaseKind::stage) {
            TRY(inherit(stage, state, *draft.from));
            triggers = states_[static_cast<std::size_t>(stage.base.stage)].triggers;
        } else if (stage.base.kind == BaseKind::image && stage.base.spelling.empty()) {
            return planner_.fail_at(
                *draft.from, stage.base.written,
                std::format("FROM {} names no image once its variables are filled in",
                            shown(stage.base.written)),
                "give the ARG before the first FROM a default, or pass it as a build argument");
        }
        if (draft.platform_fault) {
            return planner_.fail_at(*draft.from, *draft.platform_fault);
        }
        if (stage.base.kind == BaseKind::image && !could_be_image(stage.base.spelling)) {
            return planner_.fail_at(*draft.from, stage.base.written,
                                    std::format("{} is no image's name", shown(stage.base.spelling)),
                                    "images have lower-case names; a variable in it may lack its value");
        }
        planner_.warn_about_base(draft);
        Command& from = add(stage, *draft.from);
        if (stage.base.kind == BaseKind::image) {
            use_image(stage.base.spelling, stage.base.platform, stage.base.written, UseKind::from, from);
        }
        if (!planner_.options.oci_format) {
            for (const Instruction* onbuild : triggers) {
                if (!onbuild->heredocs.empty()) {
                    return planner_.fail_at(
                        *onbuild, "<<",
                        std::format("line {} builds on this stage, but buildah has lost the text "
                                    "of the here-document by then",
                                    draft.from->line),
                        "put the text into a file and COPY it");
                }
                TRY(run_command(stage, state, onbuild->nested.front(), onbuild));
            }
        }
        for (const Instruction* instruction : draft.body) {
            TRY(run_command(stage, state, *instruction, nullptr));
        }
        stage.env = state.scope.finish();
        return {};
    }

    // Everything is shared or moved but for the reasons for the Docker format, which are few.
    Status inherit(const Stage& stage, State& state, const Instruction& from) {
        State& base = states_[static_cast<std::size_t>(stage.base.stage)];
        state.scope.inherit(plan_.stages[static_cast<std::size_t>(stage.base.stage)].env);
        state.docker_only = base.docker_only;
        inherited_ += base.docker_only.size();
        if (inherited_ > inherited_limit) {
            return planner_.fail_at(
                from, {}, "stages built on each other hand down too many health checks and triggers");
        }
        if (leads_to_target_[static_cast<std::size_t>(stage.index)]) {
            state.config = std::move(base.config);
            state.listed = std::move(base.listed);
            state.ports = std::move(base.ports);
        }
        return {};
    }

    Command& add(Stage& stage, const Instruction& instruction) {
        Command command;
        command.n = ++counter_;
        command.stage = stage.index;
        command.position = static_cast<int>(stage.commands.size()) + 1;
        command.keyword = instruction.keyword;
        command.text = instruction.text;
        command.line = instruction.line;
        command.end_line = instruction.end_line;
        stage.commands.push_back(std::move(command));
        return stage.commands.back();
    }

    void use_image(const std::string& spelling, const std::string& platform, const std::string& written,
                   UseKind kind, const Command& command) {
        const auto [place, fresh] = images_.emplace(platform + '\n' + spelling, plan_.images.size());
        if (fresh) {
            plan_.images.push_back({spelling, platform, {}});
        }
        plan_.images[place->second].uses.push_back({kind, command.stage, command.n, command.line, written});
    }

    // `onbuild`: the instruction is its trigger.
    Status run_command(Stage& stage, State& state, const Instruction& instruction,
                       const Instruction* onbuild) {
        const Instruction& place = onbuild != nullptr ? *onbuild : instruction;
        Command& command = add(stage, instruction);
        command.from_onbuild = onbuild != nullptr;
        command.line = place.line;
        command.end_line = place.end_line;

        const std::string& keyword = instruction.keyword;
        if (keyword == "RUN") {
            return on_run(state, command, instruction, place);
        }
        if (keyword == "COPY" || keyword == "ADD") {
            return on_copy(state, command, instruction, place);
        }
        if (keyword == "ARG") {
            return on_arg(state, instruction, place);
        }
        if (keyword == "ENV" || keyword == "LABEL") {
            return on_pairs(state, instruction, place);
        }
        if (keyword == "CMD") {
            state.config.cmd = command_line(instruction);
            state.cmd_set = !instruction.arguments.empty();
        } else if (keyword == "ENTRYPOINT") {
            state.config.entrypoint =
                instruction.arguments.empty() ? std::vector<std::string>() : command_line(instruction);
            if (!state.cmd_set) {
                state.config.cmd.reset();
            }
        } else if (keyword == "SHELL" || keyword == "HEALTHCHECK") {
            for (const Flag& flag : instruction.flags) {
                if (auto fault = check_health_flag(flag)) {
                    return planner_.fail_at(place, *std::move(fault));
                }
            }
            state.docker_only.push_back(std::format("{} (line {})", keyword, place.line));
        } else if (keyword == "ONBUILD") {
            state.triggers.push_back(&instruction);
            state.docker_only.push_back(std::format("ONBUILD (line {})", place.line));
        } else if (keyword == "MAINTAINER") {
            planner_.warn("maintainerdeprecated", "MAINTAINER is deprecated", place.line,
                          "write LABEL org.opencontainers.image.authors=… instead");
        } else {
            return on_setting(state, instruction, place);
        }
        return {};
    }

    Result<std::string> expanded(const State& state, std::string_view text, const Instruction& place,
                                 bool strict = false) {
        return planner_.expanded(place, text, lookup(state), strict);
    }

    [[nodiscard]] Lookup lookup(const State& state) const {
        return [this, &state](std::string_view name) { return state.scope.value(planner_.globals, name); };
    }

    Status on_setting(State& state, const Instruction& instruction, const Instruction& place) {
        FinalStage& config = state.config;
        std::vector<std::string> exposed;
        for (const std::string& argument : instruction.arguments) {
            TRY_ASSIGN(std::string value, expanded(state, argument, place));
            if (instruction.keyword == "USER") {
                config.user = std::move(value);
            } else if (instruction.keyword == "WORKDIR") {
                config.workdir = join_path(config.workdir, value);
            } else if (instruction.keyword == "STOPSIGNAL") {
                if (auto fault = check_signal(value)) {
                    fault->fragment = argument;
                    return planner_.fail_at(place, *std::move(fault));
                }
                config.stop_signal = std::move(value);
            } else if (instruction.keyword == "VOLUME") {
                state.list(config.volumes, std::string(trim(value)));
            } else if (instruction.keyword == "EXPOSE") {
                TRY_ASSIGN(const WordsExpansion ports, expand_words(argument, lookup(state)));
                std::ranges::transform(ports.words, std::back_inserter(exposed), port_of);
            }
        }
        // buildah passes over a port that an earlier EXPOSE has, whatever its protocol.
        const auto number = [](const std::string& port) { return port.substr(0, port.find('/')); };
        std::erase_if(exposed, [&](const std::string& port) { return state.ports.contains(number(port)); });
        for (std::string& port : exposed) {
            state.ports.insert(number(port));
            state.list(config.expose, std::move(port));
        }
        return {};
    }

    Status on_arg(State& state, const Instruction& instruction, const Instruction& place) {
        TRY_ASSIGN(auto arguments, planner_.expanded_arguments(instruction, place, lookup(state)));
        for (auto& [name, fallback] : arguments) {
            planner_.warn_about_name("ARG", name, place.line);
            state.scope.declare(planner_.globals, std::move(name), fallback);
        }
        return {};
    }

    Status on_pairs(State& state, const Instruction& instruction, const Instruction& place) {
        // All values of one instruction see the variables as they were before it.
        std::vector<std::pair<std::string, std::string>> values;
        for (const Assignment& assignment : instruction.assignments) {
            TRY_ASSIGN(std::string name, expanded(state, assignment.name, place));
            TRY_ASSIGN(std::string value, expanded(state, assignment.value, place));
            values.emplace_back(std::move(name), std::move(value));
        }
        for (auto& [name, value] : values) {
            if (instruction.keyword == "LABEL") {
                state.config.labels[std::move(name)] = std::move(value);
            } else {
                planner_.warn_about_name("ENV", name, place.line);
                state.scope.set_env(std::move(name), std::move(value));
            }
        }
        return {};
    }

    Status add_reference(Command& command, std::string_view written, std::string_view spelling, UseKind kind,
                         const Instruction& place) {
        TRY_ASSIGN(Reference reference, planner_.resolve(spelling, kind, command.stage, place, written));
        if (reference.stage < 0 && !reference.context) {
            use_image(reference.spelling, {}, std::string(written), kind, command);
        } else if (!reference.context && !plan_.stages[static_cast<std::size_t>(reference.stage)].runs) {
            return planner_.fail_at(
                place, written,
                std::format("{}={} is a stage that buildah leaves out: it does not see that it is needed",
                            to_string(kind), shown(written)),
                command.from_onbuild
                    ? "name the stage in an instruction of this stage; its base's triggers do not count"
                    : "write the stage's name, without a variable");
        }
        command.references.push_back(std::move(reference));
        return {};
    }

    // --from sees arguments alone; with ENV in it, buildah fetches one thing and then looks for another.
    Result<std::string> expanded_source(const State& state, std::string_view written,
                                        const Instruction& place) {
        TRY_ASSIGN(std::string spelling,
                   planner_.expanded(
                       place, written,
                       [&](std::string_view name) { return state.scope.argument(planner_.globals, name); },
                       true));
        TRY_ASSIGN(const std::string other, expanded(state, written, place));
        if (other != spelling) {
            return planner_.fail_at(
                place, written,
                std::format("{} takes its value from ENV, which buildah does not heed here", shown(written)),
                "set the variable with ARG, by another name than that of the ENV");
        }
        return spelling;
    }

    // For the image's history buildah looks at mounts that say type=bind as they are written, variables and
    // all: it then finds no such path, or crashes.
    static std::optional<Fault> check_written(std::string_view text, const Mount& mount) {
        const Mount written = read_mount(text);
        if (written.type != "bind" || !text.contains("type=")) {
            return std::nullopt;
        }
        const bool from = written.from != mount.from;
        if (!from && (written.source == mount.source || !mount.from.empty())) {
            return std::nullopt;
        }
        return Fault{std::format("RUN --mount: buildah fills in no variables in {}= of type=bind",
                                 from ? "from" : "source"),
                     std::format("write {} itself", shown(from ? mount.from : mount.source)),
                     from ? written.from : written.source};
    }

    Status on_run(State& state, Command& command, const Instruction& instruction, const Instruction& place) {
        for (const Flag& flag : instruction.flags) {
            TRY_ASSIGN(const std::string text, expanded(state, flag.value, place));
            if (auto fault = flag.name == "network" ? check_network(text) : check_mount(text)) {
                return planner_.fail_at(place, *std::move(fault));
            }
            if (flag.name != "mount") {
                command.network = text;
                continue;
            }
            const Mount mount = read_mount(text);
            if (auto fault = check_written(flag.value, mount)) {
                return planner_.fail_at(place, *std::move(fault));
            }
            if (flag.value.starts_with("from=") || flag.value.contains(",from=")) {
                const std::string written = read_mount(flag.value).from;
                TRY_ASSIGN(const std::string spelling, expanded_source(state, written, place));
                TRY(add_reference(command, written, spelling, UseKind::mount_from, place));
            } else if (mount.type == "bind") {
                command.mounted_sources.push_back(mount.source.empty() ? "." : mount.source);
            }
            if (mount.type == "secret") {
                command.secrets.push_back(mount.id);
            } else if (mount.type == "ssh") {
                command.needs_ssh = true;
            }
        }
        return {};
    }

    Status check_copy_flags(const State& state, const Instruction& instruction, const Instruction& place) {
        for (const Flag& flag : instruction.flags) {
            TRY_ASSIGN(const std::string value, expanded(state, flag.value, place));
            std::optional<Fault> fault;
            if (flag.name == "chmod") {
                fault = check_mode("--chmod", value);
            } else if (flag.name == "link" || flag.name == "parents" || flag.name == "keep-git-dir") {
                fault = check_switch(instruction.keyword, flag, value);
            } else if (value.empty() && flag.name != "from") {
                fault = Fault{std::format("{} --{} is empty once its variables are filled in",
                                          instruction.keyword, flag.name),
                              "give the variable a value, or leave the flag out", "--" + flag.name};
            }
            if (fault) {
                return planner_.fail_at(place, *std::move(fault));
            }
        }
        return {};
    }

    Status on_copy(State& state, Command& command, const Instruction& instruction, const Instruction& place) {
        const bool add = instruction.keyword == "ADD";
        TRY(check_copy_flags(state, instruction, place));
        const Flag* from = instruction.flag("from");
        if (from != nullptr) {
            TRY_ASSIGN(const std::string spelling, expanded_source(state, from->value, place));
            TRY(add_reference(command, from->value, spelling, UseKind::copy_from, place));
        }
        for (std::size_t i = 0; i + 1 < instruction.arguments.size(); ++i) {
            const std::string& written = instruction.arguments[i];
            TRY_ASSIGN(std::string source, expanded(state, written, place));
            if (from != nullptr ||
                (!instruction.json && names_heredoc(written) && !instruction.heredocs.empty())) {
                continue;
            }
            if (is_remote(source) && !add) {
                return planner_.fail_at(place, written, "COPY does not download", "use ADD for an address");
            }
            if (add && is_git(source)) {
                return planner_.fail_at(place, written,
                                        std::format("buildah cannot ADD {}: it knows no git", shown(source)),
                                        "clone it in a RUN, or make it part of the source");
            }
            (is_remote(source) ? command.remote_sources : command.local_sources).push_back(std::move(source));
        }
        // Not needed for the plan, but what cannot be expanded is better said now.
        TRY(expanded(state, instruction.arguments.back(), place));
        for (const Heredoc& heredoc : instruction.heredocs) {
            if (!heredoc.expand) {
                continue;
            }
            if (auto body = expand(heredoc.content, lookup(state), {.keep_quotes = true}); !body) {
                Error error = std::move(body).error();
                error.message =
                    std::format("in the here-document {}: {}", shown(heredoc.name), error.message);
                error.hint += std::format("; or quote its name, <<\"{}\", to keep the text as it is",
                                          shown(heredoc.name));
                error.where = planner_.file.where(heredoc.line, 1);
                return fail(std::move(error));
            }
        }
        return {};
    }

    void finish() {
        State& last = states_[static_cast<std::size_t>(plan_.target)];
        plan_.docker_format_reasons = std::move(last.docker_only);
        std::set<std::string> known(plan_.docker_format_reasons.begin(), plan_.docker_format_reasons.end());
        // Triggers and shells of middle stages get lost between the stages, too.
        for (const int index : plan_.order) {
            const StageBase& base = plan_.stages[static_cast<std::size_t>(index)].base;
            if (base.kind != BaseKind::stage || index == plan_.target) {
                continue;
            }
            for (const std::string& reason : states_[static_cast<std::size_t>(base.stage)].docker_only) {
                if (!reason.starts_with("HEALTHCHECK") && known.insert(reason).second) {
                    plan_.docker_format_reasons.push_back(reason);
                }
            }
        }
        plan_.needs_docker_format = !plan_.docker_format_reasons.empty();
        plan_.final_stage = std::move(last.config);
    }

    Planner& planner_;
    BuildPlan& plan_;
    std::vector<State> states_;
    std::vector<bool> leads_to_target_; // by FROM
    std::unordered_map<std::string, std::size_t> images_;
    std::size_t inherited_ = 0;
    int counter_ = 0;
};

} // namespace

Status Planner::make_commands() {
    return CommandPass(*this).run();
}

} // namespace slipway::dockerfile
