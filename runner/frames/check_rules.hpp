// The members of each frame kind and what they must be: docs/frames.md (protocol 1) as a table. Internal to
// this room; kept by hand, so that a slip of the writing side does not become a rule.
#pragma once

#include "frames/reader.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace slipway::frames {

/// What a member must be. `count` is an integer ≥ 0, `ordinal` one ≥ 1.
enum class Want : std::uint8_t { string, filled, count, ordinal, integer, boolean, object, array, time };

/// One row of the contract: member `name` of the payload of `kind`. `words`: the values allowed, separated
/// by single spaces; empty = any.
struct Rule {
    std::string_view kind;
    std::string_view name; ///< a dot goes one object down; that row applies where the object is present
    Want want;
    bool required;
    std::string_view words = {};
};

/// In order of kinds.
std::span<const Rule> frame_rules() noexcept;

/// True = `value` is what is wanted.
bool fits(Want want, const ReadValue& value);

/// "an integer of 0 or more", …
std::string_view describe(Want want);

/// True = `word` is one of `words`, which single spaces separate.
bool listed(std::string_view words, std::string_view word);

/// In the order they are gone through.
inline constexpr std::string_view phase_names =
    "unpacking pulling checking-cache priming-cache building pushing complete error";

} // namespace slipway::frames
