#include "lint/slip.hpp"

#include <algorithm>
#include <utility>

namespace slipway::lint {

namespace {

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

} // namespace

bool one_slip(std::string_view a, std::string_view b) noexcept {
    if (a.size() > b.size()) {
        std::swap(a, b);
    }
    if (a.size() < 4 || b.size() - a.size() > 1) {
        return false;
    }
    const auto differ = std::ranges::mismatch(a, b);
    const auto at = static_cast<std::size_t>(differ.in1 - a.begin());
    const std::string_view rest_a = a.substr(at);
    const std::string_view rest_b = b.substr(at);
    if (rest_b.empty() || is_digit(rest_b[0]) || (!rest_a.empty() && is_digit(rest_a[0]))) {
        return false;
    }
    if (a.size() < b.size()) {
        return rest_a == rest_b.substr(1);
    }
    if (rest_a.substr(1) == rest_b.substr(1)) {
        return (rest_a[0] | 0x20) != (rest_b[0] | 0x20);
    }
    return rest_a.size() > 1 && rest_a[0] == rest_b[1] && rest_a[1] == rest_b[0] &&
           rest_a.substr(2) == rest_b.substr(2);
}

} // namespace slipway::lint
