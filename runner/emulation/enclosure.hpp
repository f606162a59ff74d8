// Where buildah runs: a user and mount namespace of its own, furnished so that neither a read-only root file
// system, an id nobody has heard of nor a masked /proc is an obstacle, and so that a RUN cannot signal what
// watches it.
//
// It is made by this program, executed once more under an internal word (`prefix` makes the command line,
// `enter` is what main() calls for it), because namespaces have to be entered by a process that runs nothing
// else yet. In order: new user and mount namespaces; the id maps, written by a helper left outside; where
// wished a network namespace; mounts made private; a root of tmpfs with all the old one's entries bound into
// it, an /etc/passwd in which root's home is the build's, a writable /tmp; where wished a pid namespace with
// its own /proc; else, where the kernel has Landlock's scopes (6.12), a domain out of which no signal goes;
// the filter that pretends (filter.hpp); exec.
//
// What it cannot do but must is said on standard error in one line that begins with `complaint`, status 125;
// that the program cannot be executed, in one that begins with "slipway: cannot execute". With a pid
// namespace two processes of ours stay: one outside that waits, and the namespace's first, which reaps
// orphans; stop signals pass both by, and the program's own end, by status or signal, becomes theirs.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::emulation {

/// First argument of the internal call.
inline constexpr std::string_view enclosure_word = "internal:enclosure";
inline constexpr std::string_view complaint = "slipway: cannot prepare the build's namespace: ";
/// Where the enclosure shows files of ours to every RUN: buildah's chroot isolation shows it the whole of
/// /dev.
inline constexpr std::string_view shown_directory = "/dev/slipway";
/// For a RUN's APT_CONFIG, where `pretend` is set.
inline constexpr std::string_view apt_configuration = "/dev/slipway/apt.conf";

/// How the user namespace gets its ids.
enum class MapBy {
    nobody,  ///< no user namespace is made: SYS_ADMIN is there already
    helper,  ///< written from outside by a process that has SETUID, SETGID, SETFCAP, or maps its own id alone
    programs ///< newuidmap and newgidmap write them
};

/// One line of uid_map or gid_map.
struct MapLine {
    std::uint64_t inside = 0;
    std::uint64_t outside = 0;
    std::uint64_t count = 0;
    bool operator==(const MapLine&) const = default;
};

struct Enclosure {
    MapBy map_by = MapBy::helper;
    std::vector<MapLine> uid_map;
    std::vector<MapLine> gid_map;
    bool deny_setgroups = false; ///< what a map of our own group alone requires
    /// Absolute; holds home/, tmp/ and room/ (empty, ours), and lies on the build's volume.
    std::filesystem::path furniture;
    bool pretend = false;
    bool pid_namespace = false;
    bool keep_signals = false; ///< Landlock; where the kernel has none, nothing happens
    /// A network namespace with a loopback device and nothing else. Unix sockets in the file system are no
    /// network; those of the abstract kind are cut off too.
    bool without_network = false;
};

/// What stands before a program and its arguments.
std::vector<std::string> prefix(const Enclosure& enclosure);

/// The reverse, for tests and for enter(): arguments after the internal word up to and with "--"; `rest` gets
/// what follows.
Result<Enclosure> parse_prefix(std::span<const std::string> arguments, std::vector<std::string>& rest);

/// The internal call: never returns but with an exit status. Single-threaded; `arguments` follow the internal
/// word.
int enter(const std::vector<std::string>& arguments);

} // namespace slipway::emulation
