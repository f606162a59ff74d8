// What variables mean at one point of a Dockerfile: ENV over ARG over what is predefined. Internal to the
// room.
#pragma once

#include "dockerfile/expand.hpp"
#include "dockerfile/plan.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace slipway::dockerfile {

/// The same for all stages of one plan.
struct Globals {
    std::map<std::string, std::string, std::less<>> build_args;
    std::map<std::string, std::string, std::less<>> platform; ///< TARGETPLATFORM, BUILDARCH, …
    /// The same as heading ARGs have them, where buildah forgets for which platform it builds.
    std::map<std::string, std::string, std::less<>> build_platform;
    std::map<std::string, std::optional<std::string>, std::less<>> heading; ///< ARG before the first FROM
    char escape = '\\';                                                     ///< of the file
    std::size_t expanded_bytes = 0;                                         ///< spent of the plan's budget
};

/// Usage error when a platform cannot be read.
Result<Globals> make_globals(const PlanOptions& options);

/// Build arguments every builder takes without ARG.
bool is_predefined(std::string_view name) noexcept;

/// TARGETPLATFORM and BUILDPLATFORM: buildah refuses an ARG that gives them a default.
bool is_fixed(std::string_view name) noexcept;

/// Variables of one stage. buildah knows an ARG that was declared once for the rest of the stage; declared
/// again without a default it keeps its value.
class Scope {
  public:
    void declare(const Globals& globals, std::string name, const std::optional<std::string>& fallback);
    /// A stage built on another has its ENV, but not its ARG.
    void inherit(Environment env) { inherited_ = std::move(env); }
    void set_env(std::string name, std::string value) { env_[std::move(name)] = std::move(value); }
    /// What a stage built on this one inherits; the scope is done.
    [[nodiscard]] Environment finish() { return inherited_.with(std::move(env_)); }
    /// ENV over ARG over proxy variables that were given as build arguments.
    [[nodiscard]] std::optional<std::string> value(const Globals& globals, std::string_view name) const;
    /// The same without ENV: what `COPY --from` and `--mount=from` see.
    [[nodiscard]] std::optional<std::string> argument(const Globals& globals, std::string_view name) const;

  private:
    Environment inherited_;
    Environment::Variables env_;
    std::unordered_map<std::string, std::optional<std::string>> args_;
};

/// ARG before the first FROM: sees what stands above it.
std::optional<std::string> heading_argument(const Globals& globals, std::string_view name);
void declare_heading(Globals& globals, const std::string& name, std::optional<std::string> fallback);

/// Value of a variable in FROM: platform arguments and ARGs of the heading only.
std::optional<std::string> from_value(const Globals& globals, std::string_view name);

/// Value of a variable where buildah works out which stages need which: all build arguments, declared or not,
/// but no ARG of a stage.
std::optional<std::string> dependency_value(const Globals& globals, std::string_view name);

/// expand() with the plan's budget: a file may not make us write 64 MiB of expansions.
Result<Expansion> expand_budgeted(Globals& globals, std::string_view text, const Lookup& lookup);

} // namespace slipway::dockerfile
