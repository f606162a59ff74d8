#include "base/file.hpp"
#include "pod/home.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace slipway;
using namespace slipway::pod;
namespace fs = std::filesystem;

TEST_CASE("a home has every directory buildah writes to, for us alone") {
    const auto work = TemporaryDirectory::create("test-home.").value();
    auto home = Home::prepare(work.path());
    REQUIRE(home);
    for (const fs::path& path :
         {home->home(), home->runtime(), home->tmp(), home->graph_root(), home->run_root()}) {
        struct stat entry{};
        INFO(path);
        REQUIRE(::stat(path.c_str(), &entry) == 0);
        CHECK((entry.st_mode & 07777) == 0700);
        CHECK(path.native().starts_with(work.path().native()));
    }
    CHECK(::access((home->path() / "helpers/netavark").c_str(), X_OK) == 0);
    const auto environment = home->environment();
    CHECK(environment.size() == 7);
    const fs::path path = home->path();
    CHECK(home->remove());
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a volume's setgid group does not reach into the home") {
    const auto work = TemporaryDirectory::create("test-home.").value();
    // Another group needs root; without it the bit alone is tried.
    static_cast<void>(::chown(work.path().c_str(), static_cast<uid_t>(-1), 4321) == 0);
    REQUIRE(::chmod(work.path().c_str(), 02775) == 0);
    const Home home = Home::prepare(work.path()).value();
    for (const fs::path& path : {home.path(), home.graph_root(), home.tmp()}) {
        struct stat entry{};
        REQUIRE(::stat(path.c_str(), &entry) == 0);
        CHECK((entry.st_mode & 07777) == 0700);
        CHECK(entry.st_gid == ::getegid());
    }
}

TEST_CASE("a home goes with its object") {
    const auto work = TemporaryDirectory::create("test-home.").value();
    fs::path path;
    {
        Home home = Home::prepare(work.path()).value();
        path = home.path();
        const Home moved = std::move(home);
        CHECK(moved.path() == path);
        CHECK(fs::exists(path));
    }
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("leftovers go, what is in use and what is not ours stays") {
    const auto work = TemporaryDirectory::create("test-home.").value();
    const Home used = Home::prepare(work.path()).value();
    const fs::path dead = work.path() / "slipway-build.dead00";
    fs::create_directories(dead / "graph/deep");
    std::ofstream(dead / "marker") << "";
    std::ofstream(dead / "graph/deep/file") << std::string(100'000, 'x');
    const fs::path young = work.path() / "slipway-build.young0";
    fs::create_directory(young);
    const fs::path other = work.path() / "somebody-elses";
    fs::create_directory(other);
    const fs::path outside = work.path() / "precious";
    std::ofstream(outside) << "keep";
    fs::create_symlink(work.path(), work.path() / "slipway-build.link00");
    fs::create_symlink(outside, dead / "graph/link");

    const Home home = Home::prepare(work.path()).value();
    CHECK_FALSE(fs::exists(dead));
    CHECK(fs::exists(used.path()));
    CHECK(fs::exists(young));
    CHECK(fs::exists(other));
    CHECK(fs::exists(outside));
    CHECK(home.leftovers().empty());
}

TEST_CASE("a work directory that cannot be made is the pod's fault") {
    const auto home = Home::prepare("/proc/nowhere");
    REQUIRE_FALSE(home);
    CHECK(home.error().klass == ErrorClass::pod);
    CHECK(home.error().code == code::pod_forbids);
    CHECK(Home::prepare("relative").error().klass == ErrorClass::usage);
}
