// One run of all rules over one file: what they share. Internal to the room.
#pragma once

#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "lint/directive.hpp"
#include "lint/lint.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::lint {

/// A FROM and what follows it.
struct StageView {
    const dockerfile::Instruction* from = nullptr;
    std::vector<const dockerfile::Instruction*> body;
    std::string name; ///< as written behind AS; empty when it has none
    int base = -1;    ///< index of the stage it is built on
    bool scratch = false;
};

class Pass {
  public:
    Pass(const dockerfile::Dockerfile& of, const dockerfile::BuildPlan* planned, const Options& chosen);

    const dockerfile::Dockerfile& file;
    const dockerfile::BuildPlan* plan; ///< may be nullptr
    const Options& options;
    std::vector<const dockerfile::Instruction*> heading; ///< ARGs before the first FROM
    std::vector<StageView> stages;

    /// A finding at `fragment` within the instruction, or at its keyword when that is empty or not there.
    void find(std::string_view rule, const dockerfile::Instruction& at, std::string_view fragment,
              std::string message, std::string hint = {});
    /// A finding at a place; `at` is the instruction whose comment may silence it, nullptr = none.
    void find_at(std::string_view rule, const dockerfile::Instruction* at, int line, int column, int width,
                 std::string message, std::string hint = {});
    /// False where the file skips the rule, or (and one more is counted as left out) where it has all the
    /// findings that are kept: no work is to be done for the next.
    bool has_room(std::string_view rule);

    Findings take();

  private:
    /// Whether one more finding is kept; counts it.
    bool wanted(std::string_view rule, const dockerfile::Instruction* at);
    void keep(std::string_view rule, Where where, int width, std::string message, std::string hint);

    static constexpr std::size_t silenced = most_findings_per_rule + 1;

    Config config_;
    std::map<int, Config> local_; ///< by line of the instruction
    std::map<std::string, std::size_t, std::less<>> counts_;
    Findings found_;
};

// The groups of rules, each in a file of its own.
void check_style(Pass& pass);
void check_images(Pass& pass);
void check_variables(Pass& pass);
void check_unprivileged(Pass& pass);

} // namespace slipway::lint
