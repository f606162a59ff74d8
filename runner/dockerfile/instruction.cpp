#include "dockerfile/instruction.hpp"

#include "dockerfile/json_array.hpp"
#include "dockerfile/lexer.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <array>
#include <format>
#include <optional>
#include <span>
#include <utility>

namespace slipway::dockerfile {
namespace {

using Checked = std::expected<void, Fault>;

std::unexpected<Fault> fault(std::string message, std::string hint = {}, std::string fragment = {}) {
    return std::unexpected(Fault{std::move(message), std::move(hint), std::move(fragment)});
}

enum class Shape {
    command,      // JSON array, or the whole rest as one command line
    list,         // JSON array, or words
    words,        // words
    whole,        // the rest as one argument
    pairs,        // NAME=value …, or NAME value
    names,        // NAME[=value] …
    health_check, // NONE, or CMD and a command
    trigger,      // another instruction
};

struct Grammar {
    std::string_view keyword;
    Shape shape;
    std::span<const std::string_view> flags; // those buildah knows
    bool refuses_flags;                      // otherwise buildah drops them without a word
};

constexpr std::array<std::string_view, 1> from_flags = {"platform"};
constexpr std::array<std::string_view, 2> run_flags = {"mount", "network"};
constexpr std::array<std::string_view, 6> copy_flags = {"chown", "chmod",   "from",
                                                        "link",  "parents", "exclude"};
constexpr std::array<std::string_view, 6> add_flags = {"chown", "chmod",        "checksum",
                                                       "link",  "keep-git-dir", "exclude"};
constexpr std::array<std::string_view, 5> health_flags = {"interval", "timeout", "start-period",
                                                          "start-interval", "retries"};
constexpr std::array<std::string_view, 3> value_less_flags = {"link", "parents", "keep-git-dir"};

constexpr std::array<Grammar, 18> grammars = {{
    {"ADD", Shape::list, add_flags, true},
    {"ARG", Shape::names, {}, false},
    {"CMD", Shape::command, {}, false},
    {"COPY", Shape::list, copy_flags, true},
    {"ENTRYPOINT", Shape::command, {}, false},
    {"ENV", Shape::pairs, {}, false},
    {"EXPOSE", Shape::words, {}, false},
    {"FROM", Shape::words, from_flags, true},
    {"HEALTHCHECK", Shape::health_check, health_flags, true},
    {"LABEL", Shape::pairs, {}, false},
    {"MAINTAINER", Shape::whole, {}, false},
    {"ONBUILD", Shape::trigger, {}, false},
    {"RUN", Shape::command, run_flags, true},
    {"SHELL", Shape::command, {}, false},
    {"STOPSIGNAL", Shape::whole, {}, false},
    {"USER", Shape::whole, {}, false},
    {"VOLUME", Shape::list, {}, false},
    {"WORKDIR", Shape::whole, {}, false},
}};

const Grammar* find_grammar(std::string_view keyword) {
    const auto* found = std::ranges::find(grammars, keyword, &Grammar::keyword);
    return found == grammars.end() ? nullptr : found;
}

Fault unknown_instruction(std::string_view keyword, std::string_view rest) {
    std::array<std::string_view, grammars.size()> known{};
    std::ranges::transform(grammars, known.begin(), &Grammar::keyword);
    Fault out{std::format("unknown instruction \"{}\"", shown(keyword)), {}, {}};
    if (const std::string_view near = closest(keyword, known); !near.empty()) {
        out.hint = std::format("did you mean {}?", near);
    } else if (keyword.contains("\xC2\xA0")) {
        out.hint = "there is a no-break space in it: replace it by an ordinary one";
    } else if (keyword.starts_with("<<<<") || keyword.starts_with("====") || keyword.starts_with(">>>>")) {
        out.hint = "this looks like a merge conflict that was not resolved";
    } else if (keyword.starts_with("&&") || keyword.starts_with("||") || keyword.starts_with("-") ||
               keyword.starts_with("|")) {
        out.hint = "the line before probably lacks the backslash that continues it";
    } else if (rest.starts_with("=")) {
        out.hint = "variables are set with ENV or ARG";
    } else {
        out.hint = "an instruction begins every line; a line that goes on needs a backslash at its end";
    }
    return out;
}

// Takes the `--name=value` words off the front of `rest`. Quotes and escapes (always the backslash here,
// whatever the escape directive) are resolved, as buildah does it.
std::vector<Flag> take_flags(std::string_view& rest) {
    std::vector<Flag> flags;
    std::size_t at = 0;
    for (;;) {
        while (at < rest.size() && is_blank(rest[at])) {
            ++at;
        }
        if (!rest.substr(at).starts_with("--")) {
            break;
        }
        std::string word;
        char quote = '\0';
        while (at < rest.size() && (quote != '\0' || !is_blank(rest[at]))) {
            const char c = rest[at++];
            if (c == '\\') {
                if (at < rest.size()) {
                    word += rest[at++];
                }
            } else if (quote != '\0') {
                if (c == quote) {
                    quote = '\0';
                } else {
                    word += c;
                }
            } else if (c == '"' || c == '\'') {
                quote = c;
            } else {
                word += c;
            }
        }
        if (word == "--") {
            break;
        }
        const std::size_t equals = word.find('=');
        flags.push_back({word.substr(2, equals == std::string::npos ? equals : equals - 2),
                         equals == std::string::npos ? std::string() : word.substr(equals + 1),
                         equals != std::string::npos});
    }
    rest = trim(rest.substr(std::min(at, rest.size())));
    return flags;
}

Checked check_flags(const Instruction& instruction, const Grammar& grammar, std::vector<Note>& notes) {
    for (const Flag& flag : instruction.flags) {
        const std::string fragment = "--" + flag.name;
        if (!grammar.refuses_flags) {
            notes.push_back(
                {"flagignored",
                 std::format("{} has no flags: {} is dropped", instruction.keyword, shown(fragment)), 0,
                 "quote the word or put it into the JSON form if it belongs to the command"});
            continue;
        }
        if (!std::ranges::contains(grammar.flags, flag.name)) {
            std::string hint;
            if (instruction.keyword == "RUN" && (flag.name == "security" || flag.name == "device")) {
                hint = "only BuildKit knows this flag; the build runs without it if you take it out";
            } else if (const auto near = closest(flag.name, grammar.flags); !near.empty()) {
                hint = std::format("did you mean --{}?", near);
            } else {
                hint = "known are";
                for (const std::string_view name : grammar.flags) {
                    hint += std::format(" --{}", name);
                }
            }
            return fault(std::format("{} does not know the flag {}", instruction.keyword, shown(fragment)),
                         std::move(hint), fragment);
        }
        const bool health = instruction.keyword == "HEALTHCHECK"; // "--interval=" is the default
        if (flag.value.empty() && !(health && flag.has_value) &&
            !std::ranges::contains(value_less_flags, flag.name)) {
            return fault(std::format("{} {} lacks its value", instruction.keyword, fragment),
                         std::format("write {}=…", fragment), fragment);
        }
    }
    return {};
}

std::vector<std::string> blank_separated(std::string_view rest) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < rest.size();) {
        while (at < rest.size() && is_blank(rest[at])) {
            ++at;
        }
        const std::size_t from = at;
        while (at < rest.size() && !is_blank(rest[at])) {
            ++at;
        }
        if (at > from) {
            words.emplace_back(rest.substr(from, at - from));
        }
    }
    return words;
}

// Words of ENV, LABEL and ARG: quotes and escapes hold blanks together and stay in the word.
std::vector<std::string> quoted_words(std::string_view rest, char escape) {
    std::vector<std::string> words;
    std::string word;
    char quote = '\0';
    for (std::size_t at = 0; at < rest.size(); ++at) {
        const char c = rest[at];
        if (quote == '\0' && is_blank(c)) {
            if (!word.empty()) {
                words.push_back(std::exchange(word, {}));
            }
            continue;
        }
        if (c == escape && quote != '\'') {
            if (at + 1 < rest.size()) {
                word += c;
                word += rest[++at];
            }
            continue;
        }
        if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == quote) {
            quote = '\0';
        }
        word += c;
    }
    if (!word.empty()) {
        words.push_back(std::move(word));
    }
    return words;
}

Checked read_list(Instruction& instruction, std::string_view rest, bool as_command,
                  std::vector<Note>& notes) {
    JsonArray array = read_json_array(rest);
    if (array.kind == JsonArray::Kind::not_strings) {
        return fault(
            std::format("the JSON array of {} holds something else than strings", instruction.keyword),
            "put every element into double quotes", "[");
    }
    if (array.kind == JsonArray::Kind::strings) {
        instruction.json = true;
        instruction.arguments = std::move(array.strings);
        if (!trim(rest.substr(rest.find('[')).substr(array.length)).empty()) {
            notes.push_back(
                {"jsontrailing",
                 std::format("what follows the JSON array of {} is ignored by buildah and makes other "
                             "builders take the line for a shell command",
                             instruction.keyword),
                 0, "end the line with the array"});
        }
        return {};
    }
    if (!as_command) {
        instruction.arguments = blank_separated(rest);
    } else if (!rest.empty()) {
        instruction.arguments.emplace_back(rest);
    }
    if (as_command && rest.starts_with("[\"") && rest.ends_with("]")) {
        notes.push_back({"jsoninvalid",
                         std::format("{} looks like the JSON form but is no valid JSON: it runs in a shell",
                                     instruction.keyword),
                         0, "JSON wants double quotes, commas between the elements and backslashes doubled"});
    }
    return {};
}

Checked read_pairs(Instruction& instruction, std::string_view rest, char escape) {
    std::vector<std::string> words = quoted_words(rest, escape);
    if (words.empty()) {
        return fault(std::format("{} needs a name and a value", instruction.keyword),
                     std::format("write {} NAME=value", instruction.keyword));
    }
    if (!words.front().contains('=')) {
        const std::size_t end = static_cast<std::size_t>(std::ranges::find_if(rest, is_blank) - rest.begin());
        if (end == rest.size()) {
            return fault(std::format("{} {} has no value", instruction.keyword, shown(rest)),
                         std::format("write {} {}=value", instruction.keyword, shown(rest)),
                         std::string(rest));
        }
        instruction.assignments.push_back(
            {std::string(rest.substr(0, end)), std::string(trim(rest.substr(end))), true});
        instruction.arguments.push_back(std::format("{}={}", rest.substr(0, end), trim(rest.substr(end))));
        return {};
    }
    for (std::string& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) {
            return fault(std::format("\"{}\" in {} is no NAME=value", shown(word), instruction.keyword),
                         "quote a value with blanks in it", word);
        }
        if (equals == 0) {
            return fault(std::format("{} names nothing before \"=\"", instruction.keyword),
                         "write NAME=value", word);
        }
        instruction.assignments.push_back({word.substr(0, equals), word.substr(equals + 1), true});
        instruction.arguments.push_back(std::move(word));
    }
    return {};
}

Checked read_names(Instruction& instruction, std::string_view rest, char escape) {
    instruction.arguments = quoted_words(rest, escape);
    if (instruction.arguments.empty()) {
        return fault("ARG needs a name", "write ARG NAME or ARG NAME=default");
    }
    for (const std::string& word : instruction.arguments) {
        const std::size_t equals = word.find('=');
        if (equals == 0) {
            return fault("ARG names nothing before \"=\"", "write ARG NAME=default", word);
        }
        const bool has_value = equals != std::string::npos;
        instruction.assignments.push_back(
            {word.substr(0, equals), has_value ? word.substr(equals + 1) : std::string(), has_value});
    }
    return {};
}

Checked read_health_check(Instruction& instruction, std::string_view rest, std::vector<Note>& notes) {
    const std::size_t end = static_cast<std::size_t>(std::ranges::find_if(rest, is_blank) - rest.begin());
    const std::string type = to_upper(rest.substr(0, end));
    const std::string_view command = trim(rest.substr(end));
    if (type == "NONE") {
        if (!command.empty()) {
            return fault("HEALTHCHECK NONE takes no arguments", "leave out what follows NONE",
                         std::string(command));
        }
        instruction.arguments = {"NONE"};
        return {};
    }
    if (type != "CMD") {
        return fault(type.empty()
                         ? std::string("HEALTHCHECK lacks its command")
                         : std::format("HEALTHCHECK does not know \"{}\"", shown(rest.substr(0, end))),
                     "write HEALTHCHECK [--interval=…] CMD command, or HEALTHCHECK NONE",
                     std::string(rest.substr(0, end)));
    }
    if (command.empty()) {
        return fault("HEALTHCHECK CMD lacks its command", "write the command behind CMD", "CMD");
    }
    Instruction nested;
    nested.keyword = "CMD";
    nested.rest = command;
    nested.text = std::format("CMD {}", command);
    if (auto read = read_list(nested, command, true, notes); !read) {
        return read;
    }
    instruction.json = nested.json;
    instruction.arguments = nested.arguments;
    instruction.nested.push_back(std::move(nested));
    return {};
}

Checked read_trigger(Instruction& instruction, std::string_view rest, char escape, std::vector<Note>& notes) {
    if (rest.empty()) {
        return fault("ONBUILD lacks its instruction", "write ONBUILD RUN …, for instance");
    }
    auto trigger = read_instruction(rest, escape, true, notes);
    if (!trigger) {
        return std::unexpected(std::move(trigger).error());
    }
    instruction.heredocs = trigger->heredocs;
    instruction.arguments = {trigger->text};
    instruction.nested.push_back(*std::move(trigger));
    return {};
}

Checked check_arguments(const Instruction& instruction) {
    const std::string& keyword = instruction.keyword;
    const auto& arguments = instruction.arguments;
    if (keyword == "FROM") {
        const bool named = arguments.size() == 3 && equal_ignoring_case(arguments[1], "AS");
        if (arguments.empty()) {
            return fault("FROM lacks its image", "write FROM image, or FROM image AS name");
        }
        if (arguments.size() != 1 && !named) {
            return fault("FROM takes an image and, behind AS, a name", "write FROM image AS name",
                         arguments[1]);
        }
    } else if (keyword == "COPY" || keyword == "ADD") {
        if (arguments.size() < 2) {
            return fault(std::format("{} needs a source and a destination", keyword),
                         std::format("write {} source destination", keyword));
        }
    } else if (keyword == "SHELL") {
        if (!instruction.json || arguments.empty()) {
            return fault("SHELL needs a JSON array", R"(write SHELL ["/bin/bash", "-c"], for instance)");
        }
    } else if (keyword == "VOLUME" &&
               std::ranges::any_of(arguments, [](const auto& a) { return trim(a).empty(); })) {
        return fault("VOLUME names an empty path", "leave the empty string out");
    } else if (arguments.empty() && keyword != "CMD" && keyword != "ENTRYPOINT") {
        return fault(std::format("{} needs an argument", keyword),
                     std::format("write it behind {}", keyword));
    }
    return {};
}

// `3<<-"NAME"` → the document's name and manner; nothing when the word is none.
std::expected<std::optional<Heredoc>, Fault> heredoc_of(std::string_view word) {
    std::size_t at = 0;
    while (at < word.size() && word[at] >= '0' && word[at] <= '9') {
        ++at;
    }
    Heredoc out;
    if (at > 0 && at < 4) {
        out.descriptor = 0;
        for (const char c : word.substr(0, at)) {
            out.descriptor = out.descriptor * 10 + (c - '0');
        }
    }
    if (!word.substr(at).starts_with("<<")) {
        return std::nullopt;
    }
    at += 2;
    if (at < word.size() && word[at] == '-') {
        out.strip_tabs = true;
        ++at;
    }
    const std::string_view rest = word.substr(at);
    if (rest.empty() || rest.contains('<')) {
        return std::nullopt;
    }
    const auto plain = lex(rest, {}, {.keep_unset = true, .split = true});
    if (!plain) {
        return fault(std::format("the here-document's name {} cannot be read", shown(rest)),
                     plain.error().message, std::string(rest));
    }
    if (plain->words.size() != 1) {
        return std::nullopt;
    }
    out.name = plain->words.front();
    const auto quotes = [](std::string_view text) {
        return std::ranges::count_if(text, [](char c) { return c == '\'' || c == '"'; });
    };
    out.expand = quotes(rest) == quotes(out.name);
    return out;
}

Checked find_heredocs(Instruction& instruction, std::string_view line) {
    if (instruction.json || !line.contains("<<")) {
        return {};
    }
    // A line the lexer cannot read (an apostrophe, a shell's own ${x^^}) has no here-documents: buildah's
    // rule.
    const auto lexed =
        lex(line, {}, {.raw_quotes = true, .raw_escapes = true, .keep_unset = true, .split = true});
    if (!lexed) {
        return {};
    }
    for (const std::string& word : lexed->words) {
        auto heredoc = heredoc_of(word);
        if (!heredoc) {
            return std::unexpected(std::move(heredoc).error());
        }
        if (*heredoc) {
            instruction.heredocs.push_back(**std::move(heredoc));
            if (instruction.heredocs.size() > Limits::heredocs_per_instruction) {
                return fault(std::format("more than {} here-documents in one instruction",
                                         Limits::heredocs_per_instruction));
            }
        }
    }
    return {};
}

} // namespace

std::expected<Instruction, Fault> read_instruction(std::string_view line, char escape, bool inside_onbuild,
                                                   std::vector<Note>& notes) {
    line = trim(line);
    Instruction out;
    const std::size_t end = static_cast<std::size_t>(std::ranges::find_if(line, is_blank) - line.begin());
    out.keyword = to_upper(line.substr(0, end));
    out.text = line;
    std::string_view rest = line.substr(end);

    const Grammar* grammar = find_grammar(out.keyword);
    if (grammar == nullptr) {
        Fault unknown = unknown_instruction(line.substr(0, end), trim(rest));
        unknown.fragment = inside_onbuild ? line.substr(0, end) : std::string_view{};
        return std::unexpected(std::move(unknown));
    }
    if (inside_onbuild &&
        (out.keyword == "ONBUILD" || out.keyword == "FROM" || out.keyword == "MAINTAINER")) {
        return fault(std::format("{} is not allowed as a trigger of ONBUILD", out.keyword),
                     "a trigger is one of the other instructions", std::string(line.substr(0, end)));
    }
    out.flags = take_flags(rest);
    out.rest = rest;
    if (auto checked = check_flags(out, *grammar, notes); !checked) {
        return std::unexpected(std::move(checked).error());
    }

    Checked read;
    switch (grammar->shape) {
    case Shape::command: read = read_list(out, rest, true, notes); break;
    case Shape::list: read = read_list(out, rest, false, notes); break;
    case Shape::words: out.arguments = blank_separated(rest); break;
    case Shape::whole:
        if (!rest.empty()) {
            out.arguments.emplace_back(rest);
        }
        break;
    case Shape::pairs: read = read_pairs(out, rest, escape); break;
    case Shape::names: read = read_names(out, rest, escape); break;
    case Shape::health_check: read = read_health_check(out, rest, notes); break;
    case Shape::trigger: read = read_trigger(out, rest, escape, notes); break;
    }
    if (read && (out.keyword == "RUN" || out.keyword == "COPY" || out.keyword == "ADD")) {
        read = find_heredocs(out, line);
    }
    if (read) {
        read = check_arguments(out);
    }
    if (!read) {
        return std::unexpected(std::move(read).error());
    }
    return out;
}

} // namespace slipway::dockerfile
