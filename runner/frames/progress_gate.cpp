#include "frames/progress_gate.hpp"

#include <algorithm>
#include <utility>

namespace slipway::frames::detail {

bool ProgressGate::admit(const Progress& progress, Time now, bool thin) {
    const auto wait = thin ? std::chrono::milliseconds(thin_interval) : interval;
    auto [at, fresh] = bars_.try_emplace({progress.what, progress.id});
    Bar& bar = at->second;
    if (fresh || now >= bar.next) {
        bar.next = now + wait;
        bar.kept.reset();
        return true;
    }
    bar.kept = progress;
    due_ = std::min(due_.value_or(bar.next), bar.next);
    return false;
}

std::vector<Progress> ProgressGate::take(Time now) {
    std::vector<Progress> out;
    if (!due_ || now < *due_) {
        return out;
    }
    due_.reset();
    for (auto& [key, bar] : bars_) {
        if (!bar.kept) {
            continue;
        }
        if (now >= bar.next) {
            out.push_back(*std::exchange(bar.kept, std::nullopt));
            bar.next = now + interval;
        } else {
            due_ = std::min(due_.value_or(bar.next), bar.next);
        }
    }
    return out;
}

std::vector<Progress> ProgressGate::drain() {
    std::vector<Progress> out;
    for (auto& [key, bar] : bars_) {
        if (bar.kept) {
            out.push_back(std::move(*bar.kept));
        }
    }
    bars_.clear();
    due_.reset();
    return out;
}

} // namespace slipway::frames::detail
