// Rules about variables: undefined ones, and those that hold secrets.
//
// What a base image sets in its environment is not known here. So in a stage on an image a variable counts as
// undefined only where something speaks for a mistake: it is declared above the first FROM and not repeated,
// it is one of the platform's that want an ARG, or a defined one is called so but for one letter.
#include "dockerfile/expand.hpp"
#include "dockerfile/text.hpp"
#include "lint/pass.hpp"
#include "lint/slip.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <map>
#include <optional>
#include <set>

namespace slipway::lint {

namespace {

using dockerfile::Instruction;
using dockerfile::shown;
using Names = std::set<std::string, std::less<>>;

/// Values longer than this, or more of them, are not followed: a default image name is short.
constexpr std::size_t longest_value = 1024;
constexpr std::size_t most_value_bytes = std::size_t{4} << 20U;

constexpr std::array<std::string_view, 8> platform_names{"TARGETPLATFORM", "TARGETOS",      "TARGETARCH",
                                                         "TARGETVARIANT",  "BUILDPLATFORM", "BUILDOS",
                                                         "BUILDARCH",      "BUILDVARIANT"};

bool is_platform_name(std::string_view name) {
    return std::ranges::contains(platform_names, name);
}

/// Names without a value in `text`, as the builder expands it; nothing when it cannot be expanded.
std::vector<std::string> unset_in(std::string_view text, char escape, const dockerfile::Lookup& lookup) {
    if (!text.contains('$')) {
        return {};
    }
    auto expansion = dockerfile::expand(text, lookup, {.escape = escape});
    return expansion ? std::move(expansion->unset) : std::vector<std::string>{};
}

/// `$NAME` or `${NAME`, whichever stands in the text.
std::string usage_in(std::string_view text, std::string_view name) {
    std::string braced = std::format("${{{}", name);
    return text.contains(braced) ? braced : std::format("${}", name);
}

std::string_view nearest(std::string_view name, const Names& known) {
    std::vector<std::string_view> candidates;
    for (const std::string& candidate : known) {
        if (candidates.size() == 256) {
            break;
        }
        candidates.push_back(candidate);
    }
    return dockerfile::closest(name, candidates);
}

/// The declared name that `name` is but for one slip; empty when there is none.
std::string_view slipped(std::string_view name, const Names& known) {
    std::size_t looked_at = 0;
    for (const std::string& candidate : known) {
        if (++looked_at > 500) {
            break;
        }
        if (one_slip(name, candidate)) {
            return candidate;
        }
    }
    return {};
}

class Heading {
  public:
    explicit Heading(Pass& pass) : pass_(pass) {
        std::size_t bytes = 0;
        for (const Instruction* instruction : pass.heading) {
            std::vector<std::pair<std::string, std::optional<std::string>>> fresh;
            for (const auto& assignment : instruction->assignments) {
                std::optional<std::string> value;
                if (assignment.has_value && bytes < most_value_bytes) {
                    auto expansion =
                        dockerfile::expand(assignment.value, lookup(), {.escape = pass.file.escape});
                    value = expansion ? std::move(expansion->text).substr(0, longest_value) : std::string();
                    bytes += value->size();
                }
                fresh.emplace_back(assignment.name, std::move(value));
            }
            for (auto& [name, value] : fresh) {
                names.insert(name);
                defaults_.insert_or_assign(std::move(name), std::move(value));
            }
        }
    }

    Names names;

    /// Values as they are without build arguments.
    [[nodiscard]] dockerfile::Lookup lookup() const {
        return [this](std::string_view name) -> std::optional<std::string> {
            if (const auto found = defaults_.find(name); found != defaults_.end()) {
                return found->second;
            }
            return is_platform_name(name) ? std::optional<std::string>("linux") : std::nullopt;
        };
    }

    [[nodiscard]] bool declares(std::string_view name) const {
        return names.contains(name) || is_platform_name(name);
    }

    void check_from(const StageView& stage) {
        const std::string& base = stage.from->arguments[0];
        bool declared = report_undeclared(stage, base);
        if (const dockerfile::Flag* flag = stage.from->flag("platform")) {
            report_undeclared(stage, flag->value);
        }
        if (!declared || !base.contains('$') || stage.base >= 0) {
            return;
        }
        const auto expansion = dockerfile::expand(base, lookup(), {.escape = pass_.file.escape});
        if (expansion && !could_be_image(expansion->text)) {
            pass_.find("InvalidDefaultArgInFrom", *stage.from, base,
                       expansion->text.empty()
                           ? std::format("FROM {} names no image without a build argument", shown(base))
                           : std::format("FROM {} means \"{}\" without a build argument, which is no image",
                                         shown(base), shown(expansion->text)),
                       "give the ARG above it a default");
        }
    }

  private:
    /// Whether all variables of `text` are declared.
    bool report_undeclared(const StageView& stage, std::string_view text) {
        const dockerfile::Lookup any = [this](std::string_view name) -> std::optional<std::string> {
            return declares(name) ? std::optional<std::string>("x") : std::nullopt;
        };
        const auto unset = unset_in(text, pass_.file.escape, any);
        for (const std::string& name : unset) {
            if (!pass_.has_room("UndefinedArgInFrom")) {
                break;
            }
            const std::string_view near = nearest(name, names);
            pass_.find("UndefinedArgInFrom", *stage.from, usage_in(text, name),
                       std::format("FROM uses {}, which no ARG above the first FROM declares", shown(name)),
                       near.empty() ? std::format("declare it there: ARG {}=default", shown(name))
                                    : std::format("did you mean {}?", shown(near)));
        }
        return unset.empty();
    }

    /// Only what no reference can be: the registry's client judges the rest.
    static bool could_be_image(std::string_view name) {
        static constexpr std::string_view never_first = ":@/.-_";
        static constexpr std::string_view never_last = ":@/.-";
        return !name.empty() && !never_first.contains(name.front()) && !never_last.contains(name.back()) &&
               !name.contains("//") && !name.contains("::") && !name.contains(":@") && !name.contains("/:") &&
               name.find_first_of(" \t\"'$") == std::string_view::npos;
    }

    Pass& pass_;
    std::map<std::string, std::optional<std::string>, std::less<>> defaults_;
};

/// What is known to be set at one point of a stage.
struct Scope {
    Names names{"PATH"};
    bool whole = false; ///< nothing else can be set: the stage begins from scratch
};

class Variables {
  public:
    Variables(Pass& pass, const Heading& heading) : pass_(pass), heading_(heading) {}

    void run() {
        // A stage is looked at after those it may be built on, and inherits from one of them.
        scopes_.resize(pass_.stages.size());
        for (std::size_t i = 0; i < pass_.stages.size(); ++i) {
            const StageView& stage = pass_.stages[i];
            Scope& scope = scopes_[i];
            if (stage.base >= 0 && static_cast<std::size_t>(stage.base) < i) {
                const Scope& base = scopes_[static_cast<std::size_t>(stage.base)];
                inherited_ += base.names.size();
                scope.whole = base.whole;
                if (inherited_ < most_inherited) {
                    scope.names = base.names;
                } else {
                    scope.whole = false;
                }
            } else {
                scope.whole = stage.scratch;
            }
            for (const Instruction* instruction : stage.body) {
                visit(*instruction, scope);
            }
        }
    }

  private:
    static constexpr std::size_t most_inherited = 1'000'000;

    void visit(const Instruction& instruction, Scope& scope) {
        static constexpr std::array<std::string_view, 10> expanded{
            "ADD", "ARG", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"};
        if (instruction.keyword == "ONBUILD") { // defines for the stages built on this one, at least
            define(instruction.nested.front(), scope);
        }
        if (!std::ranges::contains(expanded, instruction.keyword)) {
            return;
        }
        for (const dockerfile::Flag& flag : instruction.flags) {
            look(instruction, flag.value, scope);
        }
        if (instruction.assignments.empty()) {
            for (const std::string& argument : instruction.arguments) {
                look(instruction, argument, scope);
            }
        }
        for (const auto& assignment : instruction.assignments) {
            look(instruction, assignment.value, scope);
        }
        define(instruction, scope);
    }

    static void define(const Instruction& instruction, Scope& scope) {
        if (instruction.keyword == "ARG" || instruction.keyword == "ENV") {
            for (const auto& assignment : instruction.assignments) {
                scope.names.insert(assignment.name);
            }
        }
    }

    void look(const Instruction& instruction, std::string_view text, const Scope& scope) {
        const dockerfile::Lookup lookup = [&](std::string_view name) -> std::optional<std::string> {
            const bool set =
                scope.names.contains(name) || name.ends_with("_proxy") || name.ends_with("_PROXY");
            return set ? std::optional<std::string>("x") : std::nullopt;
        };
        for (const std::string& name : unset_in(text, pass_.file.escape, lookup)) {
            report(instruction, text, name, scope);
        }
    }

    void report(const Instruction& instruction, std::string_view text, const std::string& name,
                const Scope& scope) {
        if (!pass_.has_room("UndefinedVar")) {
            return;
        }
        std::string hint;
        if (heading_.names.contains(name)) {
            hint = std::format("repeat ARG {} in this stage: what is declared above FROM holds for FROM only",
                               shown(name));
        } else if (is_platform_name(name)) {
            hint = std::format("declare it in this stage: ARG {}", name);
        } else if (const std::string_view near = slipped(name, scope.names); !near.empty()) {
            hint = std::format("did you mean {}?", shown(near));
        } else if (!scope.whole) {
            return;
        } else if (const std::string_view guess = nearest(name, scope.names); !guess.empty()) {
            hint = std::format("did you mean {}?", shown(guess));
        } else {
            hint = std::format("define it above: ARG {0} or ENV {0}=…", shown(name));
        }
        pass_.find(
            "UndefinedVar", instruction, usage_in(text, name),
            std::format("{} uses {}, which is not defined in this stage", instruction.keyword, shown(name)),
            std::move(hint));
    }

    Pass& pass_;
    const Heading& heading_;
    std::vector<Scope> scopes_;
    std::size_t inherited_ = 0;
};

/// Parts of a name that say its value is a secret, and parts that say it is only about one.
bool names_secret(std::string_view name) {
    static constexpr std::array<std::string_view, 12> secret{
        "apikey", "auth",     "credential", "credentials", "key",     "passphrase",
        "passwd", "password", "pword",      "secret",      "secrets", "token"};
    static constexpr std::array<std::string_view, 10> harmless{"dir", "file",   "id",   "name", "path",
                                                               "pub", "public", "type", "url",  "version"};
    bool found = false;
    while (!name.empty()) {
        const std::size_t end = std::min(name.find('_'), name.size());
        const std::string part = dockerfile::to_lower(name.substr(0, end));
        if (std::ranges::contains(harmless, part)) {
            return false;
        }
        found = found || std::ranges::contains(secret, part);
        name.remove_prefix(std::min(end + 1, name.size()));
    }
    return found;
}

void check_secrets(Pass& pass) {
    for (const Instruction& instruction : pass.file.instructions) {
        if (instruction.keyword != "ARG" && instruction.keyword != "ENV") {
            continue;
        }
        for (const auto& assignment : instruction.assignments) {
            if (names_secret(assignment.name)) {
                pass.find("SecretsUsedInArgOrEnv", instruction, assignment.name,
                          std::format("{} {} looks like a secret, and its value stays in the image's history",
                                      instruction.keyword, shown(assignment.name)),
                          "mount it where it is needed: RUN --mount=type=secret,id=…");
            }
        }
    }
}

} // namespace

void check_variables(Pass& pass) {
    Heading heading(pass);
    for (const StageView& stage : pass.stages) {
        heading.check_from(stage);
    }
    Variables(pass, heading).run();
    check_secrets(pass);
}

} // namespace slipway::lint
