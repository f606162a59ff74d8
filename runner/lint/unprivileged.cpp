// Rules about what RUN asks of a builder without privileges. What works was tried with buildah 1.39 under
// recipe A (docs/pods.md): chroot, `unshare --user`, setcap, FIFOs and high ids did; the rest below did not.
#include "dockerfile/text.hpp"
#include "lint/pass.hpp"
#include "lint/script.hpp"
#include "lint/shell.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <format>
#include <optional>

namespace slipway::lint {

namespace {

using dockerfile::Instruction;
using dockerfile::shown;

template <std::size_t N>
bool has_any(const ShellCommand& command, const std::array<std::string_view, N>& words) {
    return std::ranges::any_of(words, [&](std::string_view word) { return command.has(word); });
}

bool asks_for_help(const ShellCommand& command) {
    static constexpr std::array<std::string_view, 5> words{"--help", "--version", "-h", "-V", "version"};
    return has_any(command, words);
}

std::optional<std::int64_t> as_id(std::string_view text) {
    std::int64_t id = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
    return failure == std::errc() && end == text.data() + text.size() && id >= 0 ? std::optional(id)
                                                                                 : std::nullopt;
}

bool changes_mounts(const ShellCommand& command) {
    return command.operand() != nullptr || command.has("-a") || command.has("--all");
}

bool changes_settings(const ShellCommand& command) {
    static constexpr std::array<std::string_view, 5> flags{"-w", "--write", "-p", "--load", "--system"};
    return has_any(command, flags) || std::ranges::any_of(command.words, [](const ShellWord& word) {
               return word.text.contains('=') && !word.text.starts_with('-');
           });
}

bool sets_date(const ShellCommand& command) {
    return command.has("-s") || command.has("--set");
}

bool has_operand(const ShellCommand& command) {
    return command.operand() != nullptr;
}

bool makes_device(const ShellCommand& command) {
    return command.has("b") || command.has("c") || command.has("u");
}

bool always(const ShellCommand& /*command*/) {
    return true;
}

bool starts_service(const ShellCommand& command) {
    static constexpr std::array<std::string_view, 9> verbs{
        "start", "restart", "reload", "stop", "daemon-reload", "try-restart", "isolate", "status", "--now"};
    return has_any(command, verbs) && !command.has("--root");
}

bool runs_containers(const ShellCommand& command) {
    static constexpr std::array<std::string_view, 13> verbs{"run",   "build",  "buildx", "pull", "push",
                                                            "exec",  "ps",     "info",   "load", "compose",
                                                            "login", "create", "bud"};
    return has_any(command, verbs);
}

bool enters_namespace(const ShellCommand& command) {
    static constexpr std::array<std::string_view, 6> users{"-U", "--user",          "-r",
                                                           "-c", "--map-root-user", "--map-current-user"};
    const bool bundled = std::ranges::any_of(command.words, [](const ShellWord& word) {
        return word.text.size() > 2 && word.text[0] == '-' && word.text[1] != '-' &&
               word.text.find_first_of("Ur") != std::string::npos;
    });
    return !bundled && !has_any(command, users);
}

bool changes_links(const ShellCommand& command) {
    static constexpr std::array<std::string_view, 6> verbs{"add", "set", "del", "delete", "flush", "replace"};
    return has_any(command, verbs);
}

/// A port below 1024 that some well-known little server is told to listen on.
bool listens_low(const ShellCommand& command) {
    const auto low = [](std::string_view text) {
        const auto port = as_id(text.substr(text.rfind(':') + 1));
        return port && *port > 0 && *port < 1024;
    };
    const std::string_view program = command.program();
    for (std::size_t i = 1; i + 1 < command.words.size(); ++i) {
        const std::string& word = command.words[i].text;
        const std::string& next = command.words[i + 1].text;
        if ((program.starts_with("python") && word == "http.server" && low(next)) ||
            (program == "php" && word == "-S" && low(next)) ||
            ((program == "nc" || program == "ncat") && word == "-p" && command.has("-l") && low(next))) {
            return true;
        }
    }
    return false;
}

bool chowns_tree(const ShellCommand& command) {
    return command.has("-R") || command.has("--recursive") || command.has("-hR") || command.has("-Rh");
}

struct Case {
    std::string_view program;
    bool (*applies)(const ShellCommand&);
    std::string_view rule;
    std::string_view message; ///< behind the program's name
    std::string_view hint;
};

constexpr std::string_view mount_message = "needs SYS_ADMIN, which no RUN has here";
constexpr std::string_view mount_hint =
    "RUN --mount=type=bind, cache, tmpfs or secret puts things in place without it";
constexpr std::string_view setting_message =
    "changes the node, not the image: /proc/sys and /sys are read-only in RUN";
constexpr std::string_view setting_hint =
    "write a file into /etc/sysctl.d, or set it in the pod that runs the image";
constexpr std::string_view clock_message = "changes the node, not the image, and is refused";
constexpr std::string_view module_message = "asks the node's kernel, which no RUN may change";
constexpr std::string_view module_hint = "name the module in /etc/modules-load.d, or load it on the node";
constexpr std::string_view network_message = "needs NET_ADMIN: the network in RUN is the pod's";
constexpr std::string_view network_hint = "do it when the container starts, by who is granted that";
constexpr std::string_view service_message = "speaks to a service manager, and none runs in RUN";
constexpr std::string_view service_hint =
    "systemctl enable works; or start the program itself in the RUN that needs it";
constexpr std::string_view engine_message = "needs a daemon or namespaces that RUN does not have";
constexpr std::string_view engine_hint =
    "take what is needed from other images: COPY --from=IMAGE, FROM IMAGE AS name";
constexpr std::string_view device_message = "makes a device, which needs MKNOD; /dev is read-only besides";
constexpr std::string_view device_hint = "the runtime gives a container its devices; leave it out";
constexpr std::string_view namespace_message = "needs SYS_ADMIN for the namespaces it makes or enters";
constexpr std::string_view namespace_hint = "unshare --user --map-root-user …, or chroot, may do";
constexpr std::string_view port_message = "listens on a port below 1024, which most pods refuse to RUN";
constexpr std::string_view port_hint = "take a port from 1024 on";

constexpr std::array cases{
    Case{"mount", changes_mounts, "UnprivilegedMount", mount_message, mount_hint},
    Case{"umount", changes_mounts, "UnprivilegedMount", mount_message, mount_hint},
    Case{"swapon", changes_mounts, "UnprivilegedMount", mount_message, mount_hint},
    Case{"sysctl", changes_settings, "UnprivilegedKernelSetting", setting_message, setting_hint},
    Case{"hostname", has_operand, "UnprivilegedKernelSetting", clock_message,
         "the runtime names the container"},
    Case{"hostnamectl", has_operand, "UnprivilegedService", service_message, service_hint},
    Case{"timedatectl", has_operand, "UnprivilegedService", service_message, "link /etc/localtime instead"},
    Case{"date", sets_date, "UnprivilegedKernelSetting", clock_message,
         "faketime runs a program at another time"},
    Case{"modprobe", always, "UnprivilegedKernelModule", module_message, module_hint},
    Case{"insmod", always, "UnprivilegedKernelModule", module_message, module_hint},
    Case{"rmmod", always, "UnprivilegedKernelModule", module_message, module_hint},
    Case{"iptables", always, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"ip6tables", always, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"nft", always, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"ufw", always, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"firewall-cmd", always, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"ip", changes_links, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"ifconfig", has_operand, "UnprivilegedNetworkAdmin", network_message, network_hint},
    Case{"systemctl", starts_service, "UnprivilegedService", service_message, service_hint},
    Case{"docker", runs_containers, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"podman", runs_containers, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"buildah", runs_containers, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"nerdctl", runs_containers, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"docker-compose", runs_containers, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"dockerd", always, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"containerd", always, "UnprivilegedContainerEngine", engine_message, engine_hint},
    Case{"mknod", makes_device, "UnprivilegedDevice", device_message, device_hint},
    Case{"losetup", has_operand, "UnprivilegedDevice", "attaches one of the node's loop devices",
         device_hint},
    Case{"unshare", enters_namespace, "UnprivilegedNamespace", namespace_message, namespace_hint},
    Case{"nsenter", always, "UnprivilegedNamespace", namespace_message, namespace_hint},
    Case{"pivot_root", always, "UnprivilegedNamespace", namespace_message, namespace_hint},
    Case{"systemd-nspawn", always, "UnprivilegedNamespace", namespace_message, namespace_hint},
    Case{"python", listens_low, "UnprivilegedPort", port_message, port_hint},
    Case{"python3", listens_low, "UnprivilegedPort", port_message, port_hint},
    Case{"php", listens_low, "UnprivilegedPort", port_message, port_hint},
    Case{"nc", listens_low, "UnprivilegedPort", port_message, port_hint},
    Case{"setcap", has_operand, "FileCapabilities",
         "needs SETFCAP, which recipes A, A-userns, B and G give and root emulation only pretends",
         "listen on a high port, or have the pod grant the capability, if the image is to build anywhere"},
};

class RunRules {
  public:
    RunRules(Pass& pass, const Instruction& outer) : pass_(pass), outer_(outer) {}

    void script(const Script& script, bool after_copy) {
        scan_shell(script.text, [&](const ShellCommand& one) { command(script, one, after_copy); });
    }

    /// The exec form.
    void words(const std::vector<std::string>& arguments, bool after_copy) {
        ShellCommand one;
        for (const std::string& argument : arguments) {
            one.words.push_back({.text = argument, .offset = 0});
        }
        command({}, one, after_copy);
    }

  private:
    void command(const Script& script, const ShellCommand& command, bool after_copy) {
        for (const ShellWord& target : command.written) {
            written(script, target, command.tolerated);
        }
        const std::string_view program = command.program();
        const auto* found = std::ranges::find(cases, program, &Case::program);
        if (!command.tolerated && found != cases.end() && !asks_for_help(command) &&
            found->applies(command) && pass_.has_room(found->rule)) {
            report(script, command.words.front(), found->rule, std::format("{} {}", program, found->message),
                   found->hint);
        }
        ids(script, command);
        if (after_copy && program == "chown" && chowns_tree(command)) {
            report(script, command.words.front(), "RecursiveChown",
                   "chown -R stores every file it changes once more",
                   "set the owner while copying: COPY --chown=USER:GROUP");
        }
    }

    void report(const Script& script, const ShellWord& word, std::string_view rule, std::string message,
                std::string_view hint) {
        const Place place = script.place(word.offset);
        if (place.line <= 0) {
            pass_.find(rule, outer_, word.text, std::move(message), std::string(hint));
            return;
        }
        pass_.find_at(rule, &outer_, place.line, place.column,
                      static_cast<int>(std::min<std::size_t>(word.text.size(), 200)), std::move(message),
                      std::string(hint));
    }

    void written(const Script& script, const ShellWord& target, bool tolerated) {
        const std::string_view path = target.text;
        if (path == "/etc/hosts" || path == "/etc/resolv.conf" || path == "/etc/hostname") {
            report(script, target, "LostFile",
                   std::format("{} is mounted over in RUN: what is written there is not in the image", path),
                   "whoever runs the container sets it: hostAliases and dnsConfig of a pod");
        } else if (!tolerated && (path.starts_with("/proc/sys/") || path.starts_with("/sys/"))) {
            report(script, target, "UnprivilegedKernelSetting",
                   std::format("{} cannot be written: it is the node's", shown(path)), setting_hint);
        }
    }

    /// Ids given to chown and install, to be held by the user namespace.
    void ids(const Script& script, const ShellCommand& command) {
        if (command.program() != "chown" && command.program() != "chgrp") {
            return;
        }
        if (const ShellWord* owner = command.operand()) {
            if (const auto id = foreign_id(owner->text, pass_.options.id_limit)) {
                report(script, *owner, "UnprivilegedUserId", message(*id), hint());
            }
        }
    }

  public:
    /// The first id of `user:group` that is not below the limit.
    static std::optional<std::int64_t> foreign_id(std::string_view owner, std::int64_t limit) {
        const std::size_t colon = std::min(owner.find(':'), owner.size());
        for (const std::string_view part :
             {owner.substr(0, colon), owner.substr(std::min(colon + 1, owner.size()))}) {
            if (const auto id = as_id(part); id && *id >= limit) {
                return id;
            }
        }
        return std::nullopt;
    }
    [[nodiscard]] std::string message(std::int64_t id) const {
        return std::format(
            "id {} is outside a user namespace of {} ids, which recipes A-userns and B build in", id,
            pass_.options.id_limit);
    }
    static std::string hint() {
        return "take an id below it; OpenShift gives containers ids of its own whatever the image says";
    }

  private:
    Pass& pass_;
    const Instruction& outer_;
};

void check_ids(Pass& pass, const Instruction& instruction) {
    std::string_view owner;
    if (instruction.keyword == "USER" && !instruction.arguments.empty()) {
        owner = instruction.arguments.front();
    } else if (instruction.keyword == "COPY" || instruction.keyword == "ADD") {
        const dockerfile::Flag* flag = instruction.flag("chown");
        owner = flag != nullptr ? std::string_view(flag->value) : std::string_view{};
    }
    if (const auto id = RunRules::foreign_id(owner, pass.options.id_limit)) {
        pass.find("UnprivilegedUserId", instruction, owner, RunRules(pass, instruction).message(*id),
                  RunRules::hint());
    }
}

void check_network_flag(Pass& pass, const Instruction& instruction) {
    const dockerfile::Flag* flag = instruction.flag("network");
    if (flag != nullptr && flag->value == "none") {
        pass.find("UnprivilegedNetworkFlag", instruction, "--network=none",
                  "RUN --network=none does not cut the network off here: it stays the pod's",
                  "do not rely on it; a NetworkPolicy of the cluster can");
    }
}

bool is_posix_shell(const Instruction& shell) {
    const std::string_view program = shell.arguments.empty() ? std::string_view{} : shell.arguments.front();
    return program.ends_with("sh") && !program.ends_with("pwsh") && !program.ends_with("fish") &&
           !program.ends_with("csh");
}

} // namespace

void check_unprivileged(Pass& pass) {
    std::vector<bool> foreign_shell(pass.stages.size(), false);
    for (std::size_t i = 0; i < pass.stages.size(); ++i) {
        const StageView& stage = pass.stages[i];
        foreign_shell[i] = stage.base >= 0 && foreign_shell[static_cast<std::size_t>(stage.base)];
        bool copied = false;
        for (const Instruction* outer : stage.body) {
            const Instruction& inner =
                outer->nested.empty() || outer->keyword != "ONBUILD" ? *outer : outer->nested.front();
            check_ids(pass, inner);
            if (inner.keyword == "SHELL") {
                foreign_shell[i] = !is_posix_shell(inner);
            } else if (inner.keyword == "COPY" || inner.keyword == "ADD") {
                copied = true;
            } else if (inner.keyword == "RUN") {
                check_network_flag(pass, inner);
                if (foreign_shell[i] && !inner.json) {
                    continue;
                }
                RunRules rules(pass, *outer);
                if (inner.json) {
                    rules.words(inner.arguments, copied);
                }
                for (const Script& script : shell_scripts(pass.file, *outer, inner)) {
                    rules.script(script, copied);
                }
            }
        }
    }
}

} // namespace slipway::lint
