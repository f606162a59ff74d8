#include "pod/watch.hpp"

#include "base/clock.hpp"
#include "base/encoding.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <format>
#include <poll.h>

namespace slipway::pod {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds calm{200}; ///< between looks while memory is plenty
constexpr milliseconds tense{10}; ///< and when little is left: a process can take 16 MiB in that time
constexpr milliseconds disk_pace{500};
constexpr double heavy_pressure = 40; ///< percent of 10 s in which everything waited for memory
constexpr std::uint64_t mebibyte = 1U << 20U;

bool little_space(const Usage& usage) {
    return usage.free_bytes < std::min<std::uint64_t>(usage.total_bytes / 10, 1024 * mebibyte);
}

bool few_inodes(const Usage& usage) {
    return usage.total_inodes > 0 && usage.free_inodes < usage.total_inodes / 50;
}

} // namespace

std::optional<std::uint64_t> memory_room(const CgroupMemory& memory) noexcept {
    if (!memory.limit || !memory.unreclaimable) {
        return std::nullopt;
    }
    const std::uint64_t all = *memory.limit + memory.swap_left;
    return all - std::min(all, *memory.unreclaimable);
}

std::uint64_t memory_reserve(std::uint64_t limit) noexcept {
    return std::clamp(limit / 32, 16 * mebibyte, 256 * mebibyte);
}

bool about_to_be_killed(const CgroupMemory& memory) noexcept {
    const auto room = memory_room(memory);
    return memory.kills_group && room && *room < memory_reserve(*memory.limit);
}

bool disk_full(const Usage& usage) noexcept {
    return usage.total_bytes > 0 &&
           (usage.free_bytes < mebibyte || (usage.total_inodes > 0 && usage.free_inodes == 0));
}

Watch::Watch(const Sampler& sampler, const StopToken& stop, std::function<pid_t()> root, OnAdvice on_advice)
    : sampler_(sampler), stop_(stop), root_(std::move(root)), on_advice_(std::move(on_advice)) {
    const Usage usage = sampler_.sample(0);
    // Who starts with little was told so before (recipe.cpp).
    told_space_ = little_space(usage);
    told_inodes_ = few_inodes(usage);
    findings_.limit = usage.cgroup.limit;
    thread_ = std::jthread([this] { work(); });
}

Watch::~Watch() {
    end_.request({.kind = StopReason::Kind::signal, .signal = SIGTERM});
}

void Watch::begin() {
    const std::uint64_t kills = sampler_.oom_kills_since_start(sampler_.sample_cgroup());
    const std::lock_guard lock(mutex_);
    kills_before_ = kills;
    findings_.oom_kills = 0;
    findings_.disk_was_full = false;
}

Findings Watch::findings() const {
    const std::uint64_t kills = sampler_.oom_kills_since_start(sampler_.sample_cgroup());
    const std::lock_guard lock(mutex_);
    Findings found = findings_;
    found.oom_kills = kills - std::min(kills, kills_before_);
    return found;
}

void Watch::work() {
    std::array<pollfd, 2> events{{{.fd = end_.token().fd(), .events = POLLIN, .revents = 0},
                                  {.fd = stop_.fd(), .events = POLLIN, .revents = 0}}};
    for (;;) {
        const milliseconds pause = look();
        if (::poll(events.data(), events.size(), static_cast<int>(pause.count())) <= 0) {
            continue;
        }
        if (events[0].revents != 0) {
            return;
        }
        source_.request(stop_.reason());
        events[1].fd = -1; // said once; memory goes on being watched while the build ends
    }
}

milliseconds Watch::look() {
    const CgroupMemory memory = sampler_.sample_cgroup();
    {
        const std::lock_guard lock(mutex_);
        findings_.peak_memory = std::max(findings_.peak_memory, memory.unreclaimable.value_or(0));
    }
    if (about_to_be_killed(memory)) {
        end_for_memory(memory);
    }
    look_at_memory(memory);
    if (const auto now = std::chrono::steady_clock::now(); now >= next_disk_) {
        next_disk_ = now + disk_pace;
        const Usage usage = sampler_.sample_disk();
        if (disk_full(usage)) {
            const std::lock_guard lock(mutex_);
            findings_.disk_was_full = true;
        }
        warn_of_disk(usage);
    }
    const auto room = memory_room(memory);
    return memory.kills_group && room && *room < *memory.limit / 3 ? tense : calm;
}

void Watch::look_at_memory(const CgroupMemory& memory) {
    const std::uint64_t kills = sampler_.oom_kills_since_start(memory);
    if (kills > kills_told_) {
        kills_told_ = kills;
        on_advice_({"memorykill", "the kernel killed a process of this container for want of memory",
                    "raise the container's memory limit, or let the command do less at once (make -j)"});
    }
    if (!told_pressure_ && memory.pressure.value_or(0) >= heavy_pressure) {
        told_pressure_ = true;
        on_advice_({"memorypressure",
                    std::format("memory is so short that everything waited for it {:.0f} % of the last 10 s",
                                *memory.pressure),
                    "raise the container's memory limit"});
    }
}

void Watch::end_for_memory(const CgroupMemory& memory) {
    const pid_t root = root_();
    if (root <= 0) {
        return;
    }
    // The biggest goes at once, for a build told to end politely would take the rest in the meantime.
    if (const auto biggest = sampler_.biggest_below(root)) {
        ::kill(biggest->pid, SIGKILL);
        const std::lock_guard lock(mutex_);
        if (findings_.biggest.empty()) {
            findings_.biggest =
                std::format("{} ({})", one_line(biggest->name, 40), humane_bytes(biggest->resident));
        }
    }
    {
        const std::lock_guard lock(mutex_);
        findings_.ended_for_memory = true;
        findings_.limit = memory.limit;
    }
    source_.request({.kind = StopReason::Kind::signal, .signal = SIGTERM});
}

void Watch::look_at_disk() {
    const bool full = disk_full(sampler_.sample_disk());
    const std::lock_guard lock(mutex_);
    findings_.disk_was_full = findings_.disk_was_full || full;
}

void Watch::warn_of_disk(const Usage& usage) {
    if (!told_space_ && little_space(usage)) {
        told_space_ = true;
        on_advice_({"littlespace",
                    std::format("only {} are left on the build's volume", humane_bytes(usage.free_bytes)),
                    "give the build's volume more space"});
    }
    if (!told_inodes_ && few_inodes(usage)) {
        told_inodes_ = true;
        on_advice_({"fewinodes",
                    std::format("only {} inodes are left on the build's volume", usage.free_inodes),
                    "give the build's volume more inodes"});
    }
}

} // namespace slipway::pod
