#include "cli/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <format>
#include <nlohmann/json.hpp>
#include <ranges>

namespace slipway::cli {

namespace {

std::unexpected<Error> wrong(std::string_view name, std::string_view value, std::string_view expected) {
    return fail_usage(std::format("--{}: '{}' is not {}", name, value, expected),
                      std::format("give --{} {}", name, expected));
}

std::string environment_name(std::string_view option) {
    std::string name = "SLIPWAY_";
    for (const char c : option) {
        name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return name;
}

/// Hands each NAME=VALUE to `keep`, split.
template <class Keep>
Status each_pair(std::string_view name, const std::vector<std::string>& values, const Keep& keep) {
    for (const std::string& value : values) {
        const auto at = value.find('=');
        if (at == 0 || at == std::string::npos) {
            return wrong(name, value, "NAME=VALUE");
        }
        keep(value.substr(0, at), value.substr(at + 1));
    }
    return {};
}

template <class Integer> Result<Integer> parse_integer(std::string_view text) {
    Integer number{};
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc() || end != text.data() + text.size()) {
        return fail_usage("not a number");
    }
    return number;
}

/// The values of an environment variable: a repeatable option's is a JSON array of strings.
Result<std::vector<std::string>> environment_values(std::string_view variable, const std::string& value,
                                                    bool repeatable) {
    if (value.empty()) {
        return std::vector<std::string>{};
    }
    if (!repeatable) {
        return std::vector<std::string>{value};
    }
    const auto json = nlohmann::json::parse(value, nullptr, false);
    const bool strings =
        json.is_array() && std::ranges::all_of(json, [](const auto& v) { return v.is_string(); });
    if (!strings) {
        return fail_usage(std::format("{} is not a JSON array of strings", variable),
                          std::format("write it like {}='[\"one\",\"two\"]'", variable));
    }
    return json.get<std::vector<std::string>>();
}

} // namespace

OptionTable::OptionTable(std::string usage, std::string summary)
    : usage_(std::move(usage)), summary_(std::move(summary)) {}

void OptionTable::text(std::string name, std::string& target, std::string help, std::string type) {
    add({.name = std::move(name),
         .type = std::move(type),
         .default_text = target,
         .help = std::move(help),
         .set = [&target](const auto& values) -> Status {
             target = values.back();
             return {};
         }});
}

void OptionTable::path(std::string name, std::filesystem::path& target, std::string help) {
    add({.name = std::move(name),
         .type = "PATH",
         .default_text = target.string(),
         .help = std::move(help),
         .set = [&target](const auto& values) -> Status {
             target = values.back();
             return {};
         }});
}

void OptionTable::number(std::string name, int& target, int least, int most, std::string help) {
    add({.name = name,
         .type = "NUMBER",
         .default_text = std::to_string(target),
         .help = std::move(help),
         .set = [&target, name, least, most](const auto& values) -> Status {
             const auto parsed = parse_integer<int>(values.back());
             if (!parsed || *parsed < least || *parsed > most) {
                 return wrong(name, values.back(), std::format("a number from {} to {}", least, most));
             }
             target = *parsed;
             return {};
         }});
}

void OptionTable::bytes(std::string name, std::uint64_t& target, std::string help) {
    add({.name = name,
         .type = "BYTES",
         .default_text = std::to_string(target),
         .help = std::move(help),
         .set = [&target, name](const auto& values) -> Status {
             constexpr std::string_view units = "KMG";
             std::string_view digits = values.back();
             unsigned shift = 0;
             if (const auto at = units.find(digits.back()); at != std::string_view::npos) {
                 shift = 10U * static_cast<unsigned>(at + 1);
                 digits.remove_suffix(1);
             }
             const auto parsed = parse_integer<std::uint64_t>(digits);
             if (!parsed || *parsed > std::uint64_t{1} << 40U) {
                 return wrong(name, values.back(), "a number of bytes, such as 4096, 512K or 6M");
             }
             target = *parsed << shift;
             return {};
         }});
}

void OptionTable::duration(std::string name, Milliseconds& target, std::string help) {
    add({.name = name,
         .type = "DURATION",
         .default_text = format_duration(target),
         .help = std::move(help),
         .set = [&target, name](const auto& values) -> Status {
             const auto parsed = parse_duration(values.back());
             if (!parsed) {
                 return wrong(name, values.back(), "a duration such as 90s, 10m or 1h30m");
             }
             target = *parsed;
             return {};
         }});
}

void OptionTable::flag(std::string name, bool& target, std::string help) {
    add({.name = name,
         .type = "true|false",
         .default_text = target ? "true" : "false",
         .help = std::move(help),
         .is_flag = true,
         .set = [&target, name](const auto& values) -> Status {
             if (values.back() != "true" && values.back() != "false") {
                 return wrong(name, values.back(), "true or false");
             }
             target = values.back() == "true";
             return {};
         }});
}

void OptionTable::choice(std::string name, std::string& target, std::vector<std::string> choices,
                         std::string help) {
    std::string type;
    for (const std::string& choice : choices) {
        type += (type.empty() ? "" : "|") + choice;
    }
    add({.name = name,
         .type = type,
         .default_text = target,
         .help = std::move(help),
         .set = [&target, name, type, choices = std::move(choices)](const auto& values) -> Status {
             if (std::ranges::find(choices, values.back()) == choices.end()) {
                 return wrong(name, values.back(), "one of " + type);
             }
             target = values.back();
             return {};
         }});
}

void OptionTable::texts(std::string name, std::vector<std::string>& target, std::string help,
                        std::string type) {
    add({.name = std::move(name),
         .type = std::move(type),
         .default_text = {},
         .help = std::move(help),
         .repeatable = true,
         .set = [&target](const auto& values) -> Status {
             target.insert(target.end(), values.begin(), values.end());
             return {};
         }});
}

void OptionTable::commas(std::string name, std::vector<std::string>& target, std::string help) {
    add({.name = std::move(name),
         .type = "A,B",
         .default_text = {},
         .help = std::move(help),
         .set = [&target](const auto& values) -> Status {
             for (const auto& each : std::views::split(values.back(), ',')) {
                 const std::string_view text(each);
                 const auto first = text.find_first_not_of(" \t\r\n");
                 if (first != std::string_view::npos) {
                     target.emplace_back(text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first));
                 }
             }
             return {};
         }});
}

void OptionTable::pairs(const std::string& name, std::map<std::string, std::string>& target, std::string help,
                        std::string type) {
    add({.name = name,
         .type = std::move(type),
         .default_text = {},
         .help = std::move(help),
         .repeatable = true,
         .set = [&target, name](const auto& values) -> Status {
             return each_pair(name, values, [&target](std::string key, std::string value) {
                 target.insert_or_assign(std::move(key), std::move(value));
             });
         }});
}

void OptionTable::paths(const std::string& name,
                        std::vector<std::pair<std::string, std::filesystem::path>>& target,
                        std::string help) {
    add({.name = name,
         .type = "NAME=PATH",
         .default_text = {},
         .help = std::move(help),
         .repeatable = true,
         .set = [&target, name](const auto& values) -> Status {
             return each_pair(name, values, [&target](std::string key, std::string value) {
                 target.emplace_back(std::move(key), std::move(value));
             });
         }});
}

void OptionTable::positional(std::string name, std::string& target, std::string help) {
    positional_ = {.name = std::move(name),
                   .type = "TEXT",
                   .default_text = target,
                   .help = std::move(help),
                   .set = [&target](const auto& values) -> Status {
                       target = values.back();
                       return {};
                   }};
}

const OptionTable::Option* OptionTable::find(std::string_view name) const {
    const auto found = std::ranges::find(options_, name, &Option::name);
    return found == options_.end() ? nullptr : &*found;
}

Status OptionTable::read_lists(std::string_view names, std::vector<std::string> values,
                               Arguments& into) const {
    std::vector<std::string> lists;
    for (const auto& name : std::views::split(names, ',')) {
        lists.emplace_back(std::string_view(name));
        const Option* option = find(lists.back());
        if (option == nullptr || !option->repeatable) {
            return wrong("lists", names, "a list of repeatable options, separated by commas");
        }
    }
    if (lists.empty()) {
        return wrong("lists", names, "a list of repeatable options, separated by commas");
    }
    // Which "--" is a separator and which a value cannot be told, so there must be no value like it. With one
    // list there is no separator, and nothing that could be mistaken for one.
    if (lists.size() > 1 &&
        std::ranges::count(values, "--") != static_cast<std::ptrdiff_t>(lists.size()) - 1) {
        return fail_usage(
            std::format("--lists={}: the values must be {} groups, separated by '--'", names, lists.size()),
            "no value of a list may be '--'");
    }
    auto list = lists.begin();
    for (const std::string& value : values) {
        if (lists.size() > 1 && value == "--") {
            ++list;
        } else {
            into.options.push_back("--" + *list + "=" + value);
        }
    }
    return {};
}

Result<OptionTable::Arguments> OptionTable::sort(const std::vector<std::string>& arguments) const {
    Arguments sorted;
    for (auto each = arguments.begin(); each != arguments.end(); ++each) {
        const std::string& argument = *each;
        if (argument == "--") {
            sorted.positionals.assign(each + 1, arguments.end());
            break;
        }
        constexpr std::string_view lists = "--lists=";
        if (argument.starts_with(lists)) {
            TRY(read_lists(std::string_view(argument).substr(lists.size()), {each + 1, arguments.end()},
                           sorted));
            break;
        }
        // "--flag" alone; with a value apart, CLI11 could not tell it from a positional one.
        const Option* option = argument.starts_with("--") ? find(argument.substr(2)) : nullptr;
        sorted.options.push_back(option != nullptr && option->is_flag ? argument + "=true" : argument);
    }
    // "--name=" is how Tekton passes what nobody set. CLI11 would take the next argument as the value.
    std::erase_if(sorted.options, [this](const std::string& argument) {
        return argument.starts_with("--") && argument.ends_with('=') &&
               argument.find('=') + 1 == argument.size() &&
               find(std::string_view(argument).substr(2, argument.size() - 3)) != nullptr;
    });
    return sorted;
}

Status OptionTable::parse(const std::vector<std::string>& arguments, const Environment& environment) {
    CLI::App app;
    app.set_help_flag();
    app.add_flag("--help", help_wanted_);
    std::map<std::string, CLI::Option*> known;
    for (const Option& option : options_) {
        // allow_extra_args would make CLI11 read "[a,b]" as a list of two.
        known[option.name] = app.add_option("--" + option.name)
                                 ->expected(option.is_flag ? 0 : 1, 1)
                                 ->allow_extra_args(false)
                                 ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
    app.allow_extras(positional_.set != nullptr);

    TRY_ASSIGN(Arguments sorted, sort(arguments));
    std::vector<std::string>& given = sorted.options;
    std::vector<std::string>& positionals = sorted.positionals;
    std::ranges::reverse(given);
    try {
        app.parse(given);
    } catch (const CLI::ParseError& error) {
        return fail_usage(error.what(), "see --help for the options this verb takes");
    }
    if (help_wanted_) {
        return {};
    }
    for (const Option& option : options_) {
        std::vector<std::string> values = known.at(option.name)->results();
        std::erase(values, std::string());
        if (values.empty()) {
            const std::string variable = environment_name(option.name);
            TRY_ASSIGN(values, environment_values(variable, environment(variable), option.repeatable));
            std::erase(values, std::string());
        }
        if (!values.empty()) {
            TRY(option.set(values));
        }
    }
    for (const std::string& extra : app.remaining()) {
        if (extra.starts_with('-') && extra != "-") {
            return fail_usage("unknown option: " + extra, "see --help for the options this verb takes");
        }
        positionals.insert(positionals.begin(), extra);
    }
    if (positionals.size() > (positional_.set ? 1U : 0U)) {
        return fail_usage("unexpected argument: " + positionals.back(),
                          "see --help for the options this verb takes");
    }
    if (!positionals.empty()) {
        TRY(positional_.set(positionals));
    }
    return {};
}

std::string OptionTable::help() const {
    std::string text = std::format("usage: {}\n\n{}\n", usage_, summary_);
    if (positional_.set) {
        text += std::format("\n  {}  {}\n", positional_.name, positional_.help);
    }
    text += "\noptions:\n";
    for (const Option& option : options_) {
        text += std::format("  --{}{}{}{}\n      {}\n      ", option.name, option.is_flag ? "[=" : "=",
                            option.type, option.is_flag ? "]" : "", option.help);
        text += option.repeatable
                    ? "repeatable"
                    : "default: " + (option.default_text.empty() ? std::string("none") : option.default_text);
        text += std::format("; environment: {}{}\n", environment_name(option.name),
                            option.repeatable ? " (a JSON array)" : "");
    }
    if (std::ranges::any_of(options_, &Option::repeatable)) {
        text += "\n--lists=NAME,NAME after all options: what follows are values of the first of these "
                "repeatable\n"
                "options, up to '--', then of the next.\n";
    }
    return text;
}

} // namespace slipway::cli
