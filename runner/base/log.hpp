// Diagnostics for whoever debugs Slipway itself: text on standard error, off below `warning` unless asked
// for. What users are to know is a frame, never a line here. The logger is the program's only global.
#pragma once

#include <string_view>

namespace slipway::log {

/// trace, debug, info, warning, error or off.
void set_level(std::string_view name);

void debug(std::string_view message);
void warning(std::string_view message);

} // namespace slipway::log
