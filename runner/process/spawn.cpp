#include "process/spawn.hpp"

#include "base/file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOOST_PROCESS_USE_STD_FS
#include <boost/asio/io_context.hpp>
#include <boost/process/v2/process.hpp>
#include <linux/close_range.h>

namespace slipway::process {

namespace {

namespace bp = boost::process::v2;

/// What this program was started with, as far as children are concerned.
struct SignalState {
    sigset_t mask{};
    sigset_t ignored{};
};

SignalState& original_signals() {
    static SignalState state = [] {
        SignalState empty;
        ::sigemptyset(&empty.mask);
        ::sigemptyset(&empty.ignored);
        return empty;
    }();
    return state;
}

/// Where in the child it failed. Travels to the parent in the upper half of the errno that Boost's launcher
/// sends.
enum class Stage { exec = 0, files = 1, group = 2, directory = 3 };
constexpr int stage_shift = 16;

/// Marks every descriptor from 3 up close-on-exec where close_range(2) is missing or forbidden. After fork in
/// a program that may have threads: system calls only.
void mark_descriptors_slowly() {
    const int directory = ::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        for (int fd = 3; fd < 4096; ++fd) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
        return;
    }
    struct Entry { // linux_dirent64
        std::uint64_t inode;
        std::int64_t offset;
        std::uint16_t length;
        std::uint8_t type;
        char name; // its first character
    };
    alignas(Entry) std::array<char, 4096> buffer{};
    for (;;) {
        const long size = ::syscall(SYS_getdents64, directory, buffer.data(), buffer.size());
        if (size <= 0) {
            break;
        }
        for (long at = 0; at < size;) {
            std::uint16_t length = 0;
            std::memcpy(&length, buffer.data() + at + offsetof(Entry, length), sizeof length);
            int fd = 0;
            for (const char* digit = buffer.data() + at + offsetof(Entry, name);
                 *digit >= '0' && *digit <= '9'; ++digit) {
                fd = fd * 10 + (*digit - '0');
            }
            if (fd >= 3) {
                ::fcntl(fd, F_SETFD, FD_CLOEXEC);
            }
            at += length;
        }
    }
}

/// Hooks of Boost.Process that run in the child between fork and exec.
struct ChildSetup {
    ChildFiles files;
    const char* directory; // null = stay
    pid_t parent;
    const SignalState* signals;
    std::string_view oom_score_adj; // to be written; empty = leave it

    static boost::system::error_code failed(Stage stage, int err) {
        const boost::system::error_code code(err, boost::system::system_category());
        errno =
            err | (static_cast<int>(stage) << stage_shift); // last: the launcher sends errno, not the code
        return code;
    }

    boost::system::error_code on_exec_setup(bp::posix::default_launcher&, const std::filesystem::path&,
                                            const char* const*) const {
        ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL);
        if (::getppid() != parent) {
            ::_exit(127); // the parent died before the line above took effect, and nobody will tell
        }
        if (::dup2(files.in, STDIN_FILENO) < 0 || ::dup2(files.out, STDOUT_FILENO) < 0 ||
            ::dup2(files.err, STDERR_FILENO) < 0) {
            return failed(Stage::files, errno);
        }
        if (::setpgid(0, 0) != 0) {
            return failed(Stage::group, errno);
        }
        if (directory != nullptr && ::chdir(directory) != 0) {
            return failed(Stage::directory, errno);
        }
        if (!oom_score_adj.empty()) {
            if (const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); file >= 0) {
                [[maybe_unused]] const ssize_t written =
                    ::write(file, oom_score_adj.data(), oom_score_adj.size());
                ::close(file);
            }
        }
        // The launcher's own closing leaves gaps below its error pipe open (Boost 1.83), so all are marked
        // here; the error pipe is among them, as it must be.
        if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
            mark_descriptors_slowly();
        }
        for (int signal = 1; signal < NSIG; ++signal) {
            struct sigaction action{};
            action.sa_handler = ::sigismember(&signals->ignored, signal) == 1 ? SIG_IGN : SIG_DFL;
            ::sigaction(signal, &action, nullptr);
        }
        ::sigprocmask(SIG_SETMASK, &signals->mask, nullptr);
        return {};
    }

    /// The launcher would go on to exit(3), which runs our atexit handlers in the child. Any arguments:
    /// Boost 1.83 checks for one signature and calls another.
    template <class... Arguments> void on_exec_error(Arguments&&...) const { ::_exit(127); }
};

/// What to write into the child's oom_score_adj; empty = nothing.
std::string oom_score_adj_of(const Command& command) {
    if (command.oom_score == 0) {
        return {};
    }
    int own = 0;
    const std::string text = read_file("/proc/self/oom_score_adj", 64).value_or("0");
    std::from_chars(text.data(), text.data() + text.size(), own);
    return std::to_string(std::clamp(own + command.oom_score, -1000, 1000));
}

Error start_error(const Command& command, const std::filesystem::path& program, int encoded) {
    const int err = encoded & ((1 << stage_shift) - 1);
    switch (static_cast<Stage>(encoded >> stage_shift)) {
    case Stage::exec: return exec_error(program.native(), err);
    case Stage::files: return errno_error("connecting the output of a program", err);
    case Stage::group: return errno_error("making a process group", err);
    case Stage::directory: break;
    }
    Error error = errno_error("chdir " + command.directory.native(), err);
    error.message = std::format("cannot run {} in {}", program.native(), command.directory.native());
    return error;
}

} // namespace

void remember_signals() {
    SignalState& state = original_signals();
    ::pthread_sigmask(SIG_SETMASK, nullptr, &state.mask);
    ::sigemptyset(&state.ignored);
    for (int signal = 1; signal < NSIG; ++signal) {
        struct sigaction action{};
        if (::sigaction(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
            action.sa_handler == SIG_IGN) {
            ::sigaddset(&state.ignored, signal);
        }
    }
}

Error exec_error(std::string_view program, int err) {
    Error error;
    switch (err) {
    case ENOENT:
        error = make_error(ErrorClass::pod, code::build_run_error,
                           std::format("program {} was not found", program),
                           "use an image that has it, or put its directory on PATH");
        break;
    case EACCES:
    case EPERM:
        error = make_error(
            ErrorClass::pod, code::build_run_error,
            std::format("program {} is there but may not be executed", program),
            "check its mode, the mount options of its file system, and the pod's security profile");
        break;
    case ENOEXEC:
        error = make_error(ErrorClass::pod, code::build_run_error,
                           std::format("program {} is not a program this machine can run", program),
                           "check that it was made for this processor");
        break;
    case E2BIG:
        error = make_error(ErrorClass::internal, code::build_run_error,
                           std::format("the arguments and environment for {} are too long", program),
                           "pass fewer or shorter build arguments and labels");
        break;
    default:
        error = make_error(ErrorClass::internal, code::build_run_error,
                           std::format("program {} could not be started", program));
        break;
    }
    std::array<char, 256> buffer{};
    error.cause = std::format("exec {}: {}", program, ::strerror_r(err, buffer.data(), buffer.size()));
    return error;
}

Result<pid_t> spawn(const Command& command, const std::filesystem::path& program, const ChildFiles& files) {
    std::vector<const char*> argv;
    argv.reserve(command.argv.size() + 1);
    for (const std::string& argument : command.argv) {
        argv.push_back(argument.c_str());
    }
    argv.push_back(nullptr);
    std::vector<const char*> environment;
    environment.reserve(command.environment.size() + 1);
    for (const std::string& entry : command.environment) {
        environment.push_back(entry.c_str());
    }
    environment.push_back(nullptr);

    const std::string oom_score_adj = oom_score_adj_of(command);
    const pid_t self = ::getpid();
    bp::posix::default_launcher launcher;
    launcher.env = environment.data();
    try {
        boost::asio::io_context context(1);
        boost::system::error_code failure;
        const ChildSetup setup{.files = files,
                               .directory = command.directory.empty() ? nullptr : command.directory.c_str(),
                               .parent = self,
                               .signals = &original_signals(),
                               .oom_score_adj = oom_score_adj};
        auto child = launcher(context.get_executor(), failure, program, argv.data(), setup);
        if (failure) {
            if (launcher.pid > 0) {
                ::waitpid(launcher.pid, nullptr, 0); // the launcher leaves it as a zombie
                return fail(start_error(command, program, failure.value()));
            }
            Error error = errno_error("fork", failure.value());
            if (failure.value() == EAGAIN) {
                error = make_error(
                    ErrorClass::pod, code::build_run_error,
                    std::format("cannot start {}: no more processes are allowed here", program.native()),
                    "raise the pod's process limit (podPidsLimit, RLIMIT_NPROC)");
            }
            return fail(std::move(error));
        }
        // From here on the child is ours to wait for: wait4 tells what it used, Boost's waitpid does not.
        child.detach();
    } catch (const boost::system::system_error& thrown) {
        if (::getpid() != self) {
            ::_exit(127);
        }
        // No pidfd (old kernel, seccomp profile) makes the launcher throw after the start has succeeded; the
        // caller can watch a child without one.
        if (launcher.pid <= 0) {
            return fail_errno("starting " + program.native(), thrown.code().value());
        }
    } catch (...) {
        if (::getpid() != self) {
            ::_exit(127); // nothing of our stack may run in the child
        }
        throw;
    }
    return launcher.pid;
}

} // namespace slipway::process
