// Real archives, packed by libarchive, unpacked into real directories.
#include "archive/name.hpp"
#include "packing.hpp"

#include <sys/stat.h>

using namespace slipway;
using namespace slipway::archive;
using namespace slipway::archive::testing;

namespace {

namespace fs = std::filesystem;

const std::vector<File> project{{.name = "Dockerfile", .content = "FROM scratch\n"},
                                {.name = "src/", .mode = 0755, .type = AE_IFDIR},
                                {.name = "src/main.c", .content = std::string(300'000, 'm')},
                                {.name = "run", .content = "#!/bin/sh\n", .mode = 0755}};

struct stat info_of(const fs::path& path) {
    struct stat info{};
    REQUIRE(::lstat(path.c_str(), &info) == 0);
    return info;
}

} // namespace

TEST_CASE("every format and compression gives the same tree") {
    for (const Format format : {Format::pax, Format::gnutar, Format::ustar, Format::v7tar}) {
        for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2,
                                 ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD}) {
            CAPTURE(static_cast<int>(format), filter);
            const Target target;
            const auto done = target.unpack(pack(project, format, filter));
            REQUIRE(done);
            CHECK(done->entries == 4);
            CHECK(done->bytes == 300'023);
            CHECK(target.text("src/main.c") == project[2].content);
            CHECK((info_of(target.directory.path() / "run").st_mode & 07777U) == 0755);
            CHECK(info_of(target.directory.path() / "src").st_mtime == 1'767'225'600);
        }
    }
    const Target target;
    REQUIRE(target.unpack(pack(project, Format::zip)));
    CHECK(target.text("src/main.c") == project[2].content);
}

TEST_CASE("names beyond ASCII keep their bytes in every format") {
    const std::string name = "gr\xc3\xbcn/\xe6\x97\xa5";
    for (const Format format : {Format::pax, Format::gnutar, Format::ustar, Format::zip}) {
        CAPTURE(static_cast<int>(format));
        const Target target;
        REQUIRE(target.unpack(pack({{.name = name, .content = "x"}}, format)));
        CHECK(target.text(name) == "x");
    }
}

TEST_CASE("links are links and hard links share a file") {
    const Target target;
    REQUIRE(target.unpack(pack({{.name = "a", .content = "x"},
                                {.name = "d/h", .link = "a"},
                                {.name = "l", .type = AE_IFLNK, .link = "/etc/passwd"}})));
    CHECK(info_of(target.directory.path() / "a").st_ino == info_of(target.directory.path() / "d/h").st_ino);
    CHECK(fs::read_symlink(target.directory.path() / "l") == "/etc/passwd");
}

TEST_CASE("the last of two entries wins and leaves hard links of the first alone") {
    const Target target;
    REQUIRE(target.unpack(pack({{.name = "a", .content = "first"},
                                {.name = "h", .link = "a"},
                                {.name = "a", .content = "second"}})));
    CHECK(target.text("a") == "second");
    CHECK(target.text("h") == "first");
}

TEST_CASE("a directory replaced by a file and made again is a directory") {
    const Target target;
    REQUIRE(target.unpack(pack({{.name = "d/e/", .type = AE_IFDIR},
                                {.name = "d/e", .content = "file"},
                                {.name = "d/e/", .mode = 0700, .type = AE_IFDIR},
                                {.name = "d/e/x", .content = "x"}})));
    CHECK(target.text("d/e/x") == "x");
    CHECK((info_of(target.directory.path() / "d/e").st_mode & 07777U) == 0700);
}

TEST_CASE("set-group-id of the volume is not handed on") {
    const Target target;
    REQUIRE(::chmod(target.directory.path().c_str(), 02770) == 0);
    REQUIRE(target.unpack(pack({{.name = "a/b/c", .content = "x"}})));
    CHECK((info_of(target.directory.path() / "a").st_mode & 07777U) == 0755);
}

TEST_CASE("limits hold to the byte and to the entry") {
    const std::string bytes = pack({{.name = "a", .content = "12345"}, {.name = "b", .content = "67890"}});
    UnpackOptions options;
    options.limits.bytes = 10;
    options.limits.entries = 2;
    CHECK(Target().unpack(bytes, options));
    options.limits.bytes = 9;
    auto refused = Target().unpack(bytes, options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().hint.contains("--unpacked-limit"));
    options.limits.bytes = 10;
    options.limits.entries = 1;
    refused = Target().unpack(bytes, options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().hint.contains("--entry-limit"));
}

TEST_CASE("a ratio counts only past its threshold, and 0 is none") {
    const std::string bytes =
        pack({{.name = "zeros", .content = std::string(1'000'000, '\0')}}, Format::pax, ARCHIVE_FILTER_GZIP);
    UnpackOptions options;
    CHECK(Target().unpack(bytes, options));
    options.limits.ratio_from = 1000;
    const auto refused = Target().unpack(bytes, options);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().hint.contains("--ratio-limit"));
    options.limits.ratio = 0;
    CHECK(Target().unpack(bytes, options));
}

TEST_CASE("a stop ends unpacking with its own error") {
    StopSource stop;
    stop.request({.kind = StopReason::Kind::deadline});
    const auto stopped = Target().unpack(pack(project), {}, stop.token());
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == code::deadline);
}

TEST_CASE("a damaged archive of any kind is told as such and never crashes") {
    for (const auto& [format, filter] : {std::pair{Format::pax, ARCHIVE_FILTER_NONE},
                                         {Format::pax, ARCHIVE_FILTER_GZIP},
                                         {Format::pax, ARCHIVE_FILTER_BZIP2},
                                         {Format::pax, ARCHIVE_FILTER_XZ},
                                         {Format::pax, ARCHIVE_FILTER_ZSTD},
                                         {Format::zip, ARCHIVE_FILTER_NONE}}) {
        const std::string whole = pack(project, format, filter);
        for (std::size_t cut = 1; cut < 16; ++cut) {
            const auto done = Target().unpack(std::string_view(whole).substr(0, whole.size() * cut / 16));
            CAPTURE(static_cast<int>(format), filter, cut);
            // A plain tar may end after any whole entry.
            if (!done) {
                CHECK(done.error().code == code::cannot_extract_build_pack);
                CHECK_FALSE(done.error().hint.empty());
            } else {
                CHECK(filter == ARCHIVE_FILTER_NONE);
            }
        }
    }
}

TEST_CASE("names are taken apart safely") {
    const auto parts = [](std::string_view raw, Separators separators = Separators::slash, int strip = 0) {
        const auto name = parse_name(raw, separators, strip);
        return name ? name->text() : "refused";
    };
    CHECK(parts("./a//b/./c/") == "a/b/c");
    CHECK(parts("/a") == "a");
    CHECK(parts("./").empty());
    CHECK(parts("a/../b") == "refused");
    CHECK(parts("..a/b..") == "..a/b..");
    CHECK(parts("a\\..\\b") == "a\\..\\b");
    CHECK(parts("a\\..\\b", Separators::slash_and_backslash) == "refused");
    CHECK(parts("a/b/c", Separators::slash, 2) == "c");
    CHECK(parts("a/b", Separators::slash, 2).empty());
    CHECK(parts("a/../../b", Separators::slash, 3) == "refused");
    CHECK(parts(std::string(255, 'x')) == std::string(255, 'x'));
    CHECK(parts(std::string(256, 'x')) == "refused");
    CHECK(parts("") == "refused");
    CHECK(parse_name("//a", Separators::slash, 0)->was_absolute);
}
