#include "source/attributes_pattern.hpp"

#include <cstddef>

namespace slipway::source {
namespace {

constexpr std::size_t none = std::string_view::npos;

bool in_class(std::string_view name, unsigned char c) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool lower = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    const bool graph = c > 0x20 && c < 0x7f;
    if (name == "alpha") {
        return upper || lower;
    }
    if (name == "digit") {
        return digit;
    }
    if (name == "alnum") {
        return upper || lower || digit;
    }
    if (name == "upper") {
        return upper;
    }
    if (name == "lower") {
        return lower;
    }
    if (name == "space") {
        return c == ' ' || (c >= '\t' && c <= '\r');
    }
    if (name == "blank") {
        return c == ' ' || c == '\t';
    }
    if (name == "punct") {
        return graph && !upper && !lower && !digit;
    }
    if (name == "xdigit") {
        return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    }
    if (name == "graph") {
        return graph;
    }
    if (name == "print") {
        return graph || c == ' ';
    }
    return name == "cntrl" && (c < 0x20 || c == 0x7f);
}

struct Bracket {
    std::size_t end = none; ///< behind the closing bracket; none = there is none, and nothing matches
    bool matches = false;
};

/// `pattern` begins with '['.
Bracket bracket(std::string_view pattern, char wanted) {
    const auto c = static_cast<unsigned char>(wanted);
    std::size_t i = 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    i += negated ? 1U : 0U;
    bool found = false;
    for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
        if (pattern.substr(i).starts_with("[:")) {
            if (const std::size_t close = pattern.find(":]", i + 2); close != none) {
                found = found || in_class(pattern.substr(i + 2, close - i - 2), c);
                i = close + 2;
                continue;
            }
        }
        const auto one = [&]() {
            if (pattern[i] == '\\' && i + 1 < pattern.size()) {
                ++i;
            }
            return static_cast<unsigned char>(pattern[i++]);
        };
        const unsigned char low = one();
        unsigned char high = low;
        if (i + 1 < pattern.size() && pattern[i] == '-' && pattern[i + 1] != ']') {
            ++i;
            high = one();
        }
        found = found || (c >= low && c <= high);
    }
    if (i >= pattern.size()) {
        return {};
    }
    return {.end = i + 1, .matches = found != negated && wanted != '/'};
}

} // namespace

bool path_pattern_matches(std::string_view pattern, std::string_view path) {
    // Two points of return suffice: the last `*`, which may grow up to the next slash, and the last `**`,
    // which may take one more directory.
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = none;
    std::size_t star_text = 0;
    std::size_t deep = none;
    std::size_t deep_text = 0;
    for (;;) {
        if (p < pattern.size()) {
            const bool at_start = p == 0 || pattern[p - 1] == '/';
            if (at_start && pattern.substr(p).starts_with("**/")) {
                p += 3; // no directory, to begin with
                deep = p;
                deep_text = t;
                star = none;
                continue;
            }
            if (at_start && pattern.substr(p) == "**") {
                return t < path.size();
            }
            if (pattern[p] == '*') {
                while (p < pattern.size() && pattern[p] == '*') {
                    ++p;
                }
                star = p;
                star_text = t;
                continue;
            }
            if (t < path.size()) {
                std::size_t next = p + 1;
                bool fits = false;
                if (pattern[p] == '[') {
                    const Bracket set = bracket(pattern.substr(p), path[t]);
                    fits = set.matches;
                    next = set.end == none ? next : p + set.end;
                } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
                    fits = pattern[p + 1] == path[t];
                    next = p + 2;
                } else {
                    fits = pattern[p] == '?' ? path[t] != '/' : pattern[p] == path[t];
                }
                if (fits) {
                    p = next;
                    ++t;
                    continue;
                }
            }
        } else if (t == path.size()) {
            return true;
        }
        if (star != none && star_text < path.size() && path[star_text] != '/') {
            t = ++star_text;
            p = star;
            continue;
        }
        star = none;
        const std::size_t slash = deep == none ? none : path.find('/', deep_text);
        if (slash == none) {
            return false;
        }
        t = deep_text = slash + 1;
        p = deep;
    }
}

} // namespace slipway::source
