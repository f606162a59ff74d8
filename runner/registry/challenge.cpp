#include "registry/challenge.hpp"

#include <algorithm>
#include <cstddef>

namespace slipway::registry {

namespace {

bool is_token_char(char c) noexcept {
    return c > ' ' && c < 127 && std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
}

bool same(std::string_view a, std::string_view b) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    [[nodiscard]] bool done() const noexcept { return at_ >= text_.size(); }
    void skip(std::string_view any) {
        while (!done() && any.find(text_[at_]) != std::string_view::npos) {
            ++at_;
        }
    }
    std::string_view token() {
        const std::size_t start = at_;
        while (!done() && is_token_char(text_[at_])) {
            ++at_;
        }
        return text_.substr(start, at_ - start);
    }
    bool take(char c) {
        if (done() || text_[at_] != c) {
            return false;
        }
        ++at_;
        return true;
    }
    std::string quoted() {
        std::string out;
        while (!done() && text_[at_] != '"') {
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
                ++at_;
            }
            out += text_[at_++];
        }
        take('"');
        return out;
    }
    void drop() {
        if (!done()) {
            ++at_;
        }
    }

  private:
    std::string_view text_;
    std::size_t at_ = 0;
};

} // namespace

Challenge parse_challenge(std::string_view value) {
    Scanner scanner(value.substr(0, 8192));
    Challenge best;
    Challenge now;
    const auto keep = [&] {
        const bool usable = now.scheme == Challenge::Scheme::basic ||
                            (now.scheme == Challenge::Scheme::bearer && !now.realm.empty());
        if (usable && (best.scheme == Challenge::Scheme::none || now.scheme == Challenge::Scheme::bearer)) {
            best = now;
        }
    };
    while (true) {
        scanner.skip(" \t,");
        if (scanner.done()) {
            break;
        }
        const std::string_view word = scanner.token();
        if (word.empty()) {
            scanner.drop();
            continue;
        }
        scanner.skip(" \t");
        if (!scanner.take('=')) { // no parameter: the next scheme
            keep();
            now = {};
            now.scheme = same(word, "Bearer")  ? Challenge::Scheme::bearer
                         : same(word, "Basic") ? Challenge::Scheme::basic
                                               : Challenge::Scheme::none;
            continue;
        }
        scanner.skip(" \t");
        const std::string text = scanner.take('"') ? scanner.quoted() : std::string(scanner.token());
        if (same(word, "realm")) {
            now.realm = text;
        } else if (same(word, "service")) {
            now.service = text;
        } else if (same(word, "scope")) {
            now.scope = text;
        } else if (same(word, "error")) {
            now.error = text;
        }
    }
    keep();
    return best;
}

} // namespace slipway::registry
