#include "base/file.hpp"
#include "digest/sha256.hpp"

#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>

using namespace slipway;
using namespace slipway::digest;

namespace {
// FIPS 180-4's own examples.
constexpr std::string_view abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr std::string_view nothing =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
} // namespace

TEST_CASE("known texts have their known digests") {
    CHECK(sha256("abc") == abc);
    CHECK(sha256("") == nothing);
    Hasher hasher(Algorithm::sha512);
    hasher.update("abc");
    CHECK(hasher.finish() == "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                             "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST_CASE("pieces hash like the whole") {
    Hasher hasher;
    hasher.update("a");
    hasher.update("");
    hasher.update("bc");
    CHECK(hasher.finish() == abc);
}

TEST_CASE("a file hashes like its content") {
    const auto dir = TemporaryDirectory::create("slipway-test-");
    REQUIRE(dir);
    const std::string content(700'000, 'x');
    REQUIRE(write_file_atomic(dir->path() / "a", content));
    const Fd fd(::open((dir->path() / "a").c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(sha256_of(fd.get()) == sha256(content));
    CHECK_FALSE(sha256_of(-1));
}

TEST_CASE("only exact digests are digests") {
    CHECK(parse_digest(abc)->text() == abc);
    CHECK(is_valid_digest("sha512:" + std::string(128, 'a')));
    const std::string good(abc);
    for (const std::string& bad :
         {std::string(), std::string("sha256:"), good + "0", good.substr(0, good.size() - 1),
          "SHA256" + good.substr(6), "md5:" + std::string(32, '0'), good + "\n",
          "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, '/'),
          "sha512:" + std::string(64, 'a'), "sha256-" + std::string(64, 'a'),
          "sha256:../../../../etc/passwd" + std::string(44, 'a')}) {
        INFO(bad);
        CHECK_FALSE(is_valid_digest(bad));
    }
}
