// Where encoded frames go.
#pragma once

#include <atomic>
#include <string_view>

namespace slipway::frames {

/// Takes whole lines, newline included. Called by one thread at a time.
class Output {
  public:
    virtual ~Output() = default;
    virtual void write(std::string_view line) = 0;
};

/// Writes to a descriptor it does not own. A line begun is finished (EINTR, short writes; EAGAIN is waited
/// for). After an error, a closed pipe above all, the output is broken: lines are swallowed and the step goes
/// on.
///
/// The constructor makes the process ignore SIGPIPE if nobody has chosen otherwise; whoever starts children
/// gives them the default back.
class FdOutput final : public Output {
  public:
    explicit FdOutput(int fd) noexcept;
    void write(std::string_view line) override;

    [[nodiscard]] bool broken() const noexcept { return error() != 0; }
    /// errno of the first failure; 0 = none.
    [[nodiscard]] int error() const noexcept { return error_.load(std::memory_order_relaxed); }

  private:
    int fd_;
    std::atomic<int> error_{0};
};

} // namespace slipway::frames
