#include "process/tree.hpp"

#include "base/fd.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <set>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace slipway::process {

namespace {

constexpr std::chrono::microseconds first_look{15'000};
constexpr std::chrono::microseconds shortest_pause{500};
constexpr std::chrono::microseconds longest_pause{20'000};

/// The runs going on, and the children we had before the first of them: those are somebody else's to reap.
struct Registry {
    std::mutex mutex;
    int active = 0;
    int starting = 0; ///< of these, those whose child is not known yet, though it may have ended already
    std::set<pid_t> children;
    std::vector<ProcessEntry> outsiders;
};

Registry& registry() {
    static Registry the_one;
    return the_one;
}

std::vector<ProcessEntry> all_processes() {
    std::vector<ProcessEntry> all;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
    if (!proc) {
        return all;
    }
    while (const dirent* entry = ::readdir(proc.get())) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') {
            continue;
        }
        const std::string name = std::string(entry->d_name) + "/stat";
        const Fd file(::openat(::dirfd(proc.get()), name.c_str(), O_RDONLY | O_CLOEXEC));
        std::array<char, 1024> text{};
        const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
        if (size > 0) {
            if (auto parsed = parse_process_stat({text.data(), static_cast<std::size_t>(size)})) {
                all.push_back(*parsed);
            }
        }
    }
    return all;
}

/// Everything below this process but `outsiders` and what is below them.
std::vector<ProcessEntry> descendants(const std::vector<ProcessEntry>& outsiders) {
    std::vector<ProcessEntry> all = all_processes();
    const auto is_outsider = [&](const ProcessEntry& entry) {
        return std::ranges::any_of(outsiders, [&](const ProcessEntry& other) {
            return other.pid == entry.pid && other.start == entry.start;
        });
    };
    std::vector<ProcessEntry> found;
    std::vector<pid_t> parents{::getpid()};
    while (!parents.empty()) {
        std::vector<pid_t> next;
        for (const ProcessEntry& entry : all) {
            if (std::ranges::find(parents, entry.parent) != parents.end() && !is_outsider(entry)) {
                found.push_back(entry);
                next.push_back(entry.pid);
            }
        }
        parents = std::move(next);
    }
    return found;
}

/// Reaps `pid` (as for wait4, without waiting); true = there was something to reap.
bool reap(pid_t pid, Usage& usage) {
    int status = 0;
    rusage used{};
    if (::wait4(pid, &status, WNOHANG, &used) <= 0) {
        return false;
    }
    add_usage(usage, used);
    return true;
}

} // namespace

std::optional<ProcessEntry> parse_process_stat(std::string_view text) {
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
        return std::nullopt;
    }
    const auto number = [](std::string_view field, auto& value) {
        return std::from_chars(field.data(), field.data() + field.size(), value).ec == std::errc{};
    };
    ProcessEntry entry;
    if (!number(text.substr(0, open), entry.pid)) {
        return std::nullopt;
    }
    // Fields as proc_pid_stat(5) counts them, from 3 (state) on.
    std::string_view rest = text.substr(close + 1);
    char state = 0;
    long threads = 0;
    int field = 2;
    while (field < 22) {
        rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
        const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
        if (word.empty()) {
            return std::nullopt;
        }
        rest.remove_prefix(word.size());
        ++field;
        bool fine = true;
        switch (field) {
        case 3: state = word.front(); break;
        case 4: fine = number(word, entry.parent); break;
        case 5: fine = number(word, entry.group); break;
        case 20: fine = number(word, threads); break;
        case 22: fine = number(word, entry.start); break;
        default: break;
        }
        if (!fine) {
            return std::nullopt;
        }
    }
    // A process whose first thread has ended shows Z although others of its threads go on.
    entry.dead = (state == 'Z' && threads <= 1) || state == 'X';
    return entry;
}

void add_usage(Usage& usage, const rusage& used) {
    const auto milliseconds = [](const timeval& time) {
        return Milliseconds(time.tv_sec * 1000 + time.tv_usec / 1000);
    };
    usage.user += milliseconds(used.ru_utime);
    usage.system += milliseconds(used.ru_stime);
    usage.peak_memory_bytes =
        std::max(usage.peak_memory_bytes, static_cast<std::uint64_t>(used.ru_maxrss) * 1024U);
}

Status prepare_program() {
    static const int error = [] {
        for (;;) {
            const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
            if (fd < 0) {
                return errno;
            }
            if (fd > STDERR_FILENO) {
                ::close(fd);
                break;
            }
        }
        struct sigaction now{};
        if (::sigaction(SIGCHLD, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
            now.sa_handler == SIG_IGN) {
            ::signal(SIGCHLD, SIG_DFL);
        }
        return ::prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL) == 0 ? 0 : errno;
    }();
    if (error != 0) {
        return fail_errno("preparing to run programs", error);
    }
    return {};
}

TreeMember::TreeMember() {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    ++all.starting;
    if (all.active++ == 0) {
        all.outsiders = descendants({});
        std::erase_if(all.outsiders,
                      [self = ::getpid()](const ProcessEntry& entry) { return entry.parent != self; });
    }
}

TreeMember::~TreeMember() {
    Exit ignored;
    leave(ignored, Milliseconds(2000));
}

void TreeMember::set_child(pid_t child) {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    child_ = child;
    all.children.insert(child);
    --all.starting;
}

void TreeMember::reap_orphans(Usage& usage) {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    // Never while a child has no entry yet: another run's would be taken for an orphan.
    for (int count = 0; all.starting == 0 && count < 10'000; ++count) {
        siginfo_t info{};
        if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
            return;
        }
        const bool known = all.children.contains(info.si_pid) ||
                           std::ranges::any_of(all.outsiders, [&](const ProcessEntry& other) {
                               return other.pid == info.si_pid;
                           });
        if (known || !reap(info.si_pid, usage)) {
            return;
        }
    }
}

void TreeMember::leave(Exit& exit, Milliseconds most) {
    if (std::exchange(left_, true)) {
        return;
    }
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    all.children.erase(child_);
    all.starting -= child_ == 0 ? 1 : 0;
    const bool last = --all.active == 0;
    const auto until = std::chrono::steady_clock::now() + most;
    // The first look only looks: who has just closed our pipe may be on the way out.
    auto pause = first_look;
    bool killing = false;
    std::set<std::pair<pid_t, std::uint64_t>> killed;
    for (;;) {
        std::vector<ProcessEntry> left = descendants(all.outsiders);
        if (!last) {
            // An orphan without our group may be a helper that another run still needs.
            std::erase_if(left, [&](const ProcessEntry& entry) { return entry.group != child_; });
        }
        int living = 0;
        for (const ProcessEntry& entry : left) {
            if (!entry.dead) {
                ++living;
                if (killing && ::kill(entry.pid, SIGKILL) == 0) {
                    killed.emplace(entry.pid, entry.start);
                }
            } else if (entry.parent == ::getpid()) {
                reap(entry.pid, exit.usage);
            }
        }
        // Only a scan that finds nobody ends this: one that finds just dead parents may have missed a child
        // that was forked while it ran.
        if (left.empty() || std::chrono::steady_clock::now() >= until) {
            exit.survivors = living;
            break;
        }
        if (living > 0) {
            std::this_thread::sleep_for(pause);
            pause = killing ? std::min(pause * 2, longest_pause) : shortest_pause;
            killing = true;
        }
    }
    exit.swept = static_cast<int>(killed.size());
}

} // namespace slipway::process
