#include "base/file.hpp"
#include "pod/id_maps.hpp"
#include "pod/probe.hpp"
#include "pod/recipe.hpp"
#include "pod/report.hpp"
#include "pod/trials.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

using namespace slipway;
using namespace slipway::pod;
namespace fs = std::filesystem;

TEST_CASE("a probe ends soon, leaves nothing behind and contradicts itself nowhere") {
    const auto work = TemporaryDirectory::create("test-probe,with:odd ").value();
    const Report report = probe({.work = work.path(), .state = "/nowhere"});
    if (std::getenv("SLIPWAY_TEST_SHOW") != nullptr) {
        std::cout << render_text(report, choose(report));
    }
    CHECK(fs::is_empty(work.path()));
    CHECK(report.took < std::chrono::seconds(5));
    CHECK(report.uid == ::geteuid());
    CHECK(report.work.exists);
    CHECK_FALSE(report.state.exists);
    CHECK_FALSE(report.uid_map.empty());
    CHECK(report.user_namespace.outcome != Trial::Outcome::untried);
    if (report.user_mount_namespace.works()) {
        CHECK(report.user_namespace.works());
    }
    if (report.entry == Entry::identity) {
        CHECK(report.identity_uid_map.works());
        CHECK(report.setgroups.outcome != Trial::Outcome::untried);
        CHECK(report.overlay.outcome != Trial::Outcome::untried);
    }
    if (report.uid != 0) {
        CHECK(report.identity_uid_map.outcome == Trial::Outcome::untried);
    }
    // No child of ours may be left, not even a zombie.
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

TEST_CASE("a work directory that cannot be written still gives a report and a refusal") {
    const Report report = probe({.work = "/proc/nowhere", .state = {}});
    CHECK_FALSE(report.work.writable);
    const auto recipe = choose(report);
    REQUIRE_FALSE(recipe);
    CHECK(recipe.error().klass == ErrorClass::pod);
}

TEST_CASE("maps are those buildah writes") {
    CHECK(map_text(identity_ranges({{0, 100000, 65536}})) == "0 0 65536\n");
    CHECK(newidmap_ranges(1000, {{0, 1, 999}, {0, 1001, 64535}}) ==
          std::vector<IdRange>{{0, 1000, 1}, {1, 1, 999}, {1000, 1001, 64535}});
}

TEST_CASE("programs are found on PATH only where they can be run") {
    CHECK(find_program("sh").ends_with("/sh"));
    CHECK(find_program("no-such-program-anywhere").empty());
    CHECK(find_program("../etc/passwd").empty());
}
