#include "source/pattern.hpp"

#include <algorithm>
#include <cstddef>

namespace slipway::source {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

} // namespace

bool wildcard_match(std::string_view pattern, std::string_view text) {
    // One point of return, the last star: linear in practice and never exponential.
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() &&
            (pattern[p] == '?' || (pattern[p] != '*' && lower(pattern[p]) == lower(text[t])))) {
            ++p;
            ++t;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

bool pattern_list_match(std::string_view patterns, char separator, std::string_view name) {
    bool matched = false;
    while (!patterns.empty()) {
        const std::size_t end = std::min(patterns.find(separator), patterns.size());
        const std::string_view pattern = patterns.substr(0, end);
        patterns.remove_prefix(std::min(end + 1, patterns.size()));
        if (pattern.starts_with('!')) {
            if (wildcard_match(pattern.substr(1), name)) {
                return false;
            }
        } else if (!pattern.empty() && wildcard_match(pattern, name)) {
            matched = true;
        }
    }
    return matched;
}

} // namespace slipway::source
