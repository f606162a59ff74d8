#include "pod/prerequisite.hpp"
#include "pod/recipe.hpp"
#include "pod/report.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

using namespace slipway;
using namespace slipway::pod;

namespace {

const Trial works{Trial::Outcome::works, 0, {}};
const Trial refused{Trial::Outcome::refused, EPERM, "call"};

Report recipe_a() {
    Report report;
    report.uid_map = report.gid_map = {{0, 0, 4294967295ULL}};
    report.capabilities.effective = (1ULL << 6U) | (1ULL << 7U) | (1ULL << 18U) | (1ULL << 31U);
    report.entry = Entry::identity;
    report.user_namespace = report.user_mount_namespace = report.identity_uid_map = report.identity_gid_map =
        works;
    report.setgroups = report.chroot = report.mount_private = report.tmpfs = works;
    report.overlay = report.overlay_whiteout = report.change_owner = works;
    report.mount_namespace = refused;
    report.work = {"/work", "ext4", true, true, 50ULL << 30U, 100ULL << 30U, 1'000'000, 2'000'000};
    return report;
}

} // namespace

TEST_CASE("each kind of pod gets its recipe") {
    Report report = recipe_a();
    auto recipe = choose(report);
    REQUIRE(recipe);
    CHECK(recipe->name == "A");
    CHECK(recipe->isolation == "chroot");
    CHECK(recipe->driver == "overlay");
    CHECK(recipe->layers);
    CHECK(recipe->warnings.empty());
    CHECK(recipe->drop_capabilities.empty());

    report.uid_map = {{0, 100000, 65536}};
    CHECK(choose(report)->name == "A-userns");

    report.entry = Entry::own;
    recipe = choose(report);
    CHECK(recipe->name == "G");
    CHECK(recipe->warnings.empty());
    CHECK(recipe->drop_capabilities.size() == 7);
    CHECK(recipe->ulimits.empty());

    report.uid_map = {{0, 0, 4294967295ULL}};
    report.open_files_limit = 1000;
    report.processes_limit = ~0ULL;
    recipe = choose(report);
    REQUIRE(recipe->warnings.size() == 2);
    CHECK(recipe->warnings.back().code == "nodevices");
    report.capabilities.effective |= 1ULL << 27U;
    recipe = choose(report);
    REQUIRE(recipe->warnings.size() == 1);
    CHECK(recipe->warnings.front().code == "privilegedpod");
    CHECK(recipe->ulimits == std::vector<std::string>{"nofile=1000:1000"});

    report = recipe_a();
    report.uid = 1000;
    report.user = "builder";
    report.entry = Entry::newidmap;
    CHECK(choose(report)->name == "B");
}

TEST_CASE("a pod with one id alone gets recipe C, and is told what that loses") {
    Report report = recipe_a();
    report.uid = 1000650000;
    report.entry = Entry::single;
    report.single_map = report.seccomp_filter = works;
    report.setgroups = report.change_owner = refused; // as must be: the filter answers instead of the kernel
    report.read_only_root = true;
    const auto recipe = choose(report);
    REQUIRE(recipe);
    CHECK(recipe->name == "C");
    REQUIRE(recipe->warnings.size() == 1);
    CHECK(recipe->warnings.front().code == "ownerslost");
    report.seccomp_filter = refused;
    CHECK(choose(report).error().code == code::pod_forbids);
    CHECK(missing(report).front()->id == "seccomp-filter");
    report.seccomp_filter = works;
    report.chroot = refused;
    CHECK(missing(report).front()->id == "sys-chroot");
}

TEST_CASE("recipe C can be wished for where a better one is possible") {
    Report report = recipe_a();
    CHECK(choose(report)->name == "A");
    report.single_map = report.seccomp_filter = works;
    CHECK(choose(report, "C")->name == "C");
    report.single_map = refused;
    CHECK(choose(report, "C").error().code == code::pod_forbids);
}

TEST_CASE("each recipe names what it misses here") {
    Report report = recipe_a();
    const auto ids = [&](std::string_view recipe) {
        std::string text;
        for (const Prerequisite* entry : missing_for(report, recipe)) {
            text += std::string(entry->id) + " ";
        }
        return text;
    };
    report.single_map = refused;
    CHECK(ids("A").empty());
    CHECK(ids("A-userns") == "pod-user-namespace ");
    CHECK(ids("G") == "sys-admin ");
    CHECK(ids("B") == "ordinary-user ");
    CHECK(ids("C") == "single-map ");
    report.uid = 1000650000;
    report.single_map = works;
    CHECK(ids("A") == "root-user ");
    CHECK(ids("B") == "subordinate-ids ");
    CHECK(ids("C").empty());
    report.user_namespace = refused;
    CHECK(ids("C") == "unshare ");
}

TEST_CASE("storage falls back from overlay to fuse to vfs, and says so") {
    Report report = recipe_a();
    report.overlay_whiteout = refused;
    CHECK(choose(report)->storage == "vfs");
    CHECK_FALSE(choose(report)->layers);
    CHECK(choose(report)->warnings.front().code == "slowstorage");
    report.fuse_device = works;
    CHECK(choose(report)->storage == "vfs");
    report.fuse_overlayfs = "/usr/bin/fuse-overlayfs";
    const auto recipe = choose(report);
    CHECK(recipe->storage == "fuse-overlayfs");
    CHECK(recipe->driver == "overlay");
    CHECK(recipe->storage_options ==
          std::vector<std::string>{"overlay.mount_program=/usr/bin/fuse-overlayfs"});
    CHECK(choose(report, "auto", "overlay").error().code == code::pod_forbids);
    CHECK(choose(report, "auto", "vfs")->storage == "vfs");
    CHECK(choose(report, "", "")->storage == "fuse-overlayfs");
}

TEST_CASE("what cannot build is refused with the prerequisite and its YAML") {
    struct Case {
        const char* id;
        void (*spoil)(Report&);
    };
    const Case cases[] = {
        {"writable-work", [](Report& r) { r.work.writable = false; }},
        {"unshare",
         [](Report& r) {
             r.entry = Entry::none;
             r.user_namespace = refused;
         }},
        {"namespace-quota",
         [](Report& r) {
             r.entry = Entry::none;
             r.user_namespace = {Trial::Outcome::refused, ENOSPC, "x"};
         }},
        {"setfcap",
         [](Report& r) {
             r.entry = Entry::none;
             r.identity_uid_map = refused;
         }},
        {"setgid",
         [](Report& r) {
             r.entry = Entry::none;
             r.identity_gid_map = refused;
         }},
        {"subordinate-ids",
         [](Report& r) {
             r.entry = Entry::none;
             r.uid = 1000;
         }},
        {"newuidmap-program",
         [](Report& r) {
             r.entry = Entry::none;
             r.uid = 1000;
             r.subordinate_uids = r.subordinate_gids = {{0, 1, 9}};
         }},
        {"newuidmap",
         [](Report& r) {
             r.entry = Entry::none;
             r.uid = 1000;
             r.subordinate_uids = r.subordinate_gids = {{0, 1, 9}};
             r.newgidmap = refused;
         }},
        {"mount", [](Report& r) { r.mount_private = refused; }},
        {"sys-chroot", [](Report& r) { r.chroot = refused; }},
        {"setgroups", [](Report& r) { r.setgroups = refused; }},
    };
    for (const Case& row : cases) {
        INFO(row.id);
        Report report = recipe_a();
        row.spoil(report);
        const auto list = missing(report);
        REQUIRE(list.size() == 1);
        CHECK(list.front()->id == row.id);
        const auto recipe = choose(report);
        REQUIRE_FALSE(recipe);
        CHECK(recipe.error().klass == ErrorClass::pod);
        CHECK(recipe.error().code == code::pod_forbids);
        CHECK(recipe.error().hint == list.front()->yaml);
        CHECK_FALSE(render_text(report, recipe).empty());
        const auto json = nlohmann::json::parse(render_json(report, recipe));
        CHECK(json.at("missing").at(0).at("id") == row.id);
        CHECK(json.at("can_build") == false);
    }
}

TEST_CASE("what limits a build without stopping it is listed apart") {
    Report report = recipe_a();
    report.fuse_device = works;
    report.fuse_overlayfs = "/usr/bin/fuse-overlayfs";
    CHECK(limits(report).empty());
    report.overlay_whiteout = refused;
    report.proc = refused;
    report.fuse_device = refused;
    CHECK(missing(report).empty());
    const auto json = nlohmann::json::parse(render_json(report, choose(report)));
    CHECK(json.at("can_build") == true);
    REQUIRE(json.at("limits").size() == 3);
    CHECK(json.at("limits").at(0).at("id") == "overlay");
    CHECK(json.at("limits").at(1).at("id") == "fuse");
    CHECK(json.at("limits").at(2).at("id") == "proc");
}

TEST_CASE("OCI isolation is refused for what its runtime lacks, and only where it is asked for") {
    Report report = recipe_a();
    report.proc = works;
    report.keyring = works;
    report.hostname = works;
    report.cgroup = works;
    report.oci_runtime = "/usr/bin/crun";
    REQUIRE(choose(report, "auto", "auto", "oci"));
    CHECK(choose(report, "auto", "auto", "oci")->runtime == "/usr/bin/crun");
    const auto lacks = [](Report lacking, Trial Report::* what, std::string_view id) {
        lacking.*what = refused;
        const Result<Recipe> recipe = choose(lacking, "auto", "auto", "oci");
        REQUIRE_FALSE(recipe);
        CHECK(recipe.error().code == code::pod_forbids);
        CHECK(recipe.error().hint == prerequisite(id).yaml);
        const auto named = limits(lacking);
        CHECK(std::ranges::find(named, &prerequisite(id)) != named.end());
        CHECK(choose(lacking)->isolation == "chroot");
    };
    lacks(report, &Report::proc, "proc");
    lacks(report, &Report::keyring, "keyring");
    lacks(report, &Report::hostname, "hostname");
    lacks(report, &Report::cgroup, "cgroup");
}

TEST_CASE("wishes that do not exist or do not fit are usage errors") {
    CHECK(choose(recipe_a(), "Z").error().klass == ErrorClass::usage);
    CHECK(choose(recipe_a(), "auto", "zfs").error().klass == ErrorClass::usage);
    CHECK(choose(recipe_a(), "B").error().klass == ErrorClass::usage);
    CHECK(choose(recipe_a(), "A"));
}

TEST_CASE("the table is complete: ids are unique, YAML is lines, texts are found again") {
    std::set<std::string_view> ids;
    for (const Prerequisite& entry : prerequisites()) {
        INFO(entry.id);
        CHECK(ids.insert(entry.id).second);
        CHECK(entry.yaml.ends_with('\n'));
        CHECK_FALSE(entry.sentence.ends_with('.'));
        // What is asked of the pod rather than of buildah has no text of buildah's.
        for (const std::string_view text : entry.texts) {
            CHECK(prerequisite_for_text("before " + std::string(text) + " after") == &entry);
        }
    }
    CHECK(prerequisite_for_text("all is well") == nullptr);
}

TEST_CASE("the JSON report says everything and survives hostile bytes") {
    Report report = recipe_a();
    report.user = "\xff\"\n";
    const auto json = nlohmann::json::parse(render_json(report, choose(report)));
    CHECK(json.at("doctor") == 1);
    CHECK(json.at("recipe").at("name") == "A");
    CHECK(json.at("trials").at("mount_namespace").at("errno") == EPERM);
    CHECK(json.at("trials").size() == 24);
}
