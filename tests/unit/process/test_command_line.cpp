#include "base/file.hpp"
#include "process/process.hpp"
#include "process/tree.hpp"
#include "support.hpp"

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <sys/stat.h>

using namespace slipway;
using namespace slipway::process;

TEST_CASE("A command line is shown as one would type it") {
    CHECK(quote({"buildah", "bud", "--tag=a/b:1", "-f", "Docker file", "."}) ==
          "buildah bud --tag=a/b:1 -f 'Docker file' .");
    CHECK(quote({"", "it's", "$HOME", "*", "~"}) == "'' 'it'\\''s' '$HOME' '*' '~'");
    CHECK(quote({}).empty());
    CHECK(quote({"gr\xC3\xBC\xC3\x9F"}) == "'gr\xC3\xBC\xC3\x9F'");
}

TEST_CASE("What could paint over a terminal is escaped when a command line is shown") {
    CHECK(quote({"a\nb"}) == "$'a\\nb'");
    CHECK(quote({"\x1b[2J'\\"}) == "$'\\x1b[2J\\'\\\\'");
    CHECK(quote({"\xFF"}) == "$'\\xff'");
    CHECK(quote({"\xC2\x9B"}) == "$'\\xc2\\x9b'");
    CHECK(quote({"\xE2\x80\xAE"}) == "$'\\xe2\\x80\\xae'");
}

TEST_CASE("A shell reads a shown command line back as it was") {
    const std::vector<std::string> odd{"printf",
                                       "%s|",
                                       "",
                                       "a b",
                                       "it's",
                                       "\\n",
                                       "x\ty\nz",
                                       "\x1b['\\",
                                       "$(id)",
                                       "`id`",
                                       "\xFF\xC3",
                                       "\xE2\x80\xAE"
                                       "1"};
    const auto shown = capture(test::command({"bash", "-c", quote(odd)}), {}, {});
    REQUIRE(shown);
    std::string expected;
    for (std::size_t i = 2; i < odd.size(); ++i) {
        expected += odd[i] + "|";
    }
    CHECK(shown->out == expected);
}

TEST_CASE("Programs are found along PATH") {
    auto place = TemporaryDirectory::create("path");
    REQUIRE(place);
    const auto& root = place->path();
    REQUIRE(make_directories(root / "a/tool2"));
    REQUIRE(make_directories(root / "b"));
    REQUIRE(write_file_atomic(root / "a/tool", "#!/bin/sh\n", 0644));
    REQUIRE(write_file_atomic(root / "b/tool", "#!/bin/sh\n", 0755));
    REQUIRE(write_file_atomic(root / "b/tool2", "#!/bin/sh\n", 0755));
    const std::string both = (root / "a").string() + ":" + (root / "b").string();
    CHECK(find_program("tool", both).value() == root / "b/tool");
    CHECK(find_program("tool2", both).value() == root / "b/tool2"); // a directory of that name does not count
    CHECK(find_program("./tool", both).value() == "./tool");

    const auto forbidden = find_program("tool", (root / "a").string());
    REQUIRE_FALSE(forbidden);
    CHECK(forbidden.error().message.contains("may not be executed"));
    const auto missing = find_program("tool3", both + "::.");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.contains("was not found"));
    CHECK(missing.error().klass == ErrorClass::pod);
    CHECK(missing.error().code == code::build_run_error);
}

TEST_CASE("Endings are told in words") {
    CHECK(to_string(Exit{.code = 3}) == "ended with status 3");
    CHECK(to_string(Exit{.kind = Exit::Kind::signalled, .signal = SIGKILL}) == "was killed by SIGKILL");
    CHECK(to_string(Exit{.kind = Exit::Kind::signalled, .signal = SIGSEGV, .core = true}) ==
          "was killed by SIGSEGV (core written)");
    CHECK(to_string(Exit{.kind = Exit::Kind::signalled, .signal = 40}) == "was killed by signal 40");
}

TEST_CASE("The kernel's line about a process is read whatever the process calls itself") {
    const std::string tail = " 77 55 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
    const auto plain = parse_process_stat("42 (sh) S" + tail);
    REQUIRE(plain);
    CHECK(plain->pid == 42);
    CHECK(plain->parent == 77);
    CHECK(plain->group == 55);
    CHECK(plain->start == 123456);
    CHECK_FALSE(plain->dead);
    const auto nasty = parse_process_stat("42 (a) Z 1 1 (\n) S" + tail);
    REQUIRE(nasty);
    CHECK(nasty->parent == 77);
    CHECK(parse_process_stat("42 (sh) Z" + tail)->dead);
    // The first thread has ended, another goes on.
    CHECK_FALSE(
        parse_process_stat("42 (sh) Z 77 55 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 2 0 123456 0 0")->dead);
    for (const char* bad :
         {"", "42", "42 (sh", "42 (sh)", "42 (sh) S", "42 (sh) S 77 55 1", ") (", "x (sh) S 1 1"}) {
        CHECK_FALSE(parse_process_stat(bad));
    }
}
