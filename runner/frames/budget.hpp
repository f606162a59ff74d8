// The log budget: how much of the container's log is still to be had before the kubelet rotates it.
//
// Counted in bytes as written + 50 for each line (what a container runtime adds). Every frame counts; only
// `log` and `progress` are held back. Three stages: all; past three quarters of the limit, at most 8 KiB of
// log in 10 s, and less as what remains shrinks (always one line in 10 s until nothing remains); the last
// eighth, at most 256 KiB, is kept for the tails that come before `end`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace slipway::frames {

/// Shared by all steps of one container. Thread-safe.
class Budget {
  public:
    using Time = std::chrono::steady_clock::time_point;

    static constexpr std::uint64_t default_limit = std::uint64_t{6} << 20U;
    static constexpr std::uint64_t line_overhead = 50;
    static constexpr std::uint64_t max_tail = std::uint64_t{256} << 10U;
    static constexpr std::uint64_t thin_bytes = std::uint64_t{8} << 10U;
    static constexpr std::chrono::seconds thin_window{10};

    /// 0 = no limit.
    explicit Budget(std::uint64_t limit = default_limit) noexcept;

    /// May a line of log of about `bytes` be written now? Writing it is reported with charge().
    [[nodiscard]] bool admit(std::uint64_t bytes, Time now);
    /// `bytes` were written as one line; `log` = as part of the live log.
    void charge(std::uint64_t bytes, bool log);

    /// Past three quarters: log and progress are thinned.
    [[nodiscard]] bool thin() const;
    /// How much log a step keeps for its tail, counted as the budget counts; 0 with no limit.
    [[nodiscard]] std::uint64_t tail() const noexcept { return tail_; }
    [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
    [[nodiscard]] std::uint64_t used() const;

  private:
    const std::uint64_t limit_;
    const std::uint64_t tail_;
    mutable std::mutex mutex_;
    std::uint64_t used_ = 0;
    bool window_open_ = false;
    Time window_start_{};
    std::uint64_t window_used_ = 0;
    std::uint64_t window_limit_ = 0;
};

} // namespace slipway::frames
