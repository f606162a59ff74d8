#include "source/attributes.hpp"

#include "source/attributes_pattern.hpp"

#include <algorithm>
#include <array>
#include <ranges>

namespace slipway::source {
namespace {

constexpr std::size_t longest_file = 1U << 20U;
constexpr std::size_t longest_line = 2048;
constexpr std::size_t most_rules = 50'000;
constexpr int deepest_macro = 8;
constexpr std::string_view blank = " \t\r";
constexpr std::string_view macro_mark = "[attr]";
constexpr std::array<std::string_view, 6> read_names = {"text",  "crlf",   "eol",
                                                        "ident", "filter", "working-tree-encoding"};

std::string_view next_word(std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of(blank), text.size()));
    const std::size_t end = std::min(text.find_first_of(blank), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end);
    return word;
}

/// A pattern in double quotes, with C's escapes, as git writes names with blanks in them.
std::optional<std::string> quoted_pattern(std::string_view& text) {
    std::string out;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            text.remove_prefix(i + 1);
            return out;
        }
        if (text[i] != '\\') {
            out += text[i];
            continue;
        }
        if (++i == text.size()) {
            break;
        }
        constexpr std::string_view letters = "abfnrtv\"\\";
        constexpr std::string_view meanings = "\a\b\f\n\r\t\v\"\\";
        if (const std::size_t at = letters.find(text[i]); at != std::string_view::npos) {
            out += meanings[at];
        } else if (i + 2 < text.size() && text[i] >= '0' && text[i] <= '3') {
            out += static_cast<char>((text[i] - '0') * 64 + (text[i + 1] - '0') * 8 + (text[i + 2] - '0'));
            i += 2;
        } else {
            break;
        }
    }
    return std::nullopt;
}

std::string_view parent_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

} // namespace

bool Attributes::matters(const Setting& setting) const {
    return std::ranges::contains(read_names, setting.name) || setting.name == "binary" ||
           macros_.contains(setting.name);
}

void Attributes::parse_line(std::string_view line, bool root, std::vector<Rule>& rules) {
    line.remove_prefix(std::min(line.find_first_not_of(blank), line.size()));
    if (line.empty() || line.front() == '#' || line.size() > longest_line) {
        return;
    }
    Rule rule;
    if (line.front() == '"') {
        std::optional<std::string> pattern = quoted_pattern(line);
        if (!pattern) {
            return;
        }
        rule.pattern = *std::move(pattern);
    } else {
        rule.pattern = next_word(line);
    }
    for (std::string_view word = next_word(line); !word.empty(); word = next_word(line)) {
        Setting setting;
        using enum Setting::State;
        if (word.front() == '-' || word.front() == '!') {
            setting.state = word.front() == '-' ? unset : unspecified;
            word.remove_prefix(1);
        } else if (const std::size_t equals = word.find('='); equals != std::string_view::npos) {
            setting.state = value;
            setting.value = word.substr(equals + 1);
            word = word.substr(0, equals);
        }
        setting.name = word;
        rule.settings.push_back(std::move(setting));
    }
    if (rule.pattern.starts_with(macro_mark)) {
        if (root) {
            macros_[rule.pattern.substr(macro_mark.size())] = std::move(rule.settings);
        }
        return;
    }
    std::erase_if(rule.settings, [this](const Setting& setting) { return !matters(setting); });
    // A pattern for directories never fits a file.
    if (rule.settings.empty() || rule.pattern.starts_with('!') || rule.pattern.ends_with('/')) {
        return;
    }
    rule.whole_path = rule.pattern.contains('/');
    if (rule.pattern.starts_with('/')) {
        rule.pattern.erase(0, 1);
    }
    rules.push_back(std::move(rule));
}

Status Attributes::add(std::string_view directory, std::string_view content) {
    if (content.size() > longest_file) {
        return fail(ErrorClass::build, code::git_failure,
                    std::string(directory) + (directory.empty() ? "" : "/") +
                        ".gitattributes is larger than 1 MiB");
    }
    std::vector<Rule> rules;
    // Macros may stand behind their first use: two rounds over the root's file.
    for (int round = directory.empty() ? 0 : 1; round < 2; ++round) {
        rules.clear();
        for (std::string_view rest = content; !rest.empty();) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            parse_line(rest.substr(0, end), directory.empty(), rules);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    rules_ += rules.size();
    if (rules_ > most_rules) {
        return fail(ErrorClass::build, code::git_failure,
                    "the tree has more than 50,000 lines of .gitattributes");
    }
    if (!rules.empty()) {
        files_.insert_or_assign(std::string(directory), std::move(rules));
    }
    return {};
}

void Attributes::take(const Setting& setting, Found& found, int depth) const {
    if (!found.emplace(setting.name, setting).second || setting.state != Setting::State::set ||
        depth > deepest_macro) {
        return;
    }
    const auto macro = macros_.find(setting.name);
    if (macro != macros_.end()) {
        for (const Setting& each : macro->second | std::views::reverse) {
            take(each, found, depth + 1);
        }
    } else if (setting.name == "binary") { // built in: -diff -merge -text
        found.emplace("text", Setting{.name = "text", .state = Setting::State::unset, .value = {}});
    }
}

FileAttributes Attributes::of(std::string_view path) const {
    FileAttributes result;
    if (files_.empty()) {
        return result;
    }
    // The nearest file and, in it, the last line have the last word; who comes first here is not overruled.
    Found found;
    const std::string_view name = path.substr(std::min(path.size(), path.rfind('/') + 1));
    std::string_view directory = path;
    do {
        directory = parent_of(directory);
        const auto file = files_.find(directory);
        if (file == files_.end()) {
            continue;
        }
        const std::string_view below = directory.empty() ? path : path.substr(directory.size() + 1);
        for (const Rule& rule : file->second | std::views::reverse) {
            if (path_pattern_matches(rule.pattern, rule.whole_path ? below : name)) {
                for (const Setting& setting : rule.settings | std::views::reverse) {
                    take(setting, found, 0);
                }
            }
        }
    } while (!directory.empty());

    const auto state = [&found](std::string_view attribute) -> const Setting* {
        const auto at = found.find(attribute);
        return at == found.end() || at->second.state == Setting::State::unspecified ? nullptr : &at->second;
    };
    const auto value = [&state](std::string_view attribute) -> std::string {
        const Setting* setting = state(attribute);
        return setting != nullptr && setting->state == Setting::State::value ? setting->value : std::string();
    };
    using Text = FileAttributes::Text;
    for (const std::string_view attribute :
         {"text", "crlf"}) { // the latter is what the former was once called
        const Setting* setting = state(attribute);
        if (setting == nullptr || result.text != Text::unspecified) {
            continue;
        }
        switch (setting->state) {
        case Setting::State::set: result.text = Text::text; break;
        case Setting::State::unset: result.text = Text::binary; break;
        case Setting::State::value:
            result.text = setting->value == "auto"    ? Text::automatic
                          : setting->value == "input" ? Text::text
                                                      : Text::unspecified;
            break;
        case Setting::State::unspecified: break;
        }
    }
    if (value("eol") == "crlf" && result.text != Text::binary) {
        result.crlf = true;
        if (result.text == Text::unspecified) {
            result.text = Text::text;
        }
    }
    const Setting* ident = state("ident");
    result.ident = ident != nullptr && ident->state == Setting::State::set;
    result.filter = value("filter");
    result.encoding = value("working-tree-encoding");
    return result;
}

} // namespace slipway::source
