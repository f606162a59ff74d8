#include "dockerfile/text.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace slipway::dockerfile {
namespace {

// A hint is not worth more: hostile files hold many names.
constexpr std::size_t most_candidates = 256;

char upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Damerau-Levenshtein with adjacent swaps, both words short.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = upper(a[i - 1]) == upper(b[j - 1]);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0U : 1U)});
            if (i > 1 && j > 1 && upper(a[i - 1]) == upper(b[j - 2]) && upper(a[i - 2]) == upper(b[j - 1])) {
                now[j] = std::min(now[j], before[j - 2] + 1);
            }
        }
        before.swap(last);
        last.swap(now);
    }
    return last[b.size()];
}

} // namespace

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

std::size_t leading_space(std::string_view text) noexcept {
    static constexpr std::array<std::string_view, 8> wide = {"\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80",
                                                             "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
                                                             "\xE2\x81\x9F", "\xE3\x80\x80"};
    std::size_t at = 0;
    while (at < text.size()) {
        if (is_blank(text[at]) || text[at] == '\n') {
            ++at;
            continue;
        }
        if (static_cast<unsigned char>(text[at]) < 0x80) {
            break;
        }
        const std::string_view rest = text.substr(at);
        const auto* found = std::ranges::find_if(wide, [&](auto space) { return rest.starts_with(space); });
        if (found != wide.end()) {
            at += found->size();
        } else if (rest.starts_with("\xE2\x80") && rest.size() > 2 &&
                   static_cast<unsigned char>(rest[2]) >= 0x80 &&
                   static_cast<unsigned char>(rest[2]) <= 0x8A) {
            at += 3; // U+2000 to U+200A
        } else {
            break;
        }
    }
    return at;
}

std::string_view trim_right(std::string_view text) noexcept {
    while (!text.empty() && (is_blank(text.back()) || text.back() == '\n')) {
        text.remove_suffix(1);
    }
    return text;
}

std::string_view trim(std::string_view text) noexcept {
    return trim_right(text.substr(leading_space(text)));
}

std::string to_upper(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), upper);
    return out;
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view closest(std::string_view word, std::span<const std::string_view> candidates) {
    if (word.empty() || word.size() > 64) {
        return {};
    }
    std::string_view best;
    std::size_t best_distance = word.size() <= 3 ? 1 : word.size() <= 6 ? 2 : 3;
    for (const std::string_view candidate : candidates.first(std::min(candidates.size(), most_candidates))) {
        if (candidate.size() > word.size() + best_distance ||
            candidate.size() + best_distance < word.size()) {
            continue;
        }
        const std::size_t d = distance(word, candidate);
        if (d < best_distance || (d == best_distance && best.empty())) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

std::string shown(std::string_view text) {
    std::string out = to_valid_utf8(text.substr(0, 100));
    for (char& c : out) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            c = '?';
        }
    }
    if (text.size() > 100) {
        out += "…";
    }
    return out;
}

} // namespace slipway::dockerfile
