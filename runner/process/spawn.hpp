// Starting one child: the only place that knows Boost.Process.
#pragma once

#include "process/process.hpp"

namespace slipway::process {

/// The descriptors that become 0, 1 and 2; all of them 3 or above.
struct ChildFiles {
    int in;
    int out;
    int err;
};

/// Starts `program` as process.hpp promises and returns its pid once the exec has happened. Its process group
/// has the same number. Error: what find_program says, directory missing (internal), out of processes (pod).
Result<pid_t> spawn(const Command& command, const std::filesystem::path& program, const ChildFiles& files);

/// The error for an exec of `program` that failed with `err`.
Error exec_error(std::string_view program, int err);

} // namespace slipway::process
