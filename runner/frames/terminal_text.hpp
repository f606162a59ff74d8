// Text from outside made fit for a terminal: harmless, measured in columns, wrapped and cut.
//
// Units: columns, as a terminal without any locale of ours counts them (East Asian wide and emoji = 2,
// combining = 0). "Harmless" text is valid UTF-8 in which the only control sequences are colour (SGR), closed
// by a reset.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::frames {

/// One line of harmless text. Escape sequences are dropped whole (ECMA-48 CSI; OSC, DCS, APC, PM, SOS where
/// they end in this text); of SGR, colour and weight stay where `colour` is set, blinking and hidden never.
/// Tabs become spaces, line feeds and carriage returns one space, other C0 controls caret notation (`^G`),
/// C1, bidirectional overrides and invisible format characters U+FFFD, and of a pile of combining
/// characters the first four stay.
std::string harmless(std::string_view text, bool colour);

/// Columns of harmless text.
std::size_t columns_of(std::string_view text);

/// Harmless text in rows of at most `columns` (at least 8); colour is closed at a row's end and taken up
/// again in the next. `words`: break at a space where that leaves a row at least half full.
std::vector<std::string> wrap(std::string_view text, std::size_t columns, bool words);

/// Harmless text in at most `columns`, its end replaced by `mark` where it is longer.
std::string shortened(std::string_view text, std::size_t columns, std::string_view mark);

/// Runs of white space, and of a backslash that ends a line, as one space: a long instruction on one line.
std::string one_line(std::string_view text);

} // namespace slipway::frames
