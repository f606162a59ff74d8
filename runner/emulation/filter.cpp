// Numbers: the kernel's own tables (arch/x86/entry/syscalls, include/uapi/asm-generic/unistd.h,
// arch/arm/tools). They are spelt out because a filter for one machine has to be made, and tested, on
// another.
#include "emulation/filter.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <span>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slipway::emulation {

namespace {

/// One instruction set's calls.
struct Table {
    std::uint32_t architecture;
    std::span<const std::uint32_t> pretended;
    int mknod;   ///< -1 = it has none
    int mknodat; ///< its mode is the third argument, its device the fourth; of mknod the second and third
    bool has_x32 = false;
};

// In the order: chown lchown fchown fchownat (64-bit Arm has the last two alone), setgroups, setuid setgid
// setreuid setregid setresuid setresgid setfsuid setfsgid, capset.
constexpr std::array<std::uint32_t, 14> x86_64_calls{92,  94,  93,  260, 116, 105, 106,
                                                     113, 114, 117, 119, 122, 123, 126};
constexpr std::array<std::uint32_t, 12> aarch64_calls{55,  54,  159, 146, 144, 145,
                                                      143, 147, 149, 151, 152, 91};
// The older calls with ids of 16 bits, then those with 32. i386 and 32-bit Arm number all of them alike.
constexpr std::array<std::uint32_t, 25> narrow_calls{182, 16,  95,  81,  23,  46,  70,  71,  164,
                                                     170, 138, 139, 185, 212, 198, 207, 206, 213,
                                                     214, 203, 204, 208, 210, 215, 216};
constexpr std::uint32_t i386_fchownat = 298;
constexpr std::uint32_t arm_fchownat = 325;

constexpr std::uint32_t x32_bit = 0x40000000;

constexpr std::uint32_t answer(std::uint32_t error) {
    return SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA);
}
constexpr std::uint32_t done = answer(0);

/// Offset of the low half of an argument; both machines are little-endian.
constexpr std::uint32_t argument(unsigned index) {
    return static_cast<std::uint32_t>(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

class Program {
  public:
    void load(std::size_t offset) { put(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
    void mask(std::uint32_t bits) { put(BPF_ALU | BPF_AND | BPF_K, bits); }
    void give(std::uint32_t action) { put(BPF_RET | BPF_K, action); }
    void skip_unless_equal(std::uint32_t value, std::uint8_t count) {
        code_.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, count, value});
    }
    void skip_if_equal(std::uint32_t value, std::uint8_t count) {
        code_.push_back({BPF_JMP | BPF_JEQ | BPF_K, count, 0, value});
    }
    void skip_unless_at_least(std::uint32_t value, std::uint8_t count) {
        code_.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, count, value});
    }

    /// Devices are pretended, unless 0:0; anything else is really made.
    void node(int number, unsigned mode, unsigned device) {
        if (number < 0) {
            return;
        }
        skip_unless_equal(static_cast<std::uint32_t>(number), 8);
        load(argument(mode));
        mask(S_IFMT);
        skip_if_equal(S_IFCHR, 2);
        skip_if_equal(S_IFBLK, 1);
        give(SECCOMP_RET_ALLOW);
        load(argument(device));
        skip_if_equal(0, 1);
        give(done);
        // Reached by every other call, and by a device 0:0, which nothing after this stops.
        load(offsetof(seccomp_data, nr));
    }

    void table(const Table& calls) {
        // The body's length is not known before it is made.
        Program body;
        body.load(offsetof(seccomp_data, nr));
        if (calls.has_x32) {
            body.skip_unless_at_least(x32_bit, 1);
            body.give(answer(ENOSYS));
        }
        for (const std::uint32_t number : calls.pretended) {
            body.skip_unless_equal(number, 1);
            body.give(done);
        }
        body.node(calls.mknod, 1, 2);
        body.node(calls.mknodat, 2, 3);
        body.give(SECCOMP_RET_ALLOW);
        skip_unless_equal(calls.architecture, static_cast<std::uint8_t>(body.code_.size()));
        code_.insert(code_.end(), body.code_.begin(), body.code_.end());
    }

    std::vector<sock_filter> take() { return std::move(code_); }

  private:
    void put(std::uint16_t code, std::uint32_t value) { code_.push_back({code, 0, 0, value}); }
    std::vector<sock_filter> code_;
};

std::vector<std::uint32_t> narrow(std::uint32_t fchownat) {
    std::vector<std::uint32_t> calls(narrow_calls.begin(), narrow_calls.end());
    calls.push_back(fchownat);
    return calls;
}

} // namespace

Machine this_machine() noexcept {
#if defined(__x86_64__)
    return Machine::x86_64;
#elif defined(__aarch64__)
    return Machine::aarch64;
#else
#error "root emulation knows x86-64 and 64-bit Arm"
#endif
}

std::vector<sock_filter> pretending_filter(Machine machine) {
    Program program;
    program.load(offsetof(seccomp_data, arch));
    if (machine == Machine::x86_64) {
        const auto i386 = narrow(i386_fchownat);
        program.table({AUDIT_ARCH_X86_64, x86_64_calls, 133, 259, true});
        program.table({AUDIT_ARCH_I386, i386, 14, 297});
    } else {
        const auto arm = narrow(arm_fchownat);
        program.table({AUDIT_ARCH_AARCH64, aarch64_calls, -1, 33});
        program.table({AUDIT_ARCH_ARM, arm, 14, 324});
    }
    program.give(answer(ENOSYS));
    return program.take();
}

Status pretend() {
    std::vector<sock_filter> code = pretending_filter(this_machine());
    const sock_fprog program{.len = static_cast<unsigned short>(code.size()), .filter = code.data()};
    const auto load = [&] { return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program); };
    if (load() != 0 && (errno != EACCES || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || load() != 0)) {
        Error error = make_error(ErrorClass::pod, code::pod_forbids,
                                 "this pod forbids loading a seccomp filter, which root emulation needs");
        error.cause = std::strerror(errno);
        return fail(std::move(error));
    }
    return {};
}

} // namespace slipway::emulation
