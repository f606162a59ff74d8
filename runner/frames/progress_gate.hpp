// How often progress may be told (internal to the room): per what and id, the last state always.
#pragma once

#include "frames/frame.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace slipway::frames::detail {

class ProgressGate {
  public:
    using Time = std::chrono::steady_clock::time_point;

    /// Three a second, so that the last one, which is never left out, still makes at most four.
    static constexpr std::chrono::milliseconds interval{334};
    /// When the log budget runs low.
    static constexpr std::chrono::seconds thin_interval{10};
    /// More bars than this are forgotten, the last state of each told first.
    static constexpr std::size_t max_bars = 512;

    /// True = tell it now; otherwise it is kept until due() or drain().
    bool admit(const Progress& progress, Time now, bool thin);

    /// When the first of what is kept may be told.
    [[nodiscard]] std::optional<Time> due() const noexcept { return due_; }
    /// What may be told at `now`.
    std::vector<Progress> take(Time now);
    /// Everything kept.
    std::vector<Progress> drain();
    [[nodiscard]] bool full() const noexcept { return bars_.size() >= max_bars; }

  private:
    struct Bar {
        Time next{};
        std::optional<Progress> kept;
    };
    std::map<std::pair<std::string, std::string>, Bar> bars_;
    std::optional<Time> due_;
};

} // namespace slipway::frames::detail
