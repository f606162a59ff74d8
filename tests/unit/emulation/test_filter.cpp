// The filter as the kernel would run it: a small machine for the few instructions it is made of.
#include "emulation/filter.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace slipway::emulation;

namespace {

constexpr std::uint32_t pretended = SECCOMP_RET_ERRNO;
constexpr std::uint32_t absent = SECCOMP_RET_ERRNO | ENOSYS;

std::uint32_t verdict(Machine machine, std::uint32_t architecture, int number, std::uint64_t first = 0,
                      std::uint64_t second = 0, std::uint64_t third = 0, std::uint64_t fourth = 0) {
    const seccomp_data data{number, architecture, 0, {first, second, third, fourth, 0, 0}};
    std::array<char, sizeof data> bytes{};
    std::memcpy(bytes.data(), &data, sizeof data);
    const auto program = pretending_filter(machine);
    std::uint32_t accumulator = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const sock_filter& code = program[at];
        switch (code.code) {
        case BPF_LD | BPF_W | BPF_ABS: std::memcpy(&accumulator, bytes.data() + code.k, 4); break;
        case BPF_ALU | BPF_AND | BPF_K: accumulator &= code.k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: at += accumulator == code.k ? code.jt : code.jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: at += accumulator >= code.k ? code.jt : code.jf; break;
        case BPF_RET | BPF_K: return code.k;
        default: FAIL("an instruction this machine does not know");
        }
    }
    FAIL("the program runs out of its end");
    return 0;
}

struct Calls {
    Machine machine;
    std::uint32_t architecture;
    std::vector<int> pretended;
    std::vector<int> let_through;
    int mknod;
    int mknodat;
};

const std::vector<int> narrow_calls{16,  23,  46,  70,  71,  81,  95,  138, 139, 164, 170, 182, 185,
                                    198, 203, 204, 206, 207, 208, 210, 212, 213, 214, 215, 216};

std::vector<int> with(std::vector<int> list, int more) {
    list.push_back(more);
    return list;
}

// Let through: read, setpgid, fchmodat, getuid and neighbours of what is pretended.
const Calls tables[] = {
    {Machine::x86_64,
     AUDIT_ARCH_X86_64,
     {92, 93, 94, 105, 106, 113, 114, 116, 117, 119, 122, 123, 126, 260},
     {0, 90, 91, 95, 102, 107, 109, 115, 118, 120, 125, 257, 261, 268},
     133,
     259},
    {Machine::x86_64,
     AUDIT_ARCH_I386,
     with(narrow_calls, 298),
     {3, 15, 24, 57, 80, 184, 199, 205, 295, 306},
     14,
     297},
    {Machine::aarch64,
     AUDIT_ARCH_AARCH64,
     {54, 55, 91, 143, 144, 145, 146, 147, 149, 151, 152, 159},
     {53, 56, 63, 90, 148, 150, 153, 154, 158, 174},
     -1,
     33},
    {Machine::aarch64,
     AUDIT_ARCH_ARM,
     with(narrow_calls, 325),
     {3, 15, 24, 57, 80, 184, 199, 205, 322, 333},
     14,
     324},
};

} // namespace

TEST_CASE("what changes owners and ids is answered without being done, everything else is let through") {
    for (const Calls& calls : tables) {
        INFO(calls.architecture);
        for (const int number : calls.pretended) {
            INFO(number);
            CHECK(verdict(calls.machine, calls.architecture, number) == pretended);
        }
        for (const int number : calls.let_through) {
            INFO(number);
            CHECK(verdict(calls.machine, calls.architecture, number) == SECCOMP_RET_ALLOW);
        }
    }
}

TEST_CASE("devices are pretended; whiteouts, FIFOs, sockets and plain files are made") {
    for (const Calls& calls : tables) {
        const auto node = [&](std::uint64_t mode, std::uint64_t device) {
            const std::uint32_t at =
                verdict(calls.machine, calls.architecture, calls.mknodat, 7, 8, mode, device);
            if (calls.mknod >= 0) {
                CHECK(verdict(calls.machine, calls.architecture, calls.mknod, 8, mode, device) == at);
            }
            return at;
        };
        CHECK(node(S_IFCHR | 0666, 0x103) == pretended);
        CHECK(node(S_IFBLK | 0600, 0x800) == pretended);
        CHECK(node(S_IFCHR, 0) == SECCOMP_RET_ALLOW);
        CHECK(node(S_IFBLK, 0) == SECCOMP_RET_ALLOW);
        CHECK(node(S_IFIFO | 0644, 0x103) == SECCOMP_RET_ALLOW);
        CHECK(node(S_IFSOCK | 0644, 0x103) == SECCOMP_RET_ALLOW);
        CHECK(node(S_IFREG | 0644, 0x103) == SECCOMP_RET_ALLOW);
        CHECK(node(0644, 0x103) == SECCOMP_RET_ALLOW);
    }
}

TEST_CASE("calls of other instruction sets do not exist") {
    CHECK(verdict(Machine::x86_64, AUDIT_ARCH_X86_64, 0x40000000 + 92) == absent);
    CHECK(verdict(Machine::x86_64, AUDIT_ARCH_X86_64, -1) == absent);
    CHECK(verdict(Machine::x86_64, AUDIT_ARCH_AARCH64, 55) == absent);
    CHECK(verdict(Machine::aarch64, AUDIT_ARCH_X86_64, 92) == absent);
}

TEST_CASE("the kernel takes the filter, and a process under it changes nobody") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (!pretend()) {
            ::_exit(1);
        }
        const bool said = ::syscall(SYS_setresuid, 4711, 4711, 4711) == 0 &&
                          ::syscall(SYS_fchownat, AT_FDCWD, "/", 4711, 4711, 0) == 0 &&
                          ::syscall(SYS_fchownat, AT_FDCWD, "/nowhere", 1, 1, 0) == 0;
        struct stat root{};
        const bool untouched = ::getuid() != 4711 && ::stat("/", &root) == 0 && root.st_uid != 4711;
        ::_exit(said && untouched ? 0 : 2);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}
