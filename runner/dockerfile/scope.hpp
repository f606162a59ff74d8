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
    std::map<std::string, std::string, std::less<>> predefined; ///< proxies and the like that were given
    std::map<std::string, std::string, std::less<>> platform;   ///< TARGETPLATFORM, BUILDARCH, …
    std::map<std::string, std::optional<std::string>, std::less<>> heading; ///< ARG before the first FROM
    std::size_t expanded_bytes = 0;                                         ///< spent of the plan's budget
};

/// Usage error when a platform cannot be read.
Result<Globals> make_globals(const PlanOptions& options);

/// Build arguments every builder takes without ARG.
bool is_predefined(std::string_view name) noexcept;

/// The value ARG gives: of the build argument, of the platform, its default, or of the heading's ARG.
/// `fallback` is the default, expanded, where ARG has one.
std::optional<std::string> argument_value(const Globals& globals, std::string_view name,
                                          const std::optional<std::string>& fallback);

/// Variables of one stage.
class Scope {
  public:
    void declare(std::string name, std::optional<std::string> value) {
        args_[std::move(name)] = std::move(value);
    }
    void set_env(std::string name, std::string value) { env_[std::move(name)] = std::move(value); }
    [[nodiscard]] const std::map<std::string, std::string>& env() const noexcept { return env_; }
    [[nodiscard]] std::size_t bytes() const; ///< roughly, in memory
    [[nodiscard]] std::optional<std::string> value(const Globals& globals, std::string_view name) const;

  private:
    std::map<std::string, std::string> env_;
    std::unordered_map<std::string, std::optional<std::string>> args_;
};

/// Value of a variable in FROM: ARGs of the heading and platform arguments only.
std::optional<std::string> heading_value(const Globals& globals, std::string_view name);

/// expand() with the plan's budget: a file may not make us write 64 MiB of expansions.
Result<Expansion> expand_budgeted(Globals& globals, std::string_view text, const Lookup& lookup);

} // namespace slipway::dockerfile
