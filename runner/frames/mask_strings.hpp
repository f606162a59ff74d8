// Redaction of a whole payload (internal to the room).
#pragma once

#include "frames/frame.hpp"
#include "frames/redact.hpp"

namespace slipway::frames::detail {

/// Masks every string member of `payload`; a kind without an overload does not compile.
void mask_strings(Payload& payload, const Redactor& redactor, std::uint64_t& redactions);

} // namespace slipway::frames::detail
