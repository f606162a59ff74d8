// Options of one verb: names, types and defaults in a table, values from argv or the environment.
//
// Rules (docs/cli.md): every option is also read from SLIPWAY_<OPTION>; a repeatable one takes a JSON array
// there; an empty value means "not given", because Tekton passes unset parameters so; a value can never be
// taken for an option. `--lists=A,B` ends the options: what follows are values of A, up to "--", then of B.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::cli {

/// Value of an environment variable; empty when unset. A function, so that tests need not change the process.
using Environment = std::function<std::string(const std::string& name)>;

class OptionTable {
  public:
    OptionTable(std::string usage, std::string summary);

    // Each adds one option; the target keeps its value (the default shown by --help) when nothing is given.
    void text(std::string name, std::string& target, std::string help, std::string type = "TEXT");
    void path(std::string name, std::filesystem::path& target, std::string help);
    void number(std::string name, int& target, int least, int most, std::string help);
    void bytes(std::string name, std::uint64_t& target, std::string help); ///< plain, or with K, M, G (1024)
    void duration(std::string name, Milliseconds& target, std::string help);
    void flag(std::string name, bool& target, std::string help); ///< --name, --name=true, --name=false
    void choice(std::string name, std::string& target, std::vector<std::string> choices, std::string help);
    void texts(std::string name, std::vector<std::string>& target, std::string help,
               std::string type = "TEXT");
    /// Adds to `target` what stands between the commas of its one value, without blanks around.
    void commas(std::string name, std::vector<std::string>& target, std::string help);
    /// NAME=VALUE, repeatable; the same name twice: the later wins.
    void pairs(const std::string& name, std::map<std::string, std::string>& target, std::string help,
               std::string type = "NAME=VALUE");
    void paths(const std::string& name, std::vector<std::pair<std::string, std::filesystem::path>>& target,
               std::string help);
    /// A name without dashes; one at most per table.
    void positional(std::string name, std::string& target, std::string help);

    /// Fills the targets. Every mistake is class usage and names the option and what it takes.
    Status parse(const std::vector<std::string>& arguments, const Environment& environment);

    /// Whether this verb has an option of that name.
    [[nodiscard]] bool knows(std::string_view name) const { return find(name) != nullptr; }
    [[nodiscard]] bool help_wanted() const { return help_wanted_; }
    [[nodiscard]] std::string help() const;

  private:
    struct Option {
        std::string name;
        std::string type;
        std::string default_text;
        std::string help;
        bool repeatable = false;
        bool is_flag = false;
        /// Values that are not empty, at least one.
        std::function<Status(const std::vector<std::string>& values)> set;
    };
    /// Command-line arguments, sorted by what they are.
    struct Arguments {
        std::vector<std::string> options; ///< each "--name=value", or as given where that is unclear
        std::vector<std::string> positionals;
    };
    [[nodiscard]] Result<Arguments> sort(const std::vector<std::string>& arguments) const;
    /// Values of the repeatable options that `--lists=names` announces, as "--name=value".
    [[nodiscard]] Status read_lists(std::string_view names, std::vector<std::string> values,
                                    Arguments& into) const;
    void add(Option option) { options_.push_back(std::move(option)); }
    [[nodiscard]] const Option* find(std::string_view name) const;

    std::string usage_;
    std::string summary_;
    std::vector<Option> options_;
    Option positional_;
    bool help_wanted_ = false;
};

} // namespace slipway::cli
