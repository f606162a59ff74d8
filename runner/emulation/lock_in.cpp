// The interface is the kernel's own (Documentation/userspace-api/landlock.rst); headers of Debian 13 know the
// scopes.
#include "emulation/lock_in.hpp"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipway::emulation {

int landlock_version() noexcept {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return version > 0 ? static_cast<int>(version) : 0;
}

bool keep_signals_inside() noexcept {
    // Defined here where the kernel's header is older than the program's kernel.
    struct Attributes {
        unsigned long long handled_access_fs, handled_access_net, scoped;
    };
    constexpr unsigned long long scope_signal = 1ULL << 1U;
    if (landlock_version() < 6) {
        return false;
    }
    const Attributes attributes{.handled_access_fs = 0, .handled_access_net = 0, .scoped = scope_signal};
    const long rules = ::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (rules < 0) {
        return false;
    }
    const bool bound = ::syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    ::close(static_cast<int>(rules));
    return bound;
}

} // namespace slipway::emulation
