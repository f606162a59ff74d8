#include "frames/fold.hpp"

#include <algorithm>
#include <charconv>

namespace slipway::frames {

namespace {

constexpr char escape = '\x1b';
constexpr std::size_t max_sequence = 48;
constexpr std::size_t max_blank = 200;

/// Plain lines for so long mean that the repainting is over.
constexpr std::chrono::seconds settled{1};

bool is_continuation(char byte) noexcept {
    return (static_cast<unsigned char>(byte) & 0xc0U) == 0x80U;
}

/// Length of the colour sequence at `at`, or 0.
std::size_t colour_at(std::string_view text, std::size_t at) noexcept {
    if (text[at] != escape) {
        return 0;
    }
    const std::size_t end = text.find('m', at);
    return end == std::string_view::npos ? 0 : end + 1 - at;
}

} // namespace

bool Fold::pending() const noexcept {
    return !line_.empty() || split_ || overwrite_ || shown_ || !rows_.empty() || state_ != State::text;
}

bool Fold::calm(std::string_view text) noexcept {
    // One search for each: the library's look at many bytes at a time.
    return !text.contains(escape) && !text.contains('\r') && !text.contains('\b');
}

bool Fold::plain(std::string_view text) const noexcept {
    if (pending()) {
        return false;
    }
    return calm(text) && !text.contains('\n');
}

void Fold::feed(std::string_view bytes, Time now) {
    now_ = now;
    for (const char byte : bytes) {
        switch (state_) {
        case State::text: text_byte(byte); break;
        case State::escape: escape_byte(byte); break;
        case State::csi: csi_byte(byte); break;
        case State::charset:
            state_ = State::text;
            if (byte == '\n') {
                newline();
            }
            break;
        case State::string:
            if (byte == '\a') {
                state_ = State::text;
            } else if (byte == escape) {
                state_ = State::string_escape;
            } else if (byte == '\n') {
                // Unterminated: must not swallow what follows.
                state_ = State::text;
                newline();
            }
            break;
        case State::string_escape:
            if (byte == '\\') {
                state_ = State::text;
            } else {
                escape_byte(byte);
            }
            break;
        }
    }
}

void Fold::text_byte(char byte) {
    switch (byte) {
    case escape: state_ = State::escape; break;
    case '\n': newline(); break;
    case '\r': carriage_return(); break;
    case '\b': backspace(1); break;
    default: put(byte);
    }
}

void Fold::escape_byte(char byte) {
    state_ = State::text;
    switch (byte) {
    case '[':
        state_ = State::csi;
        sequence_.clear();
        overlong_ = false;
        break;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_': state_ = State::string; break;
    case '(':
    case ')':
    case '*':
    case '+':
    case '#':
    case '%':
    case ' ': state_ = State::charset; break;
    case 'M': move_rows(-1); break;
    case escape: state_ = State::escape; break;
    case '\n': newline(); break;
    case '\r': carriage_return(); break;
    default: break;
    }
}

void Fold::csi_byte(char byte) {
    if (byte >= 0x20 && byte <= 0x3f) {
        if (sequence_.size() < max_sequence) {
            sequence_ += byte;
        } else {
            overlong_ = true;
        }
        return;
    }
    state_ = State::text;
    if (byte >= 0x40 && byte <= 0x7e) {
        if (!overlong_) {
            control(byte);
        }
    } else {
        text_byte(byte);
    }
}

std::size_t Fold::parameter(std::size_t fallback) const noexcept {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(sequence_.data(), sequence_.data() + sequence_.size(), value);
    if (error == std::errc::result_out_of_range) {
        return max_blank;
    }
    return error != std::errc{} ? fallback : value;
}

void Fold::control(char final_byte) {
    const auto count = static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(parameter(1), 1, max_blank));
    switch (final_byte) {
    case 'm': colour(); break;
    case 'A':
    case 'F': move_rows(-count); break;
    case 'B':
    case 'E': move_rows(count); break;
    case 'C':
        if (overwrite_) {
            keep_columns(static_cast<std::size_t>(count));
        } else {
            for (std::ptrdiff_t blank = 0; blank < count; ++blank) {
                put(' ');
            }
        }
        break;
    case 'D': backspace(static_cast<std::size_t>(count)); break;
    case 'G':
        if (parameter(1) <= 1) {
            carriage_return();
        } else {
            keep_columns(parameter(1) - 1);
        }
        break;
    case 'K': erase_line(parameter(0)); break;
    case 'J': erase_screen(parameter(0)); break;
    case 'H':
    case 'f': erase_screen(2); break;
    default: break;
    }
}

void Fold::colour() {
    if (sequence_.find_first_not_of("0123456789;:") != std::string::npos) {
        return;
    }
    std::string& place = overwrite_ ? colour_ : line_;
    if (place.size() < max_line) {
        place += escape;
        place += '[';
        place += sequence_;
        place += 'm';
    }
}

void Fold::put(char byte) {
    if (overwrite_) {
        line_ = std::move(colour_);
        colour_.clear();
        overwrite_ = false;
    }
    // Never between the bytes of a code point; what is no UTF-8 has no say for ever.
    if (line_.size() >= max_line && (!is_continuation(byte) || line_.size() >= max_line + 4)) {
        flush_rows();
        emit_line(true);
        line_.clear();
        split_ = true;
    }
    line_ += byte;
}

void Fold::emit_line(bool more) {
    lines_.push_back({.text = line_, .more = more});
}

void Fold::reset_line() {
    line_.clear();
    colour_.clear();
    overwrite_ = false;
    split_ = false;
    shown_.reset();
}

void Fold::newline() {
    if (!rows_.empty()) {
        save_row();
        ++row_;
        if (now_ - last_move_ > settled) {
            flush_rows();
            reset_line();
            return;
        }
        if (row_ == rows_.size()) {
            if (rows_.size() == max_rows) {
                flush_rows();
                reset_line();
                return;
            }
            rows_.emplace_back();
        }
        repaint();
        load_row();
        return;
    }
    line_ += colour_;
    const bool told = shown_ && (line_.empty() || line_ == *shown_);
    if (split_ || !told) {
        emit_line(false);
    }
    reset_line();
}

void Fold::carriage_return() {
    if (overwrite_ || line_.empty()) {
        return;
    }
    repaint();
    overwrite_ = true;
}

/// Lets a state in between out, if the last one is long enough ago.
void Fold::repaint() {
    if (now_ - last_repaint_ < repaints) {
        return;
    }
    if (rows_.empty()) {
        if (shown_ != line_) {
            emit_line(false);
            shown_ = line_;
            split_ = false;
            last_repaint_ = now_;
        }
        return;
    }
    for (std::size_t step = 0; step < rows_.size(); ++step) {
        Row& row = rows_[(next_row_ + step) % rows_.size()];
        if (row.dirty) {
            lines_.push_back({.text = row.text, .more = false});
            row.dirty = false;
            next_row_ = (next_row_ + step + 1) % rows_.size();
            last_repaint_ = now_;
            return;
        }
    }
}

void Fold::backspace(std::size_t columns) {
    for (; columns > 0 && !overwrite_ && !line_.empty(); --columns) {
        // A colour has no width; what stands before it stays, too: erasing it would need a real screen.
        const std::size_t at = line_.rfind(escape);
        if (at != std::string::npos && colour_at(line_, at) == line_.size() - at) {
            return;
        }
        while (line_.size() > 1 && is_continuation(line_.back())) {
            line_.pop_back();
        }
        line_.pop_back();
    }
}

void Fold::keep_columns(std::size_t columns) {
    overwrite_ = false;
    std::size_t at = 0;
    while (at < line_.size()) {
        if (const std::size_t colour = colour_at(line_, at); colour > 0) {
            at += colour;
            continue;
        }
        if (columns == 0) {
            break;
        }
        --columns;
        ++at;
        while (at < line_.size() && is_continuation(line_[at])) {
            ++at;
        }
    }
    line_.resize(at);
    line_ += colour_;
    colour_.clear();
}

void Fold::erase_line(std::size_t mode) {
    if (mode != 0 || overwrite_) {
        line_.clear();
    }
}

void Fold::erase_screen(std::size_t mode) {
    if (mode == 0) {
        if (!rows_.empty()) {
            rows_.resize(row_ + 1);
        }
        erase_line(0);
        return;
    }
    // A new screen: what stood there stays in the log.
    finish();
}

void Fold::save_row() {
    Row& row = rows_[row_];
    line_ += colour_;
    if (row.text != line_) {
        row.text = line_;
        row.dirty = true;
    }
}

void Fold::load_row() {
    reset_line();
    line_ = rows_[row_].text;
    overwrite_ = !line_.empty();
}

void Fold::move_rows(std::ptrdiff_t by) {
    last_move_ = now_;
    if (rows_.empty()) {
        if (by > 0) {
            newline();
            return;
        }
        if (split_) {
            emit_line(false);
            reset_line();
        }
        rows_.resize(1);
        row_ = 0;
        next_row_ = 0;
        if (shown_) {
            rows_[0].text = *shown_;
        }
    }
    save_row();
    repaint();
    const std::ptrdiff_t target = static_cast<std::ptrdiff_t>(row_) + by;
    if (target < 0) {
        const std::size_t missing =
            std::min(static_cast<std::size_t>(-target), max_rows - std::min(max_rows, rows_.size()));
        rows_.insert(rows_.begin(), missing, Row{});
        row_ = 0;
    } else {
        row_ = std::min(static_cast<std::size_t>(target), max_rows - 1);
        rows_.resize(std::max(rows_.size(), row_ + 1));
    }
    load_row();
}

void Fold::flush_rows() {
    for (Row& row : rows_) {
        if (row.dirty) {
            lines_.push_back({.text = std::move(row.text), .more = false});
        }
    }
    rows_.clear();
    row_ = 0;
}

void Fold::finish() {
    state_ = State::text;
    if (!rows_.empty()) {
        save_row();
        flush_rows();
    } else if (line_ += colour_; split_ || (!line_.empty() && shown_ != line_)) {
        emit_line(false);
    }
    reset_line();
}

} // namespace slipway::frames
