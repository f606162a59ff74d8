// Folding: what a terminal would show after carriage returns, backspaces and cursor movements, as lines.
//
// Colours (SGR sequences) stay; every other escape sequence goes. A line that is painted over becomes the
// last thing painted; the states in between come out at least `repaints` apart, so that somebody watching
// still sees the bar move. Rewriting several lines (cursor up) is folded the same way.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames {

/// One lane's folding. Bytes go in, lines come out of `lines()`. Not thread-safe.
class Fold {
  public:
    using Time = std::chrono::steady_clock::time_point;

    /// Three a second, so that the last state, which is never left out, still makes at most four.
    static constexpr std::chrono::milliseconds repaints{334};
    /// A line that grows past this comes out in pieces.
    static constexpr std::size_t max_line = 8192;
    /// Rows remembered while several lines are repainted.
    static constexpr std::size_t max_rows = 64;

    /// `more` = the line goes on in the next piece.
    struct Line {
        std::string text;
        bool more = false;
    };

    /// True = `text` ends no escape sequence, repaints nothing, and may be written as the line it is,
    /// without feed().
    [[nodiscard]] bool plain(std::string_view text) const noexcept;

    /// True = nothing in `text`, which may be many lines, moves the cursor or begins an escape sequence.
    [[nodiscard]] static bool calm(std::string_view text) noexcept;

    /// Takes bytes with their '\n' and '\r'.
    void feed(std::string_view bytes, Time now);
    /// An unfinished line and repainted rows come out.
    void finish();

    /// What came out; the caller clears it.
    [[nodiscard]] std::vector<Line>& lines() noexcept { return lines_; }
    /// Something was fed that has not come out yet.
    [[nodiscard]] bool pending() const noexcept;

  private:
    enum class State { text, escape, csi, string, string_escape, charset };
    struct Row {
        std::string text;
        bool dirty = false;
    };

    void text_byte(char byte);
    void escape_byte(char byte);
    void csi_byte(char byte);
    void control(char final_byte);
    void colour();
    void put(char byte);
    void newline();
    void carriage_return();
    void backspace(std::size_t columns);
    void erase_line(std::size_t mode);
    void erase_screen(std::size_t mode);
    void keep_columns(std::size_t columns);
    void move_rows(std::ptrdiff_t by);
    void save_row();
    void load_row();
    void flush_rows();
    void repaint();
    void emit_line(bool more);
    void reset_line();
    [[nodiscard]] std::size_t parameter(std::size_t fallback) const noexcept;

    State state_ = State::text;
    std::string sequence_; ///< parameters of the escape sequence being read
    bool overlong_ = false;

    std::string line_;       ///< the row being painted
    bool overwrite_ = false; ///< the cursor stands at its beginning: what is painted next replaces it
    std::string colour_;     ///< colours set while overwrite_
    bool split_ = false;     ///< pieces of the line are already out
    std::optional<std::string> shown_; ///< state of the line last let out by repaint()

    std::vector<Row> rows_; ///< rows being repainted; empty = plain output
    std::size_t row_ = 0;
    std::size_t next_row_ = 0; ///< where repaint() looks first
    Time last_move_{};
    Time last_repaint_{};
    Time now_{};
    std::vector<Line> lines_;
};

} // namespace slipway::frames
