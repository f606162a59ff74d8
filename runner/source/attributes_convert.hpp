// git's built-in conversions from stored content to the work tree's: line ends and `$Id$`. Pure.
#pragma once

#include "source/attributes.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::source {

/// Content as the work tree has it; nothing = as stored. `object_name` gives the hexadecimal id of `stored`;
/// it is asked only where `$Id$` is to be filled in. Rules: convert.c of git 2.47, with core.autocrlf and
/// core.eol unset.
std::optional<std::string> convert_content(std::string_view stored, const FileAttributes& attributes,
                                           const std::function<std::string()>& object_name);

} // namespace slipway::source
