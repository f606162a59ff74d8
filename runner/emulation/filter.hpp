// Root emulation's first form: a seccomp filter that pretends.
//
// In a user namespace with a single id nothing can be given to anybody else. The filter answers "done"
// without doing anything to the calls that would: chown, fchown, lchown, fchownat; setgroups; setuid, setgid,
// setreuid, setregid, setresuid, setresgid, setfsuid, setfsgid; capset; mknod and mknodat of a character or
// block device other than 0:0 (a device 0:0 is a whiteout: pretending that would bring back files a base
// image's layers have deleted). Every other call is let through. Owners are lost: whatever is made belongs to
// root.
//
// Idea: R. Priedhorsky, M. Jennings, M. Phinney, "Zero-consistency root emulation for unprivileged container
// image build", 2024. Filters are inherited over fork and exec and cannot be taken off again.
//
// A kernel may run programs of a second instruction set, which has its own numbers: i386 beside x86-64,
// 32-bit Arm beside 64-bit Arm. Both tables are in the filter. x32 (x86-64 with bit 30 set in the number) is
// answered ENOSYS, as on a kernel built without it; a call of any other architecture likewise.
#pragma once

#include "base/result.hpp"

#include <linux/filter.h>
#include <vector>

namespace slipway::emulation {

enum class Machine { x86_64, aarch64 };

/// What this program was compiled for.
Machine this_machine() noexcept;

/// The program for seccomp(2). Pure; at most a few hundred instructions.
std::vector<sock_filter> pretending_filter(Machine machine);

/// Loads it for this process and all it will start. Wants SYS_ADMIN in the user namespace we are in; without,
/// it sets no_new_privs first. Error: pod/podforbids.
Status pretend();

} // namespace slipway::emulation
