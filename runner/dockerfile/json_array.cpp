#include "dockerfile/json_array.hpp"

#include "dockerfile/text.hpp"

#include <cstdint>
#include <optional>

namespace slipway::dockerfile {
namespace {

constexpr int deepest = 100;

void append_utf8(std::string& out, std::uint32_t point) {
    const auto byte = [&](std::uint32_t value) {
        out += static_cast<char>(static_cast<unsigned char>(value));
    };
    if (point < 0x80) {
        byte(point);
    } else if (point < 0x800) {
        byte(0xC0U | (point >> 6U));
        byte(0x80U | (point & 0x3FU));
    } else if (point < 0x10000) {
        byte(0xE0U | (point >> 12U));
        byte(0x80U | ((point >> 6U) & 0x3FU));
        byte(0x80U | (point & 0x3FU));
    } else {
        byte(0xF0U | (point >> 18U));
        byte(0x80U | ((point >> 12U) & 0x3FU));
        byte(0x80U | ((point >> 6U) & 0x3FU));
        byte(0x80U | (point & 0x3FU));
    }
}

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    JsonArray array() {
        JsonArray out;
        skip_blanks();
        if (!take('[')) {
            return {};
        }
        bool strings = true;
        skip_blanks();
        if (!take(']')) {
            do {
                skip_blanks();
                if (at('"')) {
                    auto value = string();
                    if (!value) {
                        return {};
                    }
                    out.strings.push_back(*std::move(value));
                } else if (value(1)) {
                    strings = false;
                } else {
                    return {};
                }
                skip_blanks();
            } while (take(','));
            if (!take(']')) {
                return {};
            }
        }
        out.kind = strings ? JsonArray::Kind::strings : JsonArray::Kind::not_strings;
        out.length = at_;
        return out;
    }

  private:
    [[nodiscard]] bool at(char c) const { return at_ < text_.size() && text_[at_] == c; }
    bool take(char c) {
        if (at(c)) {
            ++at_;
            return true;
        }
        return false;
    }
    bool take(std::string_view word) {
        if (text_.substr(at_).starts_with(word)) {
            at_ += word.size();
            return true;
        }
        return false;
    }
    void skip_blanks() {
        while (at(' ') || at('\t') || at('\r') || at('\n')) {
            ++at_;
        }
    }

    std::optional<std::uint32_t> four_digits() {
        if (at_ + 4 > text_.size()) {
            return std::nullopt;
        }
        std::uint32_t out = 0;
        for (const char c : text_.substr(at_, 4)) {
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) {
                return std::nullopt;
            }
            out = out * 16 + static_cast<std::uint32_t>(digit);
        }
        at_ += 4;
        return out;
    }

    bool unicode_escape(std::string& out) {
        auto point = four_digits();
        if (!point) {
            return false;
        }
        if (*point >= 0xD800 && *point < 0xDC00 && text_.substr(at_).starts_with("\\u")) {
            const std::size_t back = at_;
            at_ += 2;
            const auto low = four_digits();
            if (!low) {
                return false;
            }
            if (*low >= 0xDC00 && *low < 0xE000) {
                append_utf8(out, 0x10000 + ((*point - 0xD800) << 10U) + (*low - 0xDC00));
                return true;
            }
            at_ = back;
        }
        append_utf8(out, *point >= 0xD800 && *point < 0xE000 ? 0xFFFD : *point);
        return true;
    }

    std::optional<std::string> string() {
        std::string out;
        ++at_;
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (c == '"') {
                return out;
            }
            if (static_cast<unsigned char>(c) < 0x20) {
                return std::nullopt;
            }
            if (c != '\\') {
                out += c;
                continue;
            }
            if (at_ == text_.size()) {
                return std::nullopt;
            }
            switch (text_[at_++]) {
            case '"': out += '"'; break;
            case '\\': out += '\\'; break;
            case '/': out += '/'; break;
            case 'b': out += '\b'; break;
            case 'f': out += '\f'; break;
            case 'n': out += '\n'; break;
            case 'r': out += '\r'; break;
            case 't': out += '\t'; break;
            case 'u':
                if (!unicode_escape(out)) {
                    return std::nullopt;
                }
                break;
            default: return std::nullopt;
            }
        }
        return std::nullopt;
    }

    bool digits() {
        const std::size_t from = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            ++at_;
        }
        return at_ > from;
    }

    bool number() {
        take('-');
        if (!take('0') && !digits()) {
            return false;
        }
        if (take('.') && !digits()) {
            return false;
        }
        if (take('e') || take('E')) {
            if (!take('+')) {
                take('-');
            }
            return digits();
        }
        return true;
    }

    // Reads over any JSON value.
    bool value(int depth) {
        if (depth > deepest) {
            return false;
        }
        if (at('"')) {
            return string().has_value();
        }
        if (take("true") || take("false") || take("null")) {
            return true;
        }
        const bool object = at('{');
        if (!object && !at('[')) {
            return number();
        }
        ++at_;
        const char end = object ? '}' : ']';
        skip_blanks();
        if (take(end)) {
            return true;
        }
        do {
            skip_blanks();
            if (object) {
                if (!at('"') || !string()) {
                    return false;
                }
                skip_blanks();
                if (!take(':')) {
                    return false;
                }
                skip_blanks();
            }
            if (!value(depth + 1)) {
                return false;
            }
            skip_blanks();
        } while (take(','));
        return take(end);
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

} // namespace

JsonArray read_json_array(std::string_view text) {
    return Reader(text.substr(leading_space(text))).array();
}

} // namespace slipway::dockerfile
