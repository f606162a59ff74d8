#include "frames/budget.hpp"

#include <algorithm>

namespace slipway::frames {

Budget::Budget(std::uint64_t limit) noexcept : limit_(limit), tail_(std::min(max_tail, limit / 8)) {}

bool Budget::thin() const {
    const std::scoped_lock lock(mutex_);
    return limit_ != 0 && used_ >= limit_ / 4 * 3;
}

std::uint64_t Budget::used() const {
    const std::scoped_lock lock(mutex_);
    return used_;
}

bool Budget::admit(std::uint64_t bytes, Time now) {
    const std::scoped_lock lock(mutex_);
    if (limit_ == 0 || used_ < limit_ / 4 * 3) {
        return true;
    }
    const std::uint64_t live = limit_ - tail_;
    const std::uint64_t left = live > used_ ? live - used_ : 0;
    if (!window_open_ || now - window_start_ >= thin_window) {
        window_open_ = true;
        window_start_ = now;
        window_used_ = 0;
        // A share of what is left: the log gets sparser but never falls silent at once.
        window_limit_ = std::min(thin_bytes, left / 64);
    }
    const std::uint64_t cost = bytes + line_overhead;
    return cost <= left && cost <= thin_bytes && (window_used_ == 0 || window_used_ + cost <= window_limit_);
}

void Budget::charge(std::uint64_t bytes, bool log) {
    const std::scoped_lock lock(mutex_);
    used_ += bytes + line_overhead;
    if (log) {
        window_used_ += bytes + line_overhead;
    }
}

} // namespace slipway::frames
