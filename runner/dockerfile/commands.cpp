// Second pass of a plan: the commands of the stages that run, what they take from where, and what the image
// will say about itself.
#include "dockerfile/lexer.hpp"
#include "dockerfile/planner.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <optional>
#include <set>
#include <utility>

namespace slipway::dockerfile {
namespace {

// What stages hand down to each other in all; guards against long chains of long environments.
constexpr std::size_t inherited_limit = std::size_t{64} << 20U;

// What an image built so far would hold; a stage built on another begins with a copy.
struct State {
    Scope scope;
    FinalStage config;
    std::vector<const Instruction*> triggers; // ONBUILD instructions
    std::vector<std::string> docker_only; // "HEALTHCHECK (line 12)": lost when the image is of the OCI format
    std::set<std::string> listed;         // what is in config.expose and config.volumes already
    bool cmd_set = false;

    [[nodiscard]] std::size_t bytes() const {
        constexpr std::size_t each = 100;
        std::size_t out = scope.bytes() + each * (1 + triggers.size() + docker_only.size());
        for (const auto& [name, value] : config.labels) {
            out += each + name.size() + value.size();
        }
        for (const std::string& text : listed) {
            out += 2 * (each + text.size());
        }
        for (const auto* command : {&config.cmd, &config.entrypoint}) {
            for (const std::string& word : command->value_or(std::vector<std::string>())) {
                out += each + word.size();
            }
        }
        return out;
    }

    void list(std::vector<std::string>& into, std::string text) {
        if (listed.insert((&into == &config.expose ? "e" : "v") + text).second) {
            into.push_back(std::move(text));
        }
    }
};

bool is_remote(std::string_view source) {
    static constexpr std::array<std::string_view, 5> prefixes = {"http://", "https://", "git://", "git@",
                                                                 "ssh://"};
    return std::ranges::any_of(prefixes, [&](auto prefix) { return source.starts_with(prefix); });
}

bool names_heredoc(std::string_view word) {
    const std::size_t at = word.find_first_not_of("0123456789");
    return at != std::string_view::npos && word.substr(at).starts_with("<<");
}

std::string join_path(std::string_view base, std::string_view path) {
    if (path.starts_with('/')) {
        return std::string(path);
    }
    std::string out(base.empty() ? "/" : base);
    if (!out.ends_with('/')) {
        out += '/';
    }
    return out + std::string(path);
}

std::vector<std::string> command_line(const Instruction& instruction) {
    if (instruction.json) {
        return instruction.arguments;
    }
    return {"/bin/sh", "-c", instruction.arguments.empty() ? std::string() : instruction.arguments.front()};
}

class CommandPass {
  public:
    explicit CommandPass(Planner& planner) : planner_(planner), plan_(planner.plan) {}

    Status run() {
        states_.resize(plan_.stages.size());
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
            state = states_[static_cast<std::size_t>(stage.base.stage)];
            triggers = std::exchange(state.triggers, {});
            state.cmd_set = false;
            inherited_ += state.bytes();
            if (inherited_ > inherited_limit) {
                return planner_.fail_at(*draft.from, {}, "stages built on each other hand down too much");
            }
        } else if (stage.base.kind == BaseKind::image && stage.base.spelling.empty()) {
            return planner_.fail_at(
                *draft.from, stage.base.written,
                std::format("FROM {} names no image once its variables are filled in",
                            shown(stage.base.written)),
                "give the ARG before the first FROM a default, or pass it as a build argument");
        }
        planner_.warn_about_base(draft);
        Command& from = add(stage, *draft.from);
        if (stage.base.kind == BaseKind::image) {
            use_image(stage.base.spelling, stage.base.platform, stage.base.written, UseKind::from, from);
        }
        if (!planner_.options.oci_format) {
            for (const Instruction* onbuild : triggers) {
                TRY(run_command(stage, state, onbuild->nested.front(), onbuild));
            }
        }
        for (const Instruction* instruction : draft.body) {
            TRY(run_command(stage, state, *instruction, nullptr));
        }
        stage.env = state.scope.env();
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
            state.cmd_set = true;
        } else if (keyword == "ENTRYPOINT") {
            state.config.entrypoint = command_line(instruction);
            if (!state.cmd_set) {
                state.config.cmd.reset();
            }
        } else if (keyword == "SHELL" || keyword == "HEALTHCHECK") {
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
        for (const std::string& argument : instruction.arguments) {
            TRY_ASSIGN(std::string value, expanded(state, argument, place));
            if (instruction.keyword == "USER") {
                config.user = std::move(value);
            } else if (instruction.keyword == "WORKDIR") {
                config.workdir = join_path(config.workdir, value);
            } else if (instruction.keyword == "STOPSIGNAL") {
                config.stop_signal = std::move(value);
            } else if (instruction.keyword == "VOLUME") {
                state.list(config.volumes, std::string(trim(value)));
            } else if (instruction.keyword == "EXPOSE") {
                TRY_ASSIGN(const WordsExpansion ports, expand_words(argument, lookup(state)));
                for (const std::string& port : ports.words) {
                    state.list(config.expose, port.contains('/') ? to_lower(port) : port + "/tcp");
                }
            }
        }
        return {};
    }

    Status on_arg(State& state, const Instruction& instruction, const Instruction& place) {
        std::vector<std::optional<std::string>> values;
        for (const Assignment& assignment : instruction.assignments) {
            std::optional<std::string> fallback;
            if (assignment.has_value) {
                TRY_ASSIGN(fallback, expanded(state, assignment.value, place));
            }
            values.push_back(argument_value(planner_.globals, assignment.name, fallback));
        }
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::string& name = instruction.assignments[i].name;
            planner_.warn_about_name("ARG", name, place.line);
            state.scope.declare(name, std::move(values[i]));
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
        if (reference.stage < 0) {
            use_image(reference.spelling, {}, std::string(written), kind, command);
        } else if (!plan_.stages[static_cast<std::size_t>(reference.stage)].runs) {
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

    Status on_run(State& state, Command& command, const Instruction& instruction, const Instruction& place) {
        for (const Flag& flag : instruction.flags) {
            if (flag.name != "mount") {
                continue;
            }
            const Mount written = read_mount(flag.value);
            TRY_ASSIGN(const std::string text, expanded(state, flag.value, place));
            const Mount mount = read_mount(text);
            if (flag.value.starts_with("from=") || flag.value.contains(",from=")) {
                TRY(add_reference(command, written.from, mount.from, UseKind::mount_from, place));
            } else if (mount.type == "bind") {
                command.mounted_sources.push_back(mount.source.empty() ? "." : mount.source);
            }
            if (mount.type == "secret") {
                command.secrets.push_back(
                    !mount.id.empty() ? mount.id : mount.target.substr(mount.target.rfind('/') + 1));
            } else if (mount.type == "ssh") {
                command.needs_ssh = true;
            }
        }
        return {};
    }

    Status on_copy(State& state, Command& command, const Instruction& instruction, const Instruction& place) {
        const bool add = instruction.keyword == "ADD";
        const Flag* from = instruction.flag("from");
        if (from != nullptr) {
            TRY_ASSIGN(const std::string spelling, expanded(state, from->value, place, true));
            TRY(add_reference(command, from->value, spelling, add ? UseKind::add_from : UseKind::copy_from,
                              place));
        }
        for (std::size_t i = 0; i + 1 < instruction.arguments.size(); ++i) {
            const std::string& written = instruction.arguments[i];
            if (!instruction.json && !instruction.heredocs.empty() && names_heredoc(written)) {
                // "<< NAME" with a blank is two words.
                i += written.ends_with("<<") || written.ends_with("<<-") ? 1U : 0U;
                continue;
            }
            TRY_ASSIGN(std::string source, expanded(state, written, place));
            if (from != nullptr) {
                continue;
            }
            (add && is_remote(source) ? command.remote_sources : command.local_sources)
                .push_back(std::move(source));
        }
        // Not needed for the plan, but a destination that cannot be expanded is better said now.
        TRY(expanded(state, instruction.arguments.back(), place));
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
    std::unordered_map<std::string, std::size_t> images_;
    std::size_t inherited_ = 0;
    int counter_ = 0;
};

} // namespace

Status Planner::make_commands() {
    return CommandPass(*this).run();
}

} // namespace slipway::dockerfile
