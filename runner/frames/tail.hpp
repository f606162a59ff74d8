// The end of a thinned log: the last lines, in a ring of fixed size (internal to the room).
#pragma once

#include "frames/frame.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames::detail {

/// Keeps at most `capacity` bytes, each line counted as its text and Budget::line_overhead. Memory is taken
/// with the first line.
class Tail {
  public:
    struct Line {
        Lane lane = Lane::out;
        std::optional<int> n{};
        bool more = false;
        bool written = false;   ///< it also went out live
        std::uint64_t cost = 0; ///< what the line counts as left out when it is not written
        std::size_t begin = 0;
        std::size_t size = 0;
    };

    explicit Tail(std::uint64_t capacity) noexcept : capacity_(static_cast<std::size_t>(capacity)) {}

    /// Of a text that does not fit the end is kept.
    void push(Line line, std::string_view text);
    [[nodiscard]] const std::deque<Line>& lines() const noexcept { return lines_; }
    [[nodiscard]] std::string text(const Line& line) const;
    void clear() noexcept;

  private:
    std::size_t capacity_;
    std::vector<char> bytes_;
    std::deque<Line> lines_;
    std::size_t next_ = 0; ///< where the next text begins in bytes_
    std::size_t used_ = 0;
};

} // namespace slipway::frames::detail
