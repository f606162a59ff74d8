// No signal goes out: a Landlock domain with nothing but the scope of signals.
#pragma once

namespace slipway::emulation {

/// Version of Landlock the kernel offers us; 0 = none, or forbidden.
int landlock_version() noexcept;

/// From now on neither we nor what we start can signal, or trace, a process outside. True = done. Wants
/// Landlock's version 6 (kernel 6.12) and SYS_ADMIN in our user namespace, or no_new_privs; otherwise nothing
/// changes.
bool keep_signals_inside() noexcept;

} // namespace slipway::emulation
