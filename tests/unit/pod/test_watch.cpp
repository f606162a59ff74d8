// Watching memory and disk: the cgroup is a folder of files, what is killed are real children.
#include "base/file.hpp"
#include "pod/watch.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <csignal>
#include <format>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace slipway;
using namespace slipway::pod;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mebibyte = 1U << 20U;

/// A container of 1 GiB, of which `anonymous` is taken.
struct Container {
    TemporaryDirectory root = TemporaryDirectory::create("test-watch.").value();
    fs::path cgroup = root.path() / "cgroup";

    explicit Container(bool group = true) {
        fs::create_directories(cgroup);
        write("memory.max", 1024 * mebibyte);
        write("memory.oom.group", group ? 1 : 0);
        std::ofstream(cgroup / "memory.events") << "oom_kill 0\n";
        take(100 * mebibyte);
    }
    void write(const char* name, std::uint64_t value) const {
        REQUIRE(write_file_atomic(cgroup / name, std::to_string(value) + "\n"));
    }
    void take(std::uint64_t anonymous, std::uint64_t cache = 0) const {
        REQUIRE(write_file_atomic(cgroup / "memory.stat",
                                  std::format("anon {}\nfile {}\nshmem 0\ninactive_file 0\nactive_file {}\n"
                                              "slab_reclaimable 0\n",
                                              anonymous, cache, cache)));
        write("memory.current", anonymous + cache);
    }
};

/// A child that does nothing until it is killed; a process group of its own is not wanted here.
struct Idle {
    pid_t pid = ::fork();
    Idle() {
        if (pid == 0) {
            for (;;) {
                ::pause();
            }
        }
    }
    Idle(const Idle&) = delete;
    Idle& operator=(const Idle&) = delete;
    ~Idle() {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
};

struct Advices {
    std::mutex mutex;
    std::condition_variable came;
    std::vector<std::string> codes;

    Watch::OnAdvice on_advice = [this](const Advice& advice) {
        const std::lock_guard lock(mutex);
        codes.push_back(advice.code);
        came.notify_all();
    };
    bool wait_for(std::string_view code) {
        std::unique_lock lock(mutex);
        return came.wait_for(lock, std::chrono::seconds(20),
                             [&] { return std::ranges::find(codes, code) != codes.end(); });
    }
};

} // namespace

TEST_CASE("memory is about to run out when less than the reserve is left of what can be taken") {
    CgroupMemory memory;
    memory.version = 2;
    memory.kills_group = true;
    CHECK_FALSE(about_to_be_killed(memory)); // no limit
    memory.limit = 1024 * mebibyte;
    CHECK_FALSE(about_to_be_killed(memory)); // use not known
    memory.unreclaimable = 992 * mebibyte;
    CHECK_FALSE(about_to_be_killed(memory));
    memory.unreclaimable = 992 * mebibyte + 1;
    CHECK(about_to_be_killed(memory));
    memory.unreclaimable = 5000 * mebibyte;
    CHECK(about_to_be_killed(memory));
    memory.swap_left = 5000 * mebibyte;
    CHECK_FALSE(about_to_be_killed(memory));
    memory.swap_left = 0;
    memory.kills_group = false; // the kernel takes one process: its choice is better than ours
    CHECK_FALSE(about_to_be_killed(memory));
}

TEST_CASE("the reserve is a 32nd of the limit within bounds") {
    CHECK(memory_reserve(64 * mebibyte) == 16 * mebibyte);
    CHECK(memory_reserve(2048 * mebibyte) == 64 * mebibyte);
    CHECK(memory_reserve(1ULL << 50U) == 256 * mebibyte);
}

TEST_CASE("a build that takes all memory is ended, its biggest process at once") {
    const Container container;
    const Sampler sampler(container.root.path(), "/proc", container.cgroup);
    const Idle child;
    Advices advices;
    const Watch watch(sampler, {}, [] { return ::getpid(); }, advices.on_advice);
    CHECK_FALSE(watch.token().wait_for(std::chrono::milliseconds(500)));
    container.take(1020 * mebibyte);
    REQUIRE(watch.token().wait_for(std::chrono::seconds(20)));
    int status = 0;
    REQUIRE(::waitpid(child.pid, &status, 0) == child.pid);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    const Findings found = watch.findings();
    CHECK(found.ended_for_memory);
    CHECK(found.biggest.contains("("));
    CHECK(found.peak_memory == 1020 * mebibyte);
    CHECK(found.limit == 1024 * mebibyte);
}

TEST_CASE("page cache up to the limit ends nothing") {
    const Container container;
    const Sampler sampler(container.root.path(), "/proc", container.cgroup);
    const Watch watch(sampler, {}, [] { return ::getpid(); }, [](const Advice&) {});
    container.take(500 * mebibyte, 524 * mebibyte);
    CHECK_FALSE(watch.token().wait_for(std::chrono::seconds(1)));
    CHECK_FALSE(watch.findings().ended_for_memory);
}

TEST_CASE("kills by the kernel are told once and counted from the last beginning") {
    const Container container(false);
    const Sampler sampler(container.root.path(), "/proc", container.cgroup);
    Advices advices;
    Watch watch(sampler, {}, [] { return ::getpid(); }, advices.on_advice);
    CHECK(watch.findings().oom_kills == 0);
    REQUIRE(write_file_atomic(container.cgroup / "memory.events", "oom_kill 2\n"));
    CHECK(watch.findings().oom_kills == 2);
    CHECK(advices.wait_for("memorykill"));
    watch.begin();
    CHECK(watch.findings().oom_kills == 0);
    REQUIRE(write_file_atomic(container.cgroup / "memory.events", "oom_kill 3\n"));
    CHECK(watch.findings().oom_kills == 1);
    CHECK_FALSE(watch.token().requested());
}

TEST_CASE("time lost to a lack of memory is told") {
    const Container container;
    const Sampler sampler(container.root.path(), "/proc", container.cgroup);
    Advices advices;
    const Watch watch(sampler, {}, [] { return 0; }, advices.on_advice);
    REQUIRE(write_file_atomic(container.cgroup / "memory.pressure", "full avg10=61.00 avg60=0.00 total=1\n"));
    CHECK(advices.wait_for("memorypressure"));
}

TEST_CASE("the step's stop goes on to the build") {
    const Container container;
    const Sampler sampler(container.root.path(), "/proc", container.cgroup);
    StopSource stop;
    const Watch watch(sampler, stop.token(), [] { return 0; }, [](const Advice&) {});
    CHECK_FALSE(watch.token().requested());
    stop.request({.kind = StopReason::Kind::signal, .signal = SIGINT});
    REQUIRE(watch.token().wait_for(std::chrono::seconds(20)));
    CHECK(watch.token().reason().signal == SIGINT);
    CHECK_FALSE(watch.findings().ended_for_memory);
}

TEST_CASE("a full disk") {
    Usage usage;
    CHECK_FALSE(disk_full(usage)); // not known
    usage.total_bytes = 100 * mebibyte;
    usage.free_bytes = mebibyte - 1;
    CHECK(disk_full(usage));
    usage.free_bytes = mebibyte;
    CHECK_FALSE(disk_full(usage));
    usage.total_inodes = 10;
    CHECK(disk_full(usage));
}
