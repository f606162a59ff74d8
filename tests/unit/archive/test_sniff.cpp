#include "archive/sniff.hpp"
#include "packing.hpp"

using namespace slipway::archive;
using namespace slipway::archive::testing;
using namespace std::string_view_literals;

TEST_CASE("archives are told by their bytes, whatever their first file is called") {
    for (const char* name : {"MZ", "BZh91AY&SY", "%PDF", "FROM", "<html", "PK\x03\x04"}) {
        for (const Format format : {Format::pax, Format::gnutar, Format::ustar, Format::v7tar}) {
            CAPTURE(name, static_cast<int>(format));
            CHECK(sniff(pack({{.name = name, .content = "x"}}, format)).kind == Kind::tar);
        }
    }
    CHECK(sniff(pack({{.name = "a", .content = "x"}}, Format::zip)).kind == Kind::zip);
    CHECK(sniff(pack({}, Format::zip)).kind == Kind::zip);
    const std::vector<File> one{{.name = "a", .content = "x"}};
    CHECK(sniff(pack(one, Format::pax, ARCHIVE_FILTER_GZIP)).kind == Kind::gzip);
    CHECK(sniff(pack(one, Format::pax, ARCHIVE_FILTER_BZIP2)).kind == Kind::bzip2);
    CHECK(sniff(pack(one, Format::pax, ARCHIVE_FILTER_XZ)).kind == Kind::xz);
    CHECK(sniff(pack(one, Format::pax, ARCHIVE_FILTER_ZSTD)).kind == Kind::zstd);
}

TEST_CASE("a tar with a wrong checksum is none") {
    std::string bytes = pack({{.name = "a", .content = "x"}});
    bytes[0] = 'b';
    CHECK(sniff(bytes).kind == Kind::other);
}

TEST_CASE("a Dockerfile begins with FROM or ARG") {
    for (const std::string_view text :
         {"FROM scratch"sv, "from\tscratch\n"sv, "# syntax=x\n\n  \nARG A=1\nFROM $A\n"sv,
          "\xef\xbb\xbf"
          "FROM a\r\n"sv,
          "#escape=`\r\nFROM a"sv, "FROM\\\n a\n"sv}) {
        CAPTURE(text);
        CHECK(sniff(text).kind == Kind::dockerfile);
    }
    for (const std::string_view text :
         {"RUN x\n"sv, "FROMAGE\n"sv, "# only a comment\n"sv, "FROM"sv, "ARGH x\n"sv}) {
        CAPTURE(text);
        CHECK(sniff(text).kind == Kind::other);
    }
}

TEST_CASE("what is no source is called by its name") {
    const auto words = [](std::string_view bytes) { return sniff(bytes).words; };
    CHECK(words("") == "empty");
    CHECK(sniff(" \n\t\n").kind == Kind::empty);
    CHECK(words("  <!DocType HTML>") == "an HTML page");
    CHECK(words("<?xml version='1.0'?>") == "an XML document");
    CHECK(words("\n{\"a\":1}") == "a JSON document");
    CHECK(words("7z\xbc\xaf\x27\x1c\x00"sv) == "a 7-Zip archive");
    CHECK(words("Rar!\x1a\x07\x00"sv) == "a RAR archive");
    CHECK(words("version https://git-lfs.github.com/spec/v1\n") == "a Git LFS pointer");
    CHECK(words("\x00\x01\x02"sv) == "neither an archive nor text");
    CHECK(sniff("<html>\n  <b>\x09no</b>").quote == "<html>? <b>?no</b>");
}
