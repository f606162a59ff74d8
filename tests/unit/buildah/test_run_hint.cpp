// Last words of well-known programs, as they print them.
#include "buildah/run_hint.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string_view>

using slipway::buildah::run_hint;

TEST_CASE("what an unprivileged pod refuses is known by the program's own words") {
    struct Row {
        const char* line;
        std::string_view hint;
    };
    for (const Row& row : {
             Row{"ping: socktype: SOCK_RAW", "raw sockets"},
             Row{"ping: socket: Operation not permitted", "raw sockets"},
             Row{"mount: /mnt: permission denied.", "--mount"},
             Row{"mount: /mnt: must be superuser to use mount.", "--mount"},
             Row{"E: setgroups 65534 failed - setgroups (1: Operation not permitted)", "APT::Sandbox"},
             Row{"E: seteuid 42 failed - seteuid (22: Invalid argument)", "APT::Sandbox"},
             Row{"unshare: unshare failed: Operation not permitted", "namespaces"},
             Row{"nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)", "1024"},
             Row{"Error: listen EACCES: permission denied 0.0.0.0:80", "1024"},
             Row{"PermissionError: [Errno 13] bind: Permission denied", "1024"},
             Row{"mknod: /x: Operation not permitted", "device"},
             Row{"sysctl: permission denied on key 'vm.swappiness'", "kernel"},
             Row{"/bin/sh: 1: ulimit: error setting limit (Operation not permitted)", "limits"},
             Row{"chown: changing ownership of 'f': Invalid argument", "65536"},
             Row{"tar: f: Cannot change ownership to uid 70000, gid 70000: Invalid argument", "65536"},
             Row{"Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "daemon"},
             Row{"exec /bin/x: exec format error", "--platform"},
             Row{"c++: fatal error: Killed signal terminated program cc1plus", "memory"},
             Row{"cp: error writing 'x': No space left on device", "volume"},
             Row{"W: Temporary failure resolving 'deb.debian.org'", "resolved"},
             Row{"curl: (60) SSL certificate problem: unable to get local issuer certificate", "certificate"},
             Row{"E: Unable to locate package nothing", "apt-get update"},
             Row{"./run.sh: line 2: $'\\r': command not found", "line ends"},
         }) {
        INFO(row.line);
        CHECK(run_hint(1, {row.line}).contains(row.hint));
    }
}

TEST_CASE("the line printed last counts most, and what nobody knows has no hint") {
    CHECK(run_hint(1, {"mount: /mnt: permission denied.", "ping: socktype: SOCK_RAW"}).contains("raw"));
    CHECK(run_hint(1, {"ping: socktype: SOCK_RAW", "make: *** [all] Error 1"}).contains("raw"));
    CHECK(run_hint(1, {"make: *** [all] Error 1"}).empty());
    CHECK(run_hint(1, {}).empty());
}

TEST_CASE("the shell's own exit codes") {
    CHECK(run_hint(127, {"sh: nosuch: not found"}).contains("not found"));
    CHECK(run_hint(126, {}).contains("executable"));
}
