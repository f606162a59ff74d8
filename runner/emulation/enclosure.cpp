#include "emulation/enclosure.hpp"

#include "base/fd.hpp"
#include "emulation/filter.hpp"
#include "emulation/furnish.hpp"
#include "emulation/lock_in.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace slipway::emulation {

namespace {

constexpr int failed_status = 125; // buildah's own for "could not even begin"
constexpr std::array stop_signals{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

std::string map_text(const std::vector<MapLine>& map, char between, char after) {
    std::string text;
    for (const MapLine& line : map) {
        text += std::format("{}{}{}{}{}{}", line.inside, between, line.outside, between, line.count, after);
    }
    return text;
}

Result<std::vector<MapLine>> parse_map(std::string_view text) {
    std::vector<MapLine> map;
    while (!text.empty()) {
        MapLine line;
        for (std::uint64_t* number : {&line.inside, &line.outside, &line.count}) {
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
            if (error != std::errc{} || end == text.data() + text.size()) {
                return fail(ErrorClass::internal, code::internal_error,
                            "the internal call has a malformed id map");
            }
            text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
        }
        map.push_back(line);
    }
    return map;
}

Status write_at(const std::string& path, std::string_view text) {
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return fail_errno("write " + path, errno);
    }
    return {};
}

/// Runs newuidmap or newgidmap; what it prints goes where our own standard error goes.
Status run_map_program(const char* name, pid_t target, const std::vector<MapLine>& map) {
    std::vector<std::string> words{name, std::to_string(target)};
    for (const MapLine& line : map) {
        for (const std::uint64_t number : {line.inside, line.outside, line.count}) {
            words.push_back(std::to_string(number));
        }
    }
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) < 0) {
        return fail_errno(name, errno);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail(ErrorClass::pod, code::pod_forbids, std::format("{} could not write the map", name));
    }
    return {};
}

Status write_maps(const Enclosure& enclosure, pid_t target) {
    if (enclosure.map_by == MapBy::programs) {
        TRY(run_map_program("newgidmap", target, enclosure.gid_map));
        return run_map_program("newuidmap", target, enclosure.uid_map);
    }
    const std::string process = std::format("/proc/{}/", target);
    if (enclosure.deny_setgroups) {
        TRY(write_at(process + "setgroups", "deny"));
    }
    TRY(write_at(process + "gid_map", map_text(enclosure.gid_map, ' ', '\n')));
    return write_at(process + "uid_map", map_text(enclosure.uid_map, ' ', '\n'));
}

/// What a person reads: the error's own line and what the kernel said.
std::string in_words(const Error& error) {
    return error.cause.empty() ? error.message : std::format("{}: {}", error.message, error.cause);
}

int complain(const Error& error) {
    const std::string line = std::format("{}{}\n", complaint, in_words(error));
    static_cast<void>(write_all(STDERR_FILENO, line));
    return failed_status;
}

/// The helper outside waits for a byte, writes the maps, and tells how that went by its status.
Status make_user_namespace(const Enclosure& enclosure) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail_errno("pipe", errno);
    }
    const Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    const pid_t inside = ::getpid();
    const pid_t helper = ::fork();
    if (helper < 0) {
        return fail_errno("fork", errno);
    }
    if (helper == 0) {
        write_end.reset();
        char byte = 0;
        if (::read(read_end.get(), &byte, 1) != 1) {
            ::_exit(0); // nothing to map: unshare failed and is reported there
        }
        const Status written = write_maps(enclosure, inside);
        ::_exit(written ? 0 : complain(written.error()));
    }
    const int unshared = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : errno;
    if (unshared == 0) {
        static_cast<void>(write_all(write_end.get(), "x"));
    }
    write_end.reset();
    int status = 0;
    while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
    }
    if (unshared != 0) {
        return fail_errno("unshare(CLONE_NEWUSER|CLONE_NEWNS)", unshared);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        ::_exit(failed_status); // the helper has said why
    }
    if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) {
        return fail_errno("becoming root of the namespace", errno);
    }
    return {};
}

/// Entering a namespace or changing ids may have taken it back.
Status die_with(pid_t parent) {
    if (::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL) != 0) {
        return fail_errno("prctl(PR_SET_PDEATHSIG)", errno);
    }
    if (::getppid() != parent) {
        ::_exit(failed_status); // it is gone already
    }
    return {};
}

Status leave_network() {
    if (::unshare(CLONE_NEWNET) != 0) {
        return fail_errno("unshare(CLONE_NEWNET)", errno);
    }
    // Best effort: with SYS_ADMIN but without NET_ADMIN (recipe G) the device stays down.
    const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP;
    static_cast<void>(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
    return {};
}

/// The last steps: what the program itself must be bound by.
int execute(const Enclosure& enclosure, const std::vector<std::string>& command) {
    if (enclosure.keep_signals) {
        keep_signals_inside();
    }
    if (enclosure.pretend) {
        if (const Status loaded = pretend(); !loaded) {
            return complain(loaded.error());
        }
    }
    std::vector<char*> argv;
    for (const std::string& word : command) {
        argv.push_back(const_cast<char*>(word.c_str()));
    }
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    const std::string line =
        std::format("slipway: cannot execute {}: {}\n", command.front(), std::strerror(errno));
    static_cast<void>(write_all(STDERR_FILENO, line));
    return failed_status;
}

/// Dies as the program did: by the same signal or with the same status.
[[noreturn]] void end_like(int status) {
    if (WIFSIGNALED(status)) {
        ::prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL); // the core, if any, was the program's
        std::signal(WTERMSIG(status), SIG_DFL);
        ::kill(::getpid(), WTERMSIG(status));
    }
    ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : failed_status);
}

/// First process of a pid namespace: starts the program, reaps whatever is left to it, tells how the program
/// ended.
[[noreturn]] void be_first(const Enclosure& enclosure, const std::vector<std::string>& command, int report,
                           const std::array<struct sigaction, stop_signals.size()>& before) {
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
        ::_exit(complain(errno_error("mount /proc of the pid namespace", errno)));
    }
    const pid_t program = ::fork();
    if (program == 0) {
        for (std::size_t i = 0; i < stop_signals.size(); ++i) {
            ::sigaction(stop_signals.at(i), &before.at(i), nullptr);
        }
        ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL);
        ::_exit(execute(enclosure, command));
    }
    if (program < 0) {
        ::_exit(complain(errno_error("fork", errno)));
    }
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, 0);
        if (ended == program) {
            static_cast<void>(write_all(report, {reinterpret_cast<const char*>(&status), sizeof status}));
            ::_exit(0);
        }
        if (ended < 0 && errno != EINTR) {
            ::_exit(failed_status);
        }
    }
}

int in_pid_namespace(const Enclosure& enclosure, const std::vector<std::string>& command) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return complain(errno_error("pipe", errno));
    }
    const Fd read_end(ends[0]);
    Fd write_end(ends[1]);
    // Stop signals go to the whole group. They are the program's business; we end when it has.
    std::array<struct sigaction, stop_signals.size()> before{};
    for (std::size_t i = 0; i < stop_signals.size(); ++i) {
        struct sigaction ignore{};
        ignore.sa_handler = SIG_IGN;
        ::sigaction(stop_signals.at(i), &ignore, &before.at(i));
    }
    if (::unshare(CLONE_NEWPID) != 0) {
        return complain(errno_error("unshare(CLONE_NEWPID)", errno));
    }
    const pid_t first = ::fork();
    if (first < 0) {
        return complain(errno_error("fork", errno));
    }
    if (first == 0) {
        // Its parent is outside the namespace: getppid() says 0 whether it lives or not.
        ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL);
        be_first(enclosure, command, write_end.get(), before);
    }
    write_end.reset();
    int status = 0;
    while (::waitpid(first, &status, 0) < 0 && errno == EINTR) {
    }
    int program = 0;
    if (::read(read_end.get(), &program, sizeof program) == sizeof program) {
        end_like(program);
    }
    end_like(status);
}

} // namespace

std::vector<std::string> prefix(const Enclosure& enclosure) {
    std::vector<std::string> words{"/proc/self/exe", std::string(enclosure_word)};
    switch (enclosure.map_by) {
    case MapBy::nobody: break;
    case MapBy::helper: words.emplace_back("helper"); break;
    case MapBy::programs: words.emplace_back("programs"); break;
    }
    if (enclosure.map_by != MapBy::nobody) {
        words.push_back("uids=" + map_text(enclosure.uid_map, ':', ','));
        words.push_back("gids=" + map_text(enclosure.gid_map, ':', ','));
    }
    if (enclosure.deny_setgroups) {
        words.emplace_back("deny-setgroups");
    }
    words.push_back("furniture=" + enclosure.furniture.native());
    if (enclosure.pretend) {
        words.emplace_back("pretend");
    }
    if (enclosure.pid_namespace) {
        words.emplace_back("pid-namespace");
    }
    if (enclosure.keep_signals) {
        words.emplace_back("keep-signals");
    }
    if (enclosure.without_network) {
        words.emplace_back("without-network");
    }
    words.emplace_back("--");
    return words;
}

Result<Enclosure> parse_prefix(std::span<const std::string> arguments, std::vector<std::string>& rest) {
    Enclosure enclosure;
    enclosure.map_by = MapBy::nobody;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view word = arguments[i];
        if (word == "--") {
            rest.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
            break;
        }
        if (word == "helper") {
            enclosure.map_by = MapBy::helper;
        } else if (word == "programs") {
            enclosure.map_by = MapBy::programs;
        } else if (word.starts_with("uids=")) {
            TRY_ASSIGN(enclosure.uid_map, parse_map(word.substr(5)));
        } else if (word.starts_with("gids=")) {
            TRY_ASSIGN(enclosure.gid_map, parse_map(word.substr(5)));
        } else if (word == "deny-setgroups") {
            enclosure.deny_setgroups = true;
        } else if (word.starts_with("furniture=")) {
            enclosure.furniture = word.substr(10);
        } else if (word == "pretend") {
            enclosure.pretend = true;
        } else if (word == "pid-namespace") {
            enclosure.pid_namespace = true;
        } else if (word == "keep-signals") {
            enclosure.keep_signals = true;
        } else if (word == "without-network") {
            enclosure.without_network = true;
        } else {
            return fail(ErrorClass::internal, code::internal_error, "the internal call has an unknown word");
        }
    }
    if (rest.empty() || !enclosure.furniture.is_absolute()) {
        return fail(ErrorClass::internal, code::internal_error, "the internal call is incomplete");
    }
    return enclosure;
}

int enter(const std::vector<std::string>& arguments) {
    const pid_t parent = ::getppid();
    std::vector<std::string> command;
    const auto enclosure = parse_prefix(arguments, command);
    if (!enclosure) {
        return complain(enclosure.error());
    }
    const auto prepare = [&]() -> Status {
        if (enclosure->map_by != MapBy::nobody) {
            TRY(make_user_namespace(*enclosure));
            // What buildah tells itself after it has entered a namespace of its own. A map of all ids looks
            // like the machine's own to it, and it would use what only the machine's root may (trusted.*
            // attributes).
            ::setenv("_CONTAINERS_USERNS_CONFIGURED", "1", 1);
        } else if (::unshare(CLONE_NEWNS) != 0) {
            return fail_errno("unshare(CLONE_NEWNS)", errno);
        }
        if (enclosure->without_network) {
            TRY(leave_network());
        }
        TRY(die_with(parent));
        return furnish(enclosure->furniture, enclosure->pretend);
    };
    if (const Status prepared = prepare(); !prepared) {
        return complain(prepared.error());
    }
    return enclosure->pid_namespace ? in_pid_namespace(*enclosure, command) : execute(*enclosure, command);
}

} // namespace slipway::emulation
