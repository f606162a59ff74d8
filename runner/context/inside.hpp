// Looking at paths as buildah does: in a chroot of the context. `..` stops at the context, and a symbolic
// link, absolute ones too, points to somewhere in it. Nothing outside is ever reached. Internal to the room.
//
// Unlike open_beneath, which refuses a path that tries to leave, this one agrees with what the build will
// see.
#pragma once

#include "base/fd.hpp"

#include <string>
#include <sys/stat.h>

namespace slipway::context {

struct Opened {
    Fd fd;
    int failure = 0; ///< errno when there is no fd
};

/// `path` relative to `context`; "" and "." are the context itself. `flags` as for open(2).
Opened open_inside(int context, const std::string& path, int flags);

enum class Kind { missing, file, directory, symlink, other };

Kind kind_of(mode_t mode) noexcept;

/// What stands at `path`; the last component is not followed. What cannot be looked at is missing.
Kind look_inside(int context, const std::string& path);

/// Target of the symbolic link at `path`; empty when it cannot be read.
std::string read_link(int context, const std::string& path);

} // namespace slipway::context
