#include "lint/directive.hpp"

#include "dockerfile/text.hpp"
#include "lint/rules.hpp"

#include <algorithm>
#include <array>
#include <format>

namespace slipway::lint {

namespace {

using dockerfile::shown;
using dockerfile::trim;

constexpr std::size_t most_names = 200;

/// Calls `each` with what stands between the separators, trimmed.
template <class Each> void split(std::string_view text, char separator, const Each& each) {
    for (;;) {
        const std::size_t end = text.find(separator);
        each(trim(text.substr(0, end)));
        if (end == std::string_view::npos) {
            return;
        }
        text.remove_prefix(end + 1);
    }
}

void read_rules(std::string_view names, bool& all, std::set<std::string, std::less<>>& into,
                std::vector<std::string>& mistakes) {
    if (names == "all") {
        all = true;
        return;
    }
    split(names, ',', [&](std::string_view name) {
        if (name.empty() || into.size() >= most_names) {
            return;
        }
        into.emplace(name);
        // Known to BuildKit, and an error here: a base image of another platform.
        if (find_rule(name) != nullptr || name == "InvalidBaseImagePlatform") {
            return;
        }
        std::vector<std::string_view> known;
        for (const Rule& rule : rules()) {
            known.push_back(rule.name);
        }
        const std::string_view near = dockerfile::closest(name, known);
        mistakes.push_back(std::format("there is no rule {}{}", shown(name),
                                       near.empty() ? "" : std::format("; did you mean {}?", near)));
    });
}

} // namespace

bool Config::silences(const Rule& rule) const {
    if (rule.experimental) {
        return !experimental_all && !experimental.contains(rule.name);
    }
    return skip_all || skip.contains(rule.name);
}

Config read_check(std::string_view value) {
    Config config;
    split(value, ';', [&](std::string_view option) {
        const std::size_t equals = option.find('=');
        const std::string_view name = trim(option.substr(0, equals));
        const std::string_view given =
            equals == std::string_view::npos ? std::string_view{} : trim(option.substr(equals + 1));
        if (name == "skip" && !given.empty()) {
            read_rules(given, config.skip_all, config.skip, config.mistakes);
        } else if (name == "experimental" && !given.empty()) {
            read_rules(given, config.experimental_all, config.experimental, config.mistakes);
        } else if (name == "error") {
            static constexpr std::array<std::string_view, 5> yes{"true", "1", "t", "T", "TRUE"};
            static constexpr std::array<std::string_view, 5> no{"false", "0", "f", "F", "FALSE"};
            config.error = std::ranges::contains(yes, given);
            if (!config.error && !std::ranges::contains(no, given)) {
                config.mistakes.push_back(std::format("error={} is neither true nor false", shown(given)));
            }
        } else if (!option.empty()) {
            config.mistakes.push_back(
                std::format("{} is none of skip=RULES, experimental=RULES, error=true", shown(option)));
        }
    });
    return config;
}

Config comment_above(const dockerfile::Dockerfile& file, const dockerfile::Instruction& instruction) {
    int top = 0;
    for (const dockerfile::Directive& directive : file.directives) {
        top = std::max(top, directive.line);
    }
    Config config;
    for (int line = instruction.line - 1; line > top; --line) {
        std::string_view text = trim(file.line_text(line));
        if (!text.starts_with('#')) {
            break;
        }
        text = trim(text.substr(1));
        if (text.empty()) {
            break;
        }
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos ||
            !dockerfile::equal_ignoring_case(trim(text.substr(0, equals)), "check")) {
            continue;
        }
        // What follows a blank is for people to read.
        std::string_view value = trim(text.substr(equals + 1));
        value = value.substr(0, value.find(' '));
        config = read_check(value);
        break;
    }
    return config;
}

} // namespace slipway::lint
