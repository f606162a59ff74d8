// What the tests of frames share: an output that remembers, a clock that stands still until told.
#pragma once

#include "base/clock.hpp"
#include "frames/output.hpp"

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames::test {

class Recorded final : public Output {
  public:
    void write(std::string_view line) override {
        const std::scoped_lock lock(mutex_);
        lines_.emplace_back(line);
    }
    [[nodiscard]] std::vector<std::string> lines() const {
        const std::scoped_lock lock(mutex_);
        return lines_;
    }
    [[nodiscard]] std::string all() const {
        std::string out;
        for (const std::string& line : lines()) {
            out += line;
        }
        return out;
    }

  private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

/// 2026-11-22T07:45:03.118Z until moved on.
class ManualClock final : public Clock {
  public:
    [[nodiscard]] std::chrono::system_clock::time_point now() const override {
        return std::chrono::sys_days{std::chrono::year{2026} / 11 / 22} + std::chrono::hours(7) +
               std::chrono::minutes(45) + Milliseconds(3118) + elapsed_;
    }
    [[nodiscard]] std::chrono::steady_clock::time_point steady() const override {
        return std::chrono::steady_clock::time_point(std::chrono::hours(1)) + elapsed_;
    }
    void advance(Milliseconds by) { elapsed_ += by; }

  private:
    Milliseconds elapsed_{0};
};

} // namespace slipway::frames::test
