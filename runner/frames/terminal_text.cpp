#include "frames/terminal_text.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace slipway::frames {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";
constexpr std::string_view reset = "\x1b[0m";
constexpr std::size_t tab_stop = 8;
constexpr int longest_pile = 4;

struct Range {
    char32_t first;
    char32_t last;
};

template <std::size_t n> bool within(const std::array<Range, n>& ranges, char32_t c) {
    const auto at = std::ranges::upper_bound(ranges, c, {}, &Range::first);
    return at != ranges.begin() && c <= std::prev(at)->last;
}

/// Drawn over the character before them (Unicode general categories Mn and Me, the common blocks).
constexpr std::array<Range, 30> combining{
    {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},     {0x64b, 0x65f},
     {0x6d6, 0x6dc},   {0x6df, 0x6e4},   {0x900, 0x902},   {0x93c, 0x93c},     {0x941, 0x948},
     {0x94d, 0x94d},   {0x951, 0x957},   {0xe31, 0xe31},   {0xe34, 0xe3a},     {0xe47, 0xe4e},
     {0xeb1, 0xeb1},   {0xeb4, 0xebc},   {0xec8, 0xece},   {0x135d, 0x135f},   {0x1ab0, 0x1aff},
     {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20f0}, {0x302a, 0x302d},   {0x3099, 0x309a},
     {0xa66f, 0xa67d}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0x1d165, 0x1d169}, {0x1f3fb, 0x1f3ff}}};

/// East_Asian_Width W and F, and characters with emoji presentation.
constexpr std::array<Range, 30> wide{
    {{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23ec},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
     {0x2648, 0x2653}, {0x26aa, 0x26ab}, {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26d4, 0x26d4},
     {0x2705, 0x2705}, {0x270a, 0x270b}, {0x2728, 0x2728},   {0x274c, 0x274c},   {0x2753, 0x2755},
     {0x2757, 0x2757}, {0x2795, 0x2797}, {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2e80, 0x303e},
     {0x3041, 0xa4cf}, {0xa960, 0xa97f}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
     {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f680, 0x1faff}, {0x20000, 0x3fffd}}};

/// What changes the order of what is read, or is there without being seen.
constexpr std::array<Range, 9> deceptive{{{0x61c, 0x61c},
                                          {0x180e, 0x180e},
                                          {0x200e, 0x200f},
                                          {0x2028, 0x202e},
                                          {0x2060, 0x206f},
                                          {0x3164, 0x3164},
                                          {0xfeff, 0xfeff},
                                          {0xfff9, 0xfffb},
                                          {0xe0000, 0xe0fff}}};

std::size_t width_of(char32_t c) {
    if (within(combining, c)) {
        return 0;
    }
    return within(wide, c) ? 2 : 1;
}

/// The code point at `at` of valid UTF-8, and its length.
char32_t code_point(std::string_view text, std::size_t at, std::size_t& length) {
    const auto byte = [&](std::size_t i) -> char32_t {
        return at + i < text.size() ? static_cast<std::uint8_t>(text[at + i]) : 0U;
    };
    const char32_t first = byte(0);
    if (first < 0x80) {
        length = 1;
        return first;
    }
    if (first < 0xe0) {
        length = 2;
        return (first & 0x1fU) << 6U | (byte(1) & 0x3fU);
    }
    if (first < 0xf0) {
        length = 3;
        return (first & 0x0fU) << 12U | (byte(1) & 0x3fU) << 6U | (byte(2) & 0x3fU);
    }
    length = 4;
    return (first & 0x07U) << 18U | (byte(1) & 0x3fU) << 12U | (byte(2) & 0x3fU) << 6U | (byte(3) & 0x3fU);
}

/// Length of the SGR sequence `harmless` let through at `at`, or 0.
std::size_t colour_length(std::string_view text, std::size_t at) {
    if (!text.substr(at).starts_with("\x1b[")) {
        return 0;
    }
    const std::size_t end = text.find('m', at);
    return end == std::string_view::npos ? 0 : end - at + 1;
}

/// The parameters of an SGR sequence without 5, 6 (blinking) and 8 (hidden); nothing where it is not one we
/// know how to read. The operands of 38, 48 and 58 are not parameters of their own.
std::string calm_colour(std::string_view parameters) {
    if (parameters.size() > 40) {
        return {};
    }
    std::string kept;
    int operands = 0;
    bool operand_kind = false;
    while (true) {
        const std::size_t end = parameters.find(';');
        const std::string_view one = parameters.substr(0, end);
        if (one.find_first_not_of("0123456789:") != std::string_view::npos) {
            return {};
        }
        bool keep = true;
        if (operand_kind) {
            operands = one == "5" ? 1 : one == "2" ? 3 : 0;
            operand_kind = false;
        } else if (operands > 0) {
            --operands;
        } else {
            operand_kind = one == "38" || one == "48" || one == "58";
            const std::size_t digits = std::min(one.find_first_not_of('0'), one.size());
            const std::string_view number = one.substr(digits, one.find(':') - digits);
            keep = number != "5" && number != "6" && number != "8";
        }
        if (keep) {
            kept += kept.empty() ? "" : ";";
            kept += one.empty() ? "0" : one;
        }
        if (end == std::string_view::npos) {
            break;
        }
        parameters.remove_prefix(end + 1);
    }
    return kept.empty() ? kept : "\x1b[" + kept + "m";
}

/// Length of the escape sequence at the start of `text` (which begins with ESC), or 0 where it is not whole;
/// `colour_parameters` is set for SGR.
std::size_t escape_length(std::string_view text, std::string_view& colour_parameters) {
    if (text.size() < 2) {
        return 0;
    }
    const char kind = text[1];
    if (kind == '[') {
        std::size_t at = 2;
        while (at < text.size() && text[at] >= 0x20 && text[at] < 0x40) {
            ++at;
        }
        if (at == text.size() || text[at] < 0x40 || text[at] > 0x7e) {
            return 0;
        }
        if (text[at] == 'm') {
            colour_parameters = text.substr(2, at - 2);
        }
        return at + 1;
    }
    if (kind == ']' || kind == 'P' || kind == 'X' || kind == '^' || kind == '_') {
        for (std::size_t at = 2; at < text.size(); ++at) {
            if (kind == ']' && text[at] == '\a') {
                return at + 1;
            }
            if (text[at] == '\x1b') {
                return text.substr(at).starts_with("\x1b\\") ? at + 2 : 0;
            }
        }
        return 0;
    }
    std::size_t at = 1;
    while (at < text.size() && text[at] >= 0x20 && text[at] < 0x30) {
        ++at;
    }
    return at < text.size() && text[at] >= 0x30 && text[at] <= 0x7e ? at + 1 : 0;
}

} // namespace

std::string harmless(std::string_view bytes, bool colour) {
    const std::string text = to_valid_utf8(bytes);
    std::string out;
    out.reserve(text.size());
    std::size_t column = 0;
    int pile = 0;
    bool coloured = false;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = 1;
        const char32_t c = code_point(text, at, length);
        if (c == 0x1b) {
            std::string_view parameters;
            const std::size_t whole = escape_length(std::string_view(text).substr(at), parameters);
            if (whole != 0) {
                if (colour && parameters.data() != nullptr) {
                    const std::string calm = calm_colour(parameters);
                    coloured = coloured || !calm.empty();
                    out += calm;
                }
                at += whole;
                continue;
            }
        }
        if (c == '\t') {
            const std::size_t spaces = tab_stop - column % tab_stop;
            out.append(spaces, ' ');
            column += spaces;
        } else if (c == '\n' || c == '\r') {
            out += ' ';
            ++column;
        } else if (c < 0x20 || c == 0x7f) {
            out += '^';
            out += static_cast<char>(c ^ 0x40U);
            column += 2;
        } else if ((c >= 0x80 && c < 0xa0) || within(deceptive, c)) {
            out += replacement;
            ++column;
        } else {
            const std::size_t width = width_of(c);
            pile = width == 0 ? pile + 1 : 0;
            if (pile <= longest_pile) {
                out.append(text, at, length);
            }
            column += width;
        }
        at += length;
    }
    if (coloured) {
        out += reset;
    }
    return out;
}

std::size_t columns_of(std::string_view text) {
    std::size_t columns = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = colour_length(text, at);
        if (length == 0) {
            columns += width_of(code_point(text, at, length));
        }
        at += length;
    }
    return columns;
}

std::vector<std::string> wrap(std::string_view text, std::size_t columns, bool words) {
    columns = std::max<std::size_t>(columns, 8);
    std::vector<std::string> rows;
    std::string row;
    std::string active; // colour in force, to be taken up again
    std::size_t used = 0;
    std::size_t space = std::string::npos; // where the row could be broken
    const auto finish_row = [&](const std::string& rest) {
        if (!active.empty()) {
            row += reset;
        }
        rows.push_back(std::move(row));
        row = active + rest;
        used = columns_of(rest);
        space = std::string::npos;
    };
    for (std::size_t at = 0; at < text.size();) {
        if (const std::size_t length = colour_length(text, at); length != 0) {
            const std::string_view sequence = text.substr(at, length);
            row += sequence;
            active = sequence == reset || active.size() > 64 ? "" : active + std::string(sequence);
            at += length;
            // A sequence inside the part that would move to the next row is not worth tracking.
            space = std::string::npos;
            continue;
        }
        std::size_t length = 1;
        const char32_t c = code_point(text, at, length);
        const std::size_t width = width_of(c);
        if (used + width > columns) {
            std::string rest;
            if (words && c == ' ') {
                at += length;
                finish_row({});
                continue;
            }
            if (words && space != std::string::npos) {
                rest = row.substr(space + 1);
                row.resize(space);
            }
            finish_row(rest);
        }
        if (words && c == ' ' && used * 2 >= columns) {
            space = row.size();
        }
        row.append(text.substr(at, length));
        used += width;
        at += length;
    }
    if (!row.empty() || rows.empty()) {
        rows.push_back(std::move(row));
    }
    return rows;
}

std::string shortened(std::string_view text, std::size_t columns, std::string_view mark) {
    if (columns_of(text) <= columns) {
        return std::string(text);
    }
    const std::size_t mark_columns = columns_of(mark);
    const std::size_t room = columns > mark_columns ? columns - mark_columns : 0;
    std::string out;
    std::size_t used = 0;
    bool coloured = false;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t length = colour_length(text, at);
        if (length != 0) {
            coloured = true;
        } else {
            used += width_of(code_point(text, at, length));
            if (used > room) {
                break;
            }
        }
        out.append(text.substr(at, length));
        at += length;
    }
    if (coloured) {
        out += reset;
    }
    return columns >= mark_columns ? out.append(mark) : out;
}

std::string one_line(std::string_view text) {
    std::string out;
    bool gap = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        const bool continued =
            c == '\\' && at + 1 < text.size() && (text[at + 1] == '\n' || text[at + 1] == '\r');
        if (continued || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            gap = !out.empty();
            continue;
        }
        if (gap) {
            out += ' ';
            gap = false;
        }
        out += c;
    }
    return out;
}

} // namespace slipway::frames
