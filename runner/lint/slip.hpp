// Whether one word is another with a single slip of the fingers. Stricter than dockerfile::closest(), which
// serves where something is known to be wrong: here a likeness is all the evidence. Internal to the room.
#pragma once

#include <string_view>

namespace slipway::lint {

/// One letter left out, added, changed or swapped with its neighbour; words that differ in a digit or in the
/// case of a letter alone are different on purpose, and so are words of less than four bytes.
bool one_slip(std::string_view a, std::string_view b) noexcept;

} // namespace slipway::lint
