#include "frames/tail.hpp"

#include "frames/budget.hpp"

#include <algorithm>
#include <cstring>

namespace slipway::frames::detail {

void Tail::push(Line line, std::string_view text) {
    constexpr auto overhead = static_cast<std::size_t>(Budget::line_overhead);
    if (capacity_ <= overhead) {
        return;
    }
    bytes_.resize(capacity_);
    if (text.size() > capacity_ - overhead) {
        text.remove_prefix(text.size() - (capacity_ - overhead));
    }
    line.begin = next_;
    line.size = text.size();
    const std::size_t first = std::min(text.size(), capacity_ - next_);
    std::ranges::copy(text.substr(0, first), bytes_.begin() + static_cast<std::ptrdiff_t>(next_));
    std::ranges::copy(text.substr(first), bytes_.begin());
    next_ += text.size();
    next_ -= next_ < capacity_ ? 0 : capacity_;
    used_ += text.size() + overhead;
    lines_.push_back(line);
    while (used_ > capacity_) {
        used_ -= lines_.front().size + overhead;
        lines_.pop_front();
    }
}

std::string Tail::text(const Line& line) const {
    const std::size_t first = std::min(line.size, capacity_ - line.begin);
    std::string out(bytes_.data() + line.begin, first);
    out.append(bytes_.data(), line.size - first);
    return out;
}

void Tail::clear() noexcept {
    lines_.clear();
    used_ = 0;
}

} // namespace slipway::frames::detail
