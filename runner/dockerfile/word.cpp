#include "dockerfile/word.hpp"

#include "dockerfile/path_pattern.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <cstddef>
#include <format>
#include <unordered_set>
#include <utility>

namespace slipway::dockerfile {
namespace {

// Linux takes no single environment string beyond 128 KiB; the source itself may be longer.
constexpr std::size_t grown_bytes = std::size_t{128} << 10U;
constexpr int deepest = 40;

Error syntax_error(std::string message, std::string hint = {}) {
    return make_error(ErrorClass::build, code::dockerfile_issue, std::move(message), std::move(hint));
}

Error open_brace() {
    return syntax_error("a variable's ${ is not closed: '}' is missing",
                        "close the brace, or escape the dollar sign");
}

class WordReader {
  public:
    WordReader(std::string_view source, const Lookup& lookup)
        : source_(source), lookup_(lookup), limit_(source.size() + grown_bytes) {}

    Result<Word> run() {
        TRY_ASSIGN(out_.text, until({}, &out_.words));
        return std::move(out_);
    }

  private:
    [[nodiscard]] bool at_end() const { return at_ >= source_.size(); }
    [[nodiscard]] bool at(char c) const { return !at_end() && source_[at_] == c; }

    // Text up to an unquoted one of `stops` (consumed, left in stopped_) or, without any, to the end.
    Result<std::string> until(std::string_view stops, std::vector<std::string>* words = nullptr) {
        if (++depth_ > deepest) {
            return fail(syntax_error("variables are nested too deeply", "use fewer ${…} inside each other"));
        }
        std::string out;
        std::string word;
        const auto plain = [&](std::string_view text) {
            out += text;
            for (const char c : words != nullptr ? text : std::string_view{}) {
                if (!is_blank(c) && c != '\n') {
                    word += c;
                } else if (!word.empty()) {
                    words->push_back(std::exchange(word, {}));
                }
            }
        };
        const auto quoted = [&](std::string_view text) {
            out += text;
            word += text;
        };
        bool closed = stops.empty();
        while (!at_end()) {
            const char c = source_[at_];
            if (stops.contains(c)) {
                stopped_ = c;
                ++at_;
                closed = true;
                break;
            }
            if (c == '\'') {
                TRY_ASSIGN(const std::string_view piece, single_quoted());
                quoted(piece);
            } else if (c == '"') {
                TRY_ASSIGN(const std::string piece, double_quoted());
                quoted(piece);
            } else if (c == '$') {
                TRY_ASSIGN(const std::string piece, dollar());
                plain(piece);
            } else if (c == '\\') {
                ++at_;
                quoted(source_.substr(std::min(at_, source_.size()), 1));
                ++at_;
            } else {
                const std::size_t end = std::min(source_.find_first_of("'\"$\\/}", at_ + 1), source_.size());
                plain(source_.substr(at_, end - at_));
                at_ = end;
            }
            if (out.size() > limit_) {
                return fail(too_long());
            }
        }
        if (!closed) {
            return fail(open_brace());
        }
        if (words != nullptr && !word.empty()) {
            words->push_back(std::move(word));
        }
        --depth_;
        return out;
    }

    static Error too_long() {
        return syntax_error("variables expand to more than 128 KiB", "shorten what the variables hold");
    }

    Result<std::string_view> single_quoted() {
        const std::size_t from = at_ + 1;
        const std::size_t end = source_.find('\'', from);
        if (end == std::string_view::npos) {
            return fail(
                syntax_error("a single quote is not closed", "add the closing ' or escape the first one"));
        }
        at_ = end + 1;
        return source_.substr(from, end - from);
    }

    Result<std::string> double_quoted() {
        std::string out;
        for (++at_; !at_end();) {
            const char c = source_[at_];
            if (c == '"') {
                ++at_;
                return out;
            }
            if (c == '$') {
                TRY_ASSIGN(const std::string piece, dollar());
                out += piece;
                if (out.size() > limit_) {
                    return fail(too_long());
                }
                continue;
            }
            ++at_;
            if (c == '\\' && !at_end() && (at('"') || at('$') || at('\\'))) {
                out += source_[at_++];
            } else if (c != '\\' || !at_end()) {
                out += c;
            }
        }
        return fail(
            syntax_error("a double quote is not closed", "add the closing \" or escape the first one"));
    }

    std::string_view name() {
        const std::size_t from = at_;
        if (!at_end() && source_[at_] >= '0' && source_[at_] <= '9') {
            out_.disputed = true;
            return source_.substr(at_++, 1);
        }
        while (!at_end() && is_name_character(source_[at_])) {
            ++at_;
        }
        return source_.substr(from, at_ - from);
    }

    static bool is_name_character(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               static_cast<unsigned char>(c) >= 0x80;
    }

    std::string value_of(std::string_view variable, bool note = true) {
        if (auto value = lookup_ && !variable.empty() ? lookup_(variable) : std::nullopt) {
            return *std::move(value);
        }
        if (note && !variable.empty() && seen_unset_.emplace(variable).second) {
            out_.unset.emplace_back(variable);
        }
        return {};
    }

    Result<std::string> dollar() {
        const std::size_t from = at_++;
        if (at('{')) {
            return braced(from);
        }
        const std::string_view variable = name();
        if (variable.empty()) {
            out_.disputed =
                out_.disputed || (!at_end() && std::string_view("@*#?-$!").contains(source_[at_]));
            return std::string("$");
        }
        return value_of(variable);
    }

    Result<std::string> braced(std::size_t from) {
        ++at_;
        const std::string_view variable = name();
        if (at_end()) {
            return fail(open_brace());
        }
        const char operation = source_[at_++];
        switch (operation) {
        case '}': out_.disputed = out_.disputed || variable.empty(); return value_of(variable);
        case ':': return conditional(variable, from);
        case '#': return stripped_prefix(variable);
        case '%': return stripped_suffix(variable);
        case '/': return replaced(variable);
        case '-':
        case '+':
        case '?':
            return fail(syntax_error(
                std::format("buildah does not know the substitution {}", source_.substr(from, at_ - from)),
                std::format("put a colon before the {0}: ${{{1}:{0}word}}", operation, shown(variable))));
        default: return fail(unknown(from));
        }
    }

    [[nodiscard]] Error unknown(std::size_t from) const {
        const std::size_t brace = source_.find('}', from);
        const std::size_t end = brace == std::string_view::npos || brace > from + 60 ? at_ : brace + 1;
        return syntax_error(
            std::format("{} is no substitution a Dockerfile knows", shown(source_.substr(from, end - from))),
            "known are ${x:-word} ${x:+word} ${x:?word} ${x#pattern} ${x%pattern} ${x/pattern/text}");
    }

    Result<std::string> conditional(std::string_view variable, std::size_t from) {
        if (at_end()) {
            return fail(open_brace());
        }
        const char operation = source_[at_++];
        if (operation != '-' && operation != '+' && operation != '?') {
            return fail(unknown(from));
        }
        TRY_ASSIGN(std::string word, until("}"));
        std::string value = value_of(variable, false);
        if (operation == '+') {
            return value.empty() ? std::string() : word;
        }
        if (!value.empty()) {
            return value;
        }
        if (operation == '?') {
            return fail(syntax_error(
                std::format("{}: {}", shown(variable), word.empty() ? "must be set" : word.substr(0, 400)),
                std::format("give it a value, for instance with the build argument {}", shown(variable))));
        }
        return word;
    }

    Result<std::string> checked(const PathPattern& pattern, std::string value) const {
        if (pattern.exhausted()) {
            return fail(syntax_error("a pattern in a substitution takes too long to match"));
        }
        return value;
    }

    Result<std::string> pattern_of(char operation, bool& longest) {
        out_.disputed = true;
        longest = at(operation);
        at_ += longest ? 1U : 0U;
        TRY_ASSIGN(std::string pattern, until("}"));
        if (pattern.empty()) {
            return fail(no_pattern());
        }
        return pattern;
    }

    static Error no_pattern() {
        return syntax_error("a substitution names no pattern",
                            "write ${x#pattern}, ${x%pattern} or ${x/pattern/text}");
    }

    Result<std::string> stripped_prefix(std::string_view variable) {
        bool longest = false;
        TRY_ASSIGN(const std::string text, pattern_of('#', longest));
        std::string value = value_of(variable);
        PathPattern pattern(text);
        std::optional<std::size_t> end;
        // buildah never tries the whole value, nor, for the shortest, all but its last byte.
        if (const std::size_t spared = longest ? 1 : 2; value.size() >= spared) {
            end = pattern.match(value, 0, longest, 0, value.size() - spared);
        }
        return checked(pattern, end ? value.substr(*end) : value);
    }

    Result<std::string> stripped_suffix(std::string_view variable) {
        bool longest = false;
        TRY_ASSIGN(const std::string text, pattern_of('%', longest));
        std::string value = value_of(variable);
        PathPattern pattern(text);
        // buildah tries no suffix of one byte for the longest, the whole value for both.
        const std::size_t starts = longest ? (value.size() < 2 ? 0 : value.size() - 1) : value.size();
        for (std::size_t i = 0; i < starts; ++i) {
            const std::size_t start = longest ? i : starts - 1 - i;
            if (pattern.match(value, start, true, value.size(), value.size())) {
                return checked(pattern, value.substr(0, start));
            }
        }
        return checked(pattern, value);
    }

    Result<std::string> replaced(std::string_view variable) {
        out_.disputed = true;
        const char anchor = at('/') || at('#') || at('%') ? source_[at_++] : '\0';
        TRY_ASSIGN(const std::string text, until("/}"));
        std::string replacement;
        if (stopped_ == '/') {
            TRY_ASSIGN(replacement, until("}"));
        }
        if (text.empty()) {
            return fail(no_pattern());
        }
        const std::string value = value_of(variable);
        PathPattern pattern(text);
        std::string out;
        std::size_t from = 0;
        for (std::size_t i = 0; i < value.size();) {
            const bool may_begin = anchor != '#' || i == 0;
            const std::size_t least = anchor == '%' ? value.size() : i + 1;
            const auto end = may_begin ? pattern.match(value, i, true, least, value.size()) : std::nullopt;
            if (!end) {
                ++i;
                continue;
            }
            out += value.substr(from, i - from);
            out += replacement;
            if (out.size() > limit_) {
                return fail(too_long());
            }
            from = i = *end;
            if (anchor != '/') {
                break;
            }
        }
        return checked(pattern, out + value.substr(from));
    }

    std::string_view source_;
    const Lookup& lookup_;
    std::size_t limit_;
    std::size_t at_ = 0;
    int depth_ = 0;
    char stopped_ = '\0';
    Word out_;
    std::unordered_set<std::string> seen_unset_;
};

} // namespace

Result<Word> expand_word(std::string_view source, const Lookup& lookup) {
    return WordReader(source, lookup).run();
}

} // namespace slipway::dockerfile
