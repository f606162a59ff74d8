#include "dockerfile/lexer.hpp"

#include "dockerfile/pattern.hpp"
#include "dockerfile/text.hpp"

#include <algorithm>
#include <cstddef>
#include <format>
#include <unordered_set>
#include <utility>

namespace slipway::dockerfile {
namespace {

// Linux takes no single environment string beyond 128 KiB; the source itself may be longer (a RUN's line).
constexpr std::size_t grown_bytes = std::size_t{128} << 10U;
constexpr int deepest = 40;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

Error syntax_error(std::string message, std::string hint = {}) {
    return make_error(ErrorClass::build, code::dockerfile_issue, std::move(message), std::move(hint));
}

// Gathers words; characters that were quoted or escaped never split.
class Words {
  public:
    void plain(char c) {
        if (is_blank(c) || c == '\n') {
            finish();
        } else {
            word_ += c;
        }
    }
    void plain(std::string_view text) {
        for (const char c : text) {
            plain(c);
        }
    }
    void quoted(std::string_view text) { word_ += text; }
    void finish() {
        if (!word_.empty()) {
            words_.push_back(std::exchange(word_, {}));
        }
    }
    std::vector<std::string> take() {
        finish();
        return std::move(words_);
    }

  private:
    std::string word_;
    std::vector<std::string> words_;
};

class Lexer {
  public:
    Lexer(std::string_view source, const Lookup& lookup, const LexOptions& options)
        : source_(source), lookup_(lookup), options_(options), limit_(source.size() + grown_bytes) {}

    Result<Lexed> run() {
        Words words;
        TRY_ASSIGN(std::string text,
                   until('\0', false, options_.raw_escapes, options_.split ? &words : nullptr));
        return Lexed{std::move(text), words.take(), std::move(unset_)};
    }

  private:
    [[nodiscard]] bool at_end() const { return at_ >= source_.size(); }
    [[nodiscard]] char peek() const { return source_[at_]; }
    [[nodiscard]] bool at(char c) const { return !at_end() && peek() == c; }

    // Text up to an unquoted `stop` (consumed) or, without one, to the end.
    Result<std::string> until(char stop, bool has_stop, bool raw_escapes, Words* words) {
        if (++depth_ > deepest) {
            return fail(syntax_error("variables are nested too deeply", "use fewer ${…} inside each other"));
        }
        std::string special = "$'\"";
        special += options_.escape;
        if (has_stop) {
            special += stop;
        }
        std::string out;
        while (!at_end()) {
            if (out.size() > limit_) {
                return fail(too_long());
            }
            const std::string_view plain =
                source_.substr(at_, source_.find_first_of(special, at_) - at_); // npos - at_ is long enough
            if (!plain.empty()) {
                at_ += plain.size();
                out += plain;
                if (words != nullptr) {
                    words->plain(plain);
                }
                continue;
            }
            const char c = peek();
            if (has_stop && c == stop) {
                ++at_;
                --depth_;
                return out;
            }
            if (c == '\'' || c == '"') {
                TRY_ASSIGN(const std::string piece, c == '"' ? double_quoted(raw_escapes) : single_quoted());
                out += piece;
                if (words != nullptr) {
                    words->quoted(piece);
                }
            } else if (c == '$') {
                TRY_ASSIGN(const std::string piece, dollar());
                out += piece;
                if (words != nullptr) {
                    words->plain(piece);
                }
            } else {
                const std::size_t from = raw_escapes ? at_ : at_ + 1;
                at_ = std::min(at_ + 2, source_.size());
                const std::string_view piece =
                    from < at_ ? source_.substr(from, at_ - from) : std::string_view{};
                out += piece;
                if (words != nullptr) {
                    words->quoted(piece);
                }
            }
        }
        if (out.size() > limit_) {
            return fail(too_long());
        }
        if (has_stop) {
            return fail(syntax_error(std::format("a variable's ${{…}} is not closed: '{}' is missing", stop),
                                     "close the brace, or escape the dollar sign"));
        }
        --depth_;
        return out;
    }

    static Error too_long() {
        return syntax_error("variables expand to more than 128 KiB", "shorten what the variables hold");
    }

    Result<std::string> single_quoted() {
        const std::size_t from = at_++;
        const std::size_t end = source_.find('\'', at_);
        if (end == std::string_view::npos) {
            return fail(
                syntax_error("a single quote is not closed", "add the closing ' or escape the first one"));
        }
        at_ = end + 1;
        return std::string(options_.raw_quotes ? source_.substr(from, at_ - from)
                                               : source_.substr(from + 1, end - from - 1));
    }

    Result<std::string> double_quoted(bool raw_escapes) {
        std::string out;
        ++at_;
        if (options_.raw_quotes) {
            out += '"';
        }
        while (!at_end()) {
            char c = peek();
            if (c == '"') {
                ++at_;
                if (options_.raw_quotes) {
                    out += '"';
                }
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
            if (c == options_.escape) {
                if (raw_escapes) {
                    out += c;
                }
                if (at_end()) {
                    break;
                }
                if (peek() == '"' || peek() == '$' || peek() == options_.escape) {
                    c = peek();
                    ++at_;
                } else if (raw_escapes) {
                    continue;
                }
            }
            out += c;
        }
        return fail(
            syntax_error("a double quote is not closed", "add the closing \" or escape the first one"));
    }

    std::string_view name() {
        const std::size_t from = at_;
        if (at_end()) {
            return {};
        }
        if (is_digit(peek())) {
            while (!at_end() && is_digit(peek())) {
                ++at_;
            }
        } else if (std::string_view("@*#?-$!").contains(peek())) {
            ++at_;
        } else {
            while (!at_end() && is_name(peek())) {
                ++at_;
            }
        }
        return source_.substr(from, at_ - from);
    }

    std::optional<std::string> value_of(std::string_view variable) const {
        return lookup_ ? lookup_(variable) : std::nullopt;
    }

    void note_unset(std::string_view variable) {
        if (seen_unset_.emplace(variable).second) {
            unset_.emplace_back(variable);
        }
    }

    Result<std::string> dollar() {
        const std::size_t from = at_++;
        if (at('{')) {
            return braced(from);
        }
        const std::string_view variable = name();
        if (variable.empty()) {
            return std::string("$");
        }
        return plain_value(variable, from);
    }

    Result<std::string> plain_value(std::string_view variable, std::size_t from) {
        if (auto value = value_of(variable)) {
            return *std::move(value);
        }
        note_unset(variable);
        return options_.keep_unset ? std::string(source_.substr(from, at_ - from)) : std::string();
    }

    Result<std::string> braced(std::size_t from) {
        ++at_;
        if (at_end()) {
            return fail(syntax_error("a variable's ${ is not closed: '}' is missing",
                                     "close the brace, or escape the dollar sign"));
        }
        const std::string_view variable = name();
        if (variable.empty()) {
            return fail(syntax_error("\"${\" is not followed by a variable's name",
                                     "write ${NAME}, or escape the dollar sign"));
        }
        if (at('}')) {
            ++at_;
            return plain_value(variable, from);
        }
        if (at_end()) {
            return fail(syntax_error(std::format("\"${{{}\" is not closed: '}}' is missing", variable),
                                     "close the brace, or escape the dollar sign"));
        }
        char operation = peek();
        ++at_;
        const bool null_counts = operation == ':';
        if (null_counts) {
            operation = at_end() ? '\0' : source_[at_++];
        }
        switch (operation) {
        case '-':
        case '+':
        case '?': return conditional(variable, operation, null_counts, from);
        case '#':
        case '%':
            if (!null_counts) {
                return stripped(variable, operation, from);
            }
            break;
        case '/':
            if (!null_counts) {
                return replaced(variable, from);
            }
            break;
        default: break;
        }
        const std::size_t brace = source_.find('}', from);
        const std::size_t end = brace == std::string_view::npos || brace > from + 60 ? at_ : brace + 1;
        return fail(syntax_error(
            std::format("\"{}\" is no substitution a Dockerfile knows",
                        shown(source_.substr(from, end - from))),
            "known are ${x:-word} ${x-word} ${x:+word} ${x+word} ${x:?word} ${x?word} ${x#pattern} "
            "${x%pattern} "
            "${x/pattern/text}"));
    }

    Result<std::string> conditional(std::string_view variable, char operation, bool null_counts,
                                    std::size_t from) {
        TRY_ASSIGN(std::string word, until('}', true, false, nullptr));
        auto value = value_of(variable);
        if (options_.keep_unset && !value) {
            return std::string(source_.substr(from, at_ - from));
        }
        const bool there = value && !(null_counts && value->empty());
        if (operation == '+') {
            return there ? word : std::string();
        }
        if (there) {
            return *std::move(value);
        }
        if (operation == '-') {
            return word;
        }
        if (word.empty()) {
            word = value ? "must not be empty" : "must be set";
        }
        return fail(
            syntax_error(std::format("{}: {}", variable, word.substr(0, 400)),
                         std::format("give it a value, for instance with the build argument {}", variable)));
    }

    Result<std::string> stripped(std::string_view variable, char operation, std::size_t from) {
        const bool longest = at(operation);
        if (longest) {
            ++at_;
        }
        TRY_ASSIGN(const std::string pattern, until('}', true, true, nullptr));
        const auto value = value_of(variable);
        if (!value) {
            note_unset(variable);
            return options_.keep_unset ? std::string(source_.substr(from, at_ - from)) : std::string();
        }
        return operation == '#' ? strip_prefix(pattern, *value, longest)
                                : strip_suffix(pattern, *value, longest);
    }

    Result<std::string> replaced(std::string_view variable, std::size_t from) {
        const bool all = at('/');
        if (all) {
            ++at_;
        }
        TRY_ASSIGN(const std::string pattern, until('/', true, true, nullptr));
        TRY_ASSIGN(const std::string replacement, until('}', true, false, nullptr));
        const auto value = value_of(variable);
        if (!value) {
            note_unset(variable);
            return options_.keep_unset ? std::string(source_.substr(from, at_ - from)) : std::string();
        }
        return replace_matches(pattern, *value, replacement, all, limit_);
    }

    std::string_view source_;
    const Lookup& lookup_;
    LexOptions options_;
    std::size_t limit_;
    std::size_t at_ = 0;
    int depth_ = 0;
    std::vector<std::string> unset_;
    std::unordered_set<std::string> seen_unset_;
};

} // namespace

Result<Lexed> lex(std::string_view source, const Lookup& lookup, const LexOptions& options) {
    return Lexer(source, lookup, options).run();
}

} // namespace slipway::dockerfile
