#include "dockerfile/pattern.hpp"

#include <algorithm>
#include <cstddef>
#include <format>
#include <optional>
#include <vector>

namespace slipway::dockerfile {
namespace {

// Far more than any real value needs; hundredths of a second.
constexpr std::size_t work_limit = 5'000'000;

enum class Kind { literal, any, star };

struct Token {
    Kind kind = Kind::literal;
    std::string_view character; // one UTF-8 sequence, or a single stray byte
};

using Characters = std::vector<std::string_view>;

Characters split_characters(std::string_view text) {
    Characters out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto first = static_cast<unsigned char>(text[at]);
        std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
        length = std::min(length, text.size() - at);
        for (std::size_t i = 1; i < length; ++i) {
            if ((static_cast<unsigned char>(text[at + i]) & 0xC0U) != 0x80U) {
                length = 1;
                break;
            }
        }
        out.push_back(text.substr(at, length));
        at += length;
    }
    return out;
}

Error bad_pattern(std::string_view pattern, std::string_view why) {
    return make_error(ErrorClass::build, code::dockerfile_issue,
                      std::format("the pattern \"{}\" in a substitution {}", pattern.substr(0, 100), why));
}

Result<std::vector<Token>> tokenise(std::string_view pattern) {
    const Characters characters = split_characters(pattern);
    std::vector<Token> tokens;
    for (std::size_t i = 0; i < characters.size(); ++i) {
        if (characters[i] == "*") {
            if (tokens.empty() || tokens.back().kind != Kind::star) {
                tokens.push_back({Kind::star, {}});
            }
        } else if (characters[i] == "?") {
            tokens.push_back({Kind::any, {}});
        } else if (characters[i] == "\\") {
            const std::string_view next = i + 1 < characters.size() ? characters[i + 1] : std::string_view{};
            if (next != "*" && next != "?" && next != "\\" && next != "}" && next != "/") {
                return fail(bad_pattern(pattern, "has a backslash that escapes nothing"));
            }
            tokens.push_back({Kind::literal, next});
            ++i;
        } else {
            tokens.push_back({Kind::literal, characters[i]});
        }
    }
    return tokens;
}

// All states of the pattern at once, character by character: no backtracking, so time is |text| * |pattern|.
class Matcher {
  public:
    explicit Matcher(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    // Length of the shortest or longest match at `start`.
    std::optional<std::size_t> match(const Characters& text, std::size_t start, bool longest) {
        std::vector<char> now(tokens_.size() + 1, 0);
        std::vector<char> next(tokens_.size() + 1, 0);
        now[0] = 1;
        close(now);
        std::optional<std::size_t> found;
        for (std::size_t at = start;; ++at) {
            if (now[tokens_.size()] != 0) {
                found = at - start;
                if (!longest) {
                    return found;
                }
            }
            if (at == text.size()) {
                return found;
            }
            std::ranges::fill(next, char{0});
            bool alive = false;
            for (std::size_t state = 0; state < tokens_.size(); ++state) {
                ++work_;
                if (now[state] == 0) {
                    continue;
                }
                const Token& token = tokens_[state];
                if (token.kind == Kind::literal ? token.character == text[at] : text[at] != "\n") {
                    next[token.kind == Kind::star ? state : state + 1] = 1;
                    alive = true;
                }
            }
            if (!alive || work_ > work_limit) {
                return found;
            }
            close(next);
            now.swap(next);
        }
    }

    [[nodiscard]] bool exhausted() const noexcept { return work_ > work_limit; }

  private:
    void close(std::vector<char>& states) const {
        for (std::size_t state = 0; state < tokens_.size(); ++state) {
            if (states[state] != 0 && tokens_[state].kind == Kind::star) {
                states[state + 1] = 1;
            }
        }
    }

    std::vector<Token> tokens_;
    std::size_t work_ = 0;
};

std::string join(const Characters& characters, std::size_t from, std::size_t to) {
    std::string out;
    for (std::size_t i = from; i < to; ++i) {
        out += characters[i];
    }
    return out;
}

} // namespace

Result<std::string> strip_prefix(std::string_view pattern, std::string_view value, bool longest) {
    TRY_ASSIGN(std::vector<Token> tokens, tokenise(pattern));
    const Characters characters = split_characters(value);
    Matcher matcher(std::move(tokens));
    const auto length = matcher.match(characters, 0, longest);
    if (matcher.exhausted()) {
        return fail(bad_pattern(pattern, "takes too long to match"));
    }
    return join(characters, length.value_or(0), characters.size());
}

Result<std::string> strip_suffix(std::string_view pattern, std::string_view value, bool longest) {
    TRY_ASSIGN(std::vector<Token> tokens, tokenise(pattern));
    std::ranges::reverse(tokens);
    Characters characters = split_characters(value);
    std::ranges::reverse(characters);
    Matcher matcher(std::move(tokens));
    const auto length = matcher.match(characters, 0, longest);
    if (matcher.exhausted()) {
        return fail(bad_pattern(pattern, "takes too long to match"));
    }
    std::ranges::reverse(characters);
    return join(characters, 0, characters.size() - length.value_or(0));
}

Result<std::string> replace_matches(std::string_view pattern, std::string_view value,
                                    std::string_view replacement, bool all, std::size_t limit) {
    TRY_ASSIGN(std::vector<Token> tokens, tokenise(pattern));
    if (tokens.empty()) {
        return std::string(value);
    }
    const Characters characters = split_characters(value);
    Matcher matcher(std::move(tokens));
    std::string out;
    bool done = false;
    bool after_match = false;
    for (std::size_t at = 0; at <= characters.size();) {
        const auto length = done ? std::nullopt : matcher.match(characters, at, true);
        if (matcher.exhausted()) {
            return fail(bad_pattern(pattern, "takes too long to match"));
        }
        // An empty match right behind another match is none: `*` replaces "abc" once, not twice.
        const bool take = length && (*length > 0 || !after_match);
        if (take) {
            out += replacement;
            done = !all;
        }
        after_match = take;
        if (take && *length > 0) {
            at += *length;
        } else {
            if (at < characters.size()) {
                out += characters[at];
            }
            ++at;
            after_match = false;
        }
        if (out.size() > limit) {
            return fail(bad_pattern(pattern, "makes too long a text"));
        }
    }
    return out;
}

} // namespace slipway::dockerfile
