// Values of flags and settings as buildah 1.39 takes them, once their variables are filled in. Internal to
// the room. Every function says what is wrong, or nothing.
#pragma once

#include "dockerfile/instruction.hpp"
#include "dockerfile/parse.hpp"

#include <optional>
#include <string_view>

namespace slipway::dockerfile {

/// `--chmod=`: an octal number.
std::optional<Fault> check_mode(std::string_view flag, std::string_view value);
/// `--link`, `--parents`, `--keep-git-dir`: buildah knows the words but can only do without.
std::optional<Fault> check_switch(std::string_view keyword, const Flag& flag, std::string_view value);
/// `RUN --network=`
std::optional<Fault> check_network(std::string_view value);
/// `RUN --mount=`: the keys of its type, their values, and that it says where it is mounted.
std::optional<Fault> check_mount(std::string_view text);
/// `FROM --platform=`
std::optional<Fault> check_platform(std::string_view value);
/// `--interval=` and its like: a positive duration as Go writes it (1h2m3.5s); `--retries=`: at least 1.
std::optional<Fault> check_health_flag(const Flag& flag);
/// STOPSIGNAL: a number or a signal's name.
std::optional<Fault> check_signal(std::string_view value);
/// An image's name as registries allow it, or something with a transport (docker://, oci:…), which is left to
/// buildah.
bool could_be_image(std::string_view name);

} // namespace slipway::dockerfile
