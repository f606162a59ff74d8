// Cutting a byte stream into lines, without copying those that arrive whole.
//
// A piece is never longer than the given bound; longer lines leave in several pieces, all but the last marked
// partial and cut between UTF-8 characters where the bytes are UTF-8 at all.
#pragma once

#include "process/process.hpp"

#include <string>

namespace slipway::process {

class LineSplitter {
  public:
    /// `model` is what every Line of this splitter looks like but for text and end. `sink` must outlive it.
    /// `blocks`: whole lines that arrive together leave together, see Command::blocks.
    LineSplitter(const Line& model, std::size_t longest_piece, const OnLine& sink, bool blocks = false);

    void feed(std::string_view bytes);
    /// The writer has been silent: hands out what is held.
    void flush();
    /// The stream has ended: hands out all that is held.
    void finish();

    [[nodiscard]] bool holds_anything() const noexcept { return !held_.empty() || return_held_; }
    void set_writer_known(bool known) noexcept { model_.writer_known = known; }

  private:
    std::string_view feed_block(std::string_view bytes);
    std::string_view shed(std::string_view text);
    void complete(std::string_view text, LineEnd end);
    void emit(std::string_view text, LineEnd end);

    Line model_;
    std::size_t longest_;
    const OnLine& sink_;
    bool blocks_;
    std::string held_;         ///< begin of a line whose end has not come yet; at most longest_ bytes
    bool return_held_ = false; ///< a '\r' came after held_; what follows decides what it meant
};

/// Length of `text` without the incomplete UTF-8 character at its end, if there is one; all of it if nothing
/// else would be left.
std::size_t whole_characters(std::string_view text) noexcept;

} // namespace slipway::process
