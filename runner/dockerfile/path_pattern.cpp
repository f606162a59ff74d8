#include "dockerfile/path_pattern.hpp"

#include <algorithm>

namespace slipway::dockerfile {
namespace {

// Far more than any real value needs; hundredths of a second.
constexpr std::size_t work_limit = 20'000'000;

struct Character {
    char32_t value;
    std::size_t length;
};

// The UTF-8 sequence at `at`; a stray byte stands for itself.
Character character_at(std::string_view text, std::size_t at) {
    const auto first = static_cast<unsigned char>(text[at]);
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (length == 1 || at + length > text.size()) {
        return {first, 1};
    }
    char32_t value = first & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(text[at + i]);
        if ((next & 0xC0U) != 0x80U) {
            return {first, 1};
        }
        value = (value << 6U) | (next & 0x3FU);
    }
    return {value, length};
}

} // namespace

PathPattern::PathPattern(std::string_view pattern) {
    for (std::size_t at = 0; at < pattern.size() && valid_;) {
        const Character next = character_at(pattern, at);
        at += next.length;
        if (next.value == U'*') {
            if (tokens_.empty() || tokens_.back().kind != Kind::star) {
                tokens_.push_back({Kind::star, 0, false, {}});
            }
        } else if (next.value == U'?') {
            tokens_.push_back({Kind::any, 0, false, {}});
        } else if (next.value == U'[') {
            valid_ = read_set(pattern, at);
        } else if (next.value == U'\\') {
            valid_ = at < pattern.size();
            if (valid_) {
                const Character escaped = character_at(pattern, at);
                at += escaped.length;
                tokens_.push_back({Kind::literal, escaped.value, false, {}});
            }
        } else {
            tokens_.push_back({Kind::literal, next.value, false, {}});
        }
    }
}

// `at` stands behind the bracket.
bool PathPattern::read_set(std::string_view pattern, std::size_t& at) {
    Token token{Kind::set, 0, false, {}};
    if (at < pattern.size() && pattern[at] == '^') {
        token.negated = true;
        ++at;
    }
    const auto one = [&]() -> std::optional<char32_t> {
        if (at >= pattern.size() || pattern[at] == '-' || pattern[at] == ']') {
            return std::nullopt;
        }
        if (pattern[at] == '\\') {
            ++at;
            if (at >= pattern.size()) {
                return std::nullopt;
            }
        }
        const Character character = character_at(pattern, at);
        at += character.length;
        return character.value;
    };
    while (token.ranges.empty() || at >= pattern.size() || pattern[at] != ']') {
        const auto low = one();
        auto high = low;
        if (low && at < pattern.size() && pattern[at] == '-') {
            ++at;
            high = one();
        }
        if (!low || !high) {
            return false;
        }
        token.ranges.emplace_back(*low, *high);
    }
    ++at;
    tokens_.push_back(std::move(token));
    return true;
}

bool PathPattern::exhausted() const noexcept {
    return work_ > work_limit;
}

bool PathPattern::takes(const Token& token, char32_t character) {
    switch (token.kind) {
    case Kind::literal: return token.character == character;
    case Kind::any:
    case Kind::star: return character != U'/';
    case Kind::set: break;
    }
    const bool inside = std::ranges::any_of(token.ranges, [&](const auto& range) {
        return range.first <= character && character <= range.second;
    });
    return inside != token.negated;
}

void PathPattern::close(std::vector<char>& states) const {
    for (std::size_t state = 0; state < tokens_.size(); ++state) {
        if (states[state] != 0 && tokens_[state].kind == Kind::star) {
            states[state + 1] = 1;
        }
    }
}

// All states of the pattern at once, character by character: no backtracking.
std::optional<std::size_t> PathPattern::match(std::string_view text, std::size_t start, bool longest,
                                              std::size_t least, std::size_t most) {
    std::optional<std::size_t> found;
    if (!valid_ || exhausted()) {
        return found;
    }
    std::vector<char> now(tokens_.size() + 1, 0);
    std::vector<char> next(tokens_.size() + 1, 0);
    now[0] = 1;
    close(now);
    for (std::size_t at = start; at <= most;) {
        if (now[tokens_.size()] != 0 && at >= least) {
            found = at;
            if (!longest) {
                return found;
            }
        }
        if (at >= text.size()) {
            return found;
        }
        const Character character = character_at(text, at);
        std::ranges::fill(next, char{0});
        bool alive = false;
        for (std::size_t state = 0; state < tokens_.size(); ++state) {
            work_ += 1 + tokens_[state].ranges.size();
            if (now[state] != 0 && takes(tokens_[state], character.value)) {
                next[tokens_[state].kind == Kind::star ? state : state + 1] = 1;
                alive = true;
            }
        }
        if (!alive || exhausted()) {
            return found;
        }
        close(next);
        now.swap(next);
        at += character.length;
    }
    return found;
}

} // namespace slipway::dockerfile
