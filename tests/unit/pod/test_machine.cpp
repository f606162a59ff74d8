#include "base/file.hpp"
#include "pod/probe.hpp"
#include "pod/usage.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

using namespace slipway;
using namespace slipway::pod;
namespace fs = std::filesystem;

namespace {

struct Fixture {
    TemporaryDirectory root = TemporaryDirectory::create("test-cgroup.").value();
    fs::path proc = root.path() / "proc";
    fs::path cgroup = root.path() / "cgroup";
    explicit Fixture(const std::map<std::string, std::string>& files) {
        for (const auto& [name, content] : files) {
            fs::create_directories((root.path() / name).parent_path());
            std::ofstream(root.path() / name) << content;
        }
    }
};

} // namespace

TEST_CASE("version 2: limit, use, kills and pressure of the container's own group") {
    const Fixture at(
        {{"proc/self/cgroup", "0::/\n"},
         {"cgroup/memory.current", "900\n"},
         {"cgroup/memory.max", "1000\n"},
         {"cgroup/memory.stat", "anon 100\ninactive_file 250\nactive_file 3\n"},
         {"cgroup/memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n"},
         {"cgroup/memory.pressure",
          "some avg10=1.00 avg60=0 avg300=0 total=5\nfull avg10=12.50 avg60=0.00\n"}});
    const CgroupMemory memory = read_cgroup_memory(at.cgroup, at.proc);
    CHECK(memory.version == 2);
    CHECK(memory.limit == 1000);
    CHECK(memory.current == 900);
    CHECK(memory.working_set == 650);
    CHECK(memory.oom_kills == 2);
    CHECK(memory.pressure == 12.5);
}

TEST_CASE("version 2: the pod's limit above ours counts when it is tighter, and max is none") {
    const Fixture at({{"proc/self/cgroup", "0::/pod/container\n"},
                      {"cgroup/pod/memory.max", "500\n"},
                      {"cgroup/pod/container/memory.max", "max\n"},
                      {"cgroup/pod/container/memory.current", "7\n"}});
    const CgroupMemory memory = read_cgroup_memory(at.cgroup, at.proc);
    CHECK(memory.limit == 500);
    CHECK(memory.current == 7);
    CHECK_FALSE(memory.oom_kills);
}

TEST_CASE("version 2: without a cgroup namespace the path named does not exist below the mount") {
    const Fixture at({{"proc/self/cgroup", "0::/../../kubepods/x\n"},
                      {"cgroup/memory.current", "7\n"},
                      {"cgroup/memory.max", "max\n"}});
    const CgroupMemory memory = read_cgroup_memory(at.cgroup, at.proc);
    CHECK(memory.version == 2);
    CHECK_FALSE(memory.limit);
}

TEST_CASE("version 1: hierarchical limit, and the huge number means none") {
    std::map<std::string, std::string> files{
        {"proc/self/cgroup", "12:cpu,cpuacct:/a\n5:memory:/kubepods/pod1/c1\n0::/\n"},
        {"cgroup/memory/memory.usage_in_bytes", "900\n"},
        {"cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
        {"cgroup/memory/memory.stat", "cache 5\nhierarchical_memory_limit 2000\ntotal_inactive_file 100\n"},
        {"cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}};
    {
        const Fixture at(files);
        const CgroupMemory memory = read_cgroup_memory(at.cgroup, at.proc);
        CHECK(memory.version == 1);
        CHECK(memory.limit == 2000);
        CHECK(memory.working_set == 800);
        CHECK(memory.oom_kills == 3);
    }
    files["cgroup/memory/memory.stat"] = "hierarchical_memory_limit 9223372036854771712\n";
    const Fixture at(files);
    CHECK_FALSE(read_cgroup_memory(at.cgroup, at.proc).limit);
}

TEST_CASE("a machine without a memory cgroup, or with nonsense in it, is no error") {
    const Fixture none({{"proc/self/cgroup", ""}});
    CHECK(read_cgroup_memory(none.cgroup, none.proc).version == 0);
    const Fixture nonsense({{"proc/self/cgroup", ":::::\n\n::\n0:\n"},
                            {"cgroup/memory.current", "12x\n"},
                            {"cgroup/memory.max", "-5\n"}});
    CHECK(read_cgroup_memory(nonsense.cgroup, nonsense.proc).version == 0);
}

TEST_CASE("version 2: what no reclaim gives back is anonymous memory, tmpfs and the kernel's own, never page "
          "cache") {
    const Fixture at({{"proc/self/cgroup", "0::/\n"},
                      {"proc/meminfo", "MemTotal:  9 kB\nSwapTotal:    8 kB\nSwapFree:        4 kB\n"},
                      {"cgroup/memory.current", "5000\n"},
                      {"cgroup/memory.max", "6000\n"},
                      {"cgroup/memory.oom.group", "1\n"},
                      {"cgroup/memory.swap.max", "max\n"},
                      {"cgroup/memory.stat", "anon 1000\nfile 3000\nkernel_stack 1\npagetables 2\npercpu 4\n"
                                             "sock 8\nshmem 200\ninactive_file 5\nactive_file 2900\n"
                                             "slab_reclaimable 700\nslab_unreclaimable 16\n"}});
    CgroupMemory memory = read_cgroup_memory(at.cgroup, at.proc);
    CHECK(memory.unreclaimable == 1231);
    CHECK(memory.kills_group);
    CHECK(memory.swap_left == 4096);
    std::ofstream(at.cgroup / "memory.swap.max") << "1000\n";
    std::ofstream(at.cgroup / "memory.swap.current") << "900\n";
    std::ofstream(at.cgroup / "memory.oom.group") << "0\n";
    memory = read_cgroup_memory(at.cgroup, at.proc);
    CHECK(memory.swap_left == 100);
    CHECK_FALSE(memory.kills_group);
}

TEST_CASE("version 1: what no reclaim gives back, and swap within the limit of both") {
    const Fixture at(
        {{"proc/self/cgroup", "4:memory:/x\n"},
         {"proc/meminfo", "SwapFree: 100 kB\n"},
         {"cgroup/memory/memory.usage_in_bytes", "900\n"},
         {"cgroup/memory/memory.memsw.limit_in_bytes", "2000\n"},
         {"cgroup/memory/memory.memsw.usage_in_bytes", "950\n"},
         {"cgroup/memory/memory.stat", "cache 500\ntotal_cache 500\ntotal_rss 300\ntotal_rss_huge 0\n"
                                       "total_shmem 50\ntotal_inactive_file 9\n"}});
    const CgroupMemory memory = read_cgroup_memory(at.cgroup, at.proc);
    CHECK(memory.unreclaimable == 350);
    CHECK(memory.swap_left == 1050);
    CHECK_FALSE(memory.kills_group);
}

TEST_CASE("the sampler counts kills since it was made") {
    const Fixture at({{"proc/self/cgroup", "0::/\n"},
                      {"cgroup/memory.current", "980\n"},
                      {"cgroup/memory.max", "1000\n"},
                      {"cgroup/memory.stat", "inactive_file 0\n"},
                      {"cgroup/memory.events", "oom_kill 2\n"}});
    const Sampler sampler(at.root.path(), at.proc, at.cgroup);
    CHECK(sampler.oom_kills_since_start(sampler.sample_cgroup()) == 0);
    std::ofstream(at.cgroup / "memory.events") << "oom_kill 5\n";
    CHECK(sampler.oom_kills_since_start(sampler.sample_cgroup()) == 3);
}

TEST_CASE("the sampler sums a tree of processes, whatever their names") {
    const Fixture at({{"proc/10/stat", "10 (a) S 1 10 10\n"},
                      {"proc/10/statm", "100 5 1 1 0 1 0\n"},
                      {"proc/11/stat", "11 (evil) S 1 (x) R 10 1 1\n"},
                      {"proc/11/smaps_rollup", "0-1 ---p\nRss:  900 kB\nPss:   40 kB\nPss_Anon: 1 kB\n"},
                      {"proc/12/stat", "12 (c) S 11 1 1\n"},
                      {"proc/12/statm", "100 2 1 1 0 1 0\n"},
                      {"proc/13/stat", "13 (stranger) S 1 1 1\n"},
                      {"proc/13/statm", "100 1000 1 1 0 1 0\n"}});
    const Usage usage = Sampler(at.root.path(), at.proc, at.cgroup).sample(10);
    CHECK(usage.processes == 3);
    CHECK(usage.tree_memory == 7 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + 40 * 1024);
    CHECK(usage.free_bytes > 0);
    CHECK_FALSE(Sampler(at.root.path(), at.proc, at.cgroup).sample(99).tree_memory);
}

TEST_CASE("the sampler sees our own children") {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    const Usage usage = Sampler("/tmp").sample(::getpid());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    CHECK(usage.processes >= 2);
    CHECK(usage.tree_memory.value_or(0) > 100'000);
}

TEST_CASE("subordinate ids are those of the name or the number, and nonsense is skipped") {
    constexpr std::string_view text =
        "root:100000:65536\nbuilder:1:999\nbuilder:1001:64535\n1000:7:1\n\n:5:5\nbuilder:x:1\nbuilder:1:\n"
        "builder:1:0\nbuilder:99999999999:1\nbuilder\nbuilderx:5:5\n";
    const auto ranges = parse_subordinate_ids(text, "builder", 1000);
    CHECK(ranges == std::vector<IdRange>{{0, 1, 999}, {0, 1001, 64535}, {0, 7, 1}});
    CHECK(parse_subordinate_ids(text, "", 4242).empty());
}

TEST_CASE("id maps are read as the kernel writes them") {
    CHECK(parse_id_map("         0     100000      65536\n") == std::vector<IdRange>{{0, 100000, 65536}});
    CHECK(parse_id_map("garbage").empty());
}
