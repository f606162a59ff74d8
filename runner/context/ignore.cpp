#include "context/ignore.hpp"

#include "context/glob.hpp"
#include "context/text.hpp"

#include <algorithm>
#include <ranges>

namespace slipway::context {

namespace {

constexpr std::string_view meaningful = "*?[]\\+(){}|^"; // in patterns, or in what they become

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// The regular expression buildah makes of a pattern. Only `.` and `$` are escaped. Nothing for a backslash
/// with nothing behind it.
std::optional<std::string> translate(std::string_view pattern) {
    if (pattern.starts_with("\xEF\xBB\xBF")) { // its scanner passes over a byte order mark
        pattern.remove_prefix(3);
    }
    std::string out = "^";
    while (!pattern.empty()) {
        const Rune rune = decode_rune(pattern);
        pattern.remove_prefix(rune.length);
        if (rune.value == '*') {
            if (!pattern.starts_with('*')) {
                out += "[^/]*";
                continue;
            }
            pattern.remove_prefix(1);
            if (pattern.starts_with('/')) {
                pattern.remove_prefix(1);
            }
            out += pattern.empty() ? ".*" : "(.*/)?";
        } else if (rune.value == '?') {
            out += "[^/]";
        } else if (rune.value == '.' || rune.value == '$') {
            out += '\\';
            append_rune(out, rune.value);
        } else {
            append_rune(out, rune.value);
            if (rune.value == '\\') {
                if (pattern.empty()) {
                    return std::nullopt;
                }
                const Rune next = decode_rune(pattern);
                pattern.remove_prefix(next.length);
                append_rune(out, next.value);
            }
        }
    }
    return out + "(/.*)?$";
}

/// The longest piece that every match of a pattern without regular expressions' characters must contain.
std::string needed_piece(std::string_view pattern) {
    if (pattern.find_first_of("[]\\+(){}|^") != std::string_view::npos || !is_ascii(pattern)) {
        return {};
    }
    std::string_view best;
    for (const auto piece : std::views::split(pattern, '*')) {
        for (const auto part : std::views::split(std::string_view(piece), '?')) {
            std::string_view text(part);
            // The slash of `**/` may be absent.
            text.remove_prefix(text.starts_with('/') ? 1 : 0);
            best = text.size() > best.size() ? text : best;
        }
    }
    return std::string(best);
}

} // namespace

IgnoreRules::IgnoreRules(std::string_view content) {
    int number = 0;
    while (!content.empty()) {
        const std::size_t end = content.find('\n');
        std::string_view line = content.substr(0, end);
        content = end == std::string_view::npos ? std::string_view() : content.substr(end + 1);
        ++number;
        if (!line.starts_with('#')) {
            add(trim_slashes(line), number);
        }
    }
}

void IgnoreRules::add(std::string_view pattern, int line) {
    pattern = trim_space(pattern);
    if (pattern.empty()) {
        return;
    }
    Rule rule{.line = line, .written = std::string(pattern), .cleaned = clean_path(pattern)};
    const Problem problem{.line = line, .pattern = rule.written};
    const auto note = [&](std::optional<Problem>& where) {
        if (!where) {
            where = problem;
        }
    };
    if (rules_.size() >= most_patterns) {
        return note(unread_);
    }
    if (rule.cleaned.starts_with('!')) {
        if (rule.cleaned.size() == 1) {
            return note(malformed_);
        }
        rule.exception = has_exceptions_ = true;
        rule.cleaned = clean_path(std::string_view(rule.cleaned).substr(1));
        rule.cleaned.erase(0, rule.cleaned.starts_with('/') ? 1 : 0);
    }
    if (glob_match(rule.cleaned, ".") == GlobMatch::malformed) {
        return note(malformed_);
    }
    rule.literal = rule.cleaned.find_first_of(meaningful) == std::string::npos && is_ascii(rule.cleaned);
    if (!rule.literal) {
        const auto expression = translate(rule.cleaned);
        auto regex = expression ? Regex::compile(*expression) : std::unexpected(Regex::Refusal::malformed);
        if (!regex) {
            return note(regex.error() == Regex::Refusal::malformed ? malformed_ : unread_);
        }
        rule.regex = std::move(*regex);
        rule.needed = needed_piece(rule.cleaned);
    }
    rules_.push_back(std::move(rule));
}

bool IgnoreRules::matches(const Rule& rule, std::string_view path) const {
    ++work_;
    if (!rule.literal) {
        return path.contains(rule.needed) && rule.regex.matches(path, work_);
    }
    if (!path.starts_with(rule.cleaned)) {
        return false;
    }
    const std::string_view below = path.substr(rule.cleaned.size());
    return below.empty() || (below.front() == '/' && !below.contains('\n')); // Go's `.` is no line feed
}

IgnoreRules::Verdict IgnoreRules::verdict(std::string_view path) const {
    for (const Rule& rule : std::views::reverse(rules_)) {
        if (matches(rule, path)) {
            return {.excluded = !rule.exception, .line = rule.line};
        }
    }
    return {};
}

bool IgnoreRules::enters(std::string_view directory) const {
    return has_exceptions_ && std::ranges::any_of(rules_, [&](const Rule& rule) {
               return rule.exception &&
                      (std::string(trim_slashes(rule.cleaned)) + '/').starts_with(directory);
           });
}

bool IgnoreRules::enters_named(std::string_view directory) const {
    return has_exceptions_ && std::ranges::any_of(rules_, [&](const Rule& rule) {
               std::string_view spec = rule.cleaned;
               return rule.exception && spec.starts_with(directory) &&
                      spec.substr(directory.size()).starts_with('/');
           });
}

std::string_view IgnoreRules::pattern_of(int line) const {
    const auto rule = std::ranges::find(rules_, line, &Rule::line);
    return line == 0 || rule == rules_.end() ? std::string_view() : std::string_view(rule->written);
}

} // namespace slipway::context
