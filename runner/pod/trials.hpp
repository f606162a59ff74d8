// Things tried in forked children: the part of probe() that touches the kernel.
//
// Between fork and _exit a child only makes system calls: the program may have had threads.
#pragma once

#include "pod/probe.hpp"

#include <filesystem>
#include <string>

namespace slipway::pod {

/// Fills the report's trials. `scratch` is an empty directory of our own on the storage's file system;
/// uid, uid_map and the subordinate ids must be known already.
void run_trials(Report& report, const std::filesystem::path& scratch);

/// First executable regular file of that name on PATH; empty = none.
std::string find_program(std::string_view name);

} // namespace slipway::pod
