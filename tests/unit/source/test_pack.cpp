// Packs: what git makes is stored and indexed as git itself would; whatever else arrives is an error and
// leaves nothing.
#include "pack_maker.hpp"
#include "scratch.hpp"
#include "source/library.hpp"
#include "source/pack_receiver.hpp"

#include <algorithm>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <format>

using namespace slipway;
using namespace slipway::source;
using namespace slipway::source::test;
using std::string_literals::operator""s;

namespace {

constexpr auto always = [](const PackProgress&) { return true; };

/// The receiver's verdict on the bytes, given in pieces.
PackReceiver::Done receive(const fs::path& directory, std::string_view bytes, std::size_t piece = 65536) {
    REQUIRE(ensure_library());
    PackReceiver receiver(directory, always);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
        if (PackReceiver::Done done = receiver.append(bytes.substr(0, piece)); !done) {
            return done;
        }
    }
    return receiver.finish();
}

std::size_t files_in(const fs::path& directory) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

class Place {
  public:
    Place() : directory_(TemporaryDirectory::create("slipway-pack-").value()) {}
    [[nodiscard]] const fs::path& path() const { return directory_.path(); }
    [[nodiscard]] std::string only(const std::string& suffix) const {
        for (const auto& entry : fs::directory_iterator(path())) {
            if (entry.path().extension() == suffix) {
                return read_file(entry.path(), 1U << 30U).value();
            }
        }
        return {};
    }

  private:
    TemporaryDirectory directory_;
};

void refused(const std::string& pack, std::string_view why) {
    const Place place;
    for (const std::size_t piece : {std::size_t{1}, std::size_t{4096}}) {
        const PackReceiver::Done done = receive(place.path(), pack, piece);
        REQUIRE_FALSE(done);
        CHECK(done.error().klass == GIT_ERROR_INDEXER);
        CHECK_THAT(done.error().text, Catch::Matchers::ContainsSubstring(std::string(why)));
        CHECK(files_in(place.path()) == 0);
    }
}

} // namespace

TEST_CASE("a pack of git's gets the index git gives it, in pieces of any size") {
    const Scratch scratch;
    const fs::path at = scratch.work();
    shell(at, R"sh(for n in $(seq 60); do seq $n $((n * 40)) >numbers; seq 3000 | sed "s/$n/x/" >more;
        git add . && git commit -qm "change $n"; done;
        git tag -a -m note annotated
        for how in --delta-base-offset --no-delta-base-offset; do
            git rev-list --objects --all | git pack-objects -q $how --depth=40 ../made$how >/dev/null
        done)sh");
    for (const std::string how : {"--delta-base-offset", "--no-delta-base-offset"}) {
        std::string pack;
        std::string index;
        for (const auto& entry : fs::directory_iterator(scratch.path())) {
            if (entry.path().filename().string().starts_with("made" + how)) {
                const std::string suffix = entry.path().extension();
                if (suffix == ".pack" || suffix == ".idx") {
                    (suffix == ".pack" ? pack : index) = read_file(entry.path(), 1U << 30U).value();
                }
            }
        }
        REQUIRE(pack.size() > 1000);
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}, pack.size()}) {
            const Place place;
            const PackReceiver::Done done = receive(place.path(), pack, piece);
            INFO(how << ", pieces of " << piece << ": " << (done ? "" : done.error().text));
            REQUIRE(done);
            CHECK(files_in(place.path()) == 2);
            CHECK(place.only(".pack") == pack);
            CHECK(place.only(".idx") == index);
        }
    }
}

TEST_CASE("a pack cut short anywhere is an error and leaves nothing") {
    PackMaker maker;
    const std::uint64_t base = maker.offset();
    maker.object(PackMaker::blob, "one").object(PackMaker::blob, "");
    const std::string pack =
        maker.offset_delta(maker.offset() - base, PackMaker::append("one", "two")).finish();
    const Place place;
    REQUIRE(receive(place.path(), pack));
    CHECK(files_in(place.path()) == 2);
    for (std::size_t size = 0; size < pack.size(); ++size) {
        const Place empty;
        const PackReceiver::Done done = receive(empty.path(), pack.substr(0, size));
        REQUIRE_FALSE(done);
        CHECK(done.error().klass == GIT_ERROR_INDEXER);
        CHECK(files_in(empty.path()) == 0);
    }
    refused(pack + "x", "something follows its end");
}

TEST_CASE("every way a pack can be wrong has its own words") {
    const std::string one = PackMaker::append("one", "two");
    refused("PUCK" + PackMaker().finish().substr(4), "does not begin like one");
    refused("PACK\0\0\0\4\0\0\0\0"s + PackMaker::sha1("PACK\0\0\0\4\0\0\0\0"s), "does not begin like one");
    refused(PackMaker().object(0, "x").finish(), "no object can begin so");
    refused(PackMaker().object(5, "x").finish(), "no object can begin so");
    refused(PackMaker().raw(std::string(12, '\xff')).finish(), "no object can begin so");
    refused(PackMaker().object(PackMaker::blob, "longer", 3).finish(), "not of the size it says");
    refused(PackMaker().object(PackMaker::blob, "shorter", 30).finish(), "not of the size it says");
    refused(PackMaker().object(PackMaker::blob, "short", 1ULL << 60U).finish(), "not of the size it says");
    refused(PackMaker().object(PackMaker::blob, std::string(1 << 20, 'b'), 10).finish(),
            "not of the size it says");
    refused(PackMaker().raw(PackMaker::header(PackMaker::blob, 4) + "not deflated").finish(),
            "cannot be inflated");
    refused(PackMaker().object(PackMaker::blob, "one").offset_delta(0, one).finish(), "based on no object");
    refused(PackMaker().object(PackMaker::blob, "one").offset_delta(5, one).finish(), "based on no object");
    refused(PackMaker().object(PackMaker::blob, "one").offset_delta(5000, one).finish(),
            "based on no object");
    refused(PackMaker().id_delta(PackMaker::blob_id("elsewhere"), one).finish(), "have no base");
    refused(PackMaker().object(PackMaker::blob, "x").object(PackMaker::blob, "x").finish(), "twice");
    // Two deltas that are each other's base.
    const std::string a = "a";
    const std::string b = "ab";
    refused(PackMaker()
                .id_delta(PackMaker::blob_id(b), PackMaker::append(b, "c"))
                .id_delta(PackMaker::blob_id(a), PackMaker::append(a, "b"))
                .finish(),
            "have no base");
    std::string other = PackMaker().object(PackMaker::blob, "one").finish();
    other.back() = static_cast<char>(other.back() ^ 1);
    refused(other, "checksum");
    refused(PackMaker().object(PackMaker::blob, "one").finish(1), "");
    refused(PackMaker().object(PackMaker::blob, "one").finish(0xfffffff0U), "");
}

TEST_CASE("a delta that leaves its base, or makes another size, is refused") {
    const auto with = [](const std::string& delta) {
        PackMaker maker;
        const std::uint64_t base = maker.offset();
        maker.object(PackMaker::blob, "0123456789");
        return maker.offset_delta(maker.offset() - base, delta).finish();
    };
    refused(with("\x09\x05\x90\x05"s), "not for its base");
    refused(with(""), "not for its base");
    refused(with("\x8a"s), "not for its base");
    refused(with("\x0a\x05\x91\x08\x05"s), "leaves its base");
    refused(with("\x0a\x05\x91\x0b\x01"s), "leaves its base");
    refused(with("\x0a\x05\x9f\xff\xff"s), "leaves its base");
    refused(with("\x0a\x03\x90\x05"s), "more than it says");
    refused(with("\x0a\x06\x90\x05"s), "less than it says");
    refused(with("\x0a\x05\x05"
                 "abc"s),
            "ends early");
    refused(with("\x0a\x01\x00"s), "ends early");
    refused(with("\x0a\xff\xff\xff\xff\x7f\x90\x05"s), "makes an object of");
}

TEST_CASE("a chain of deltas longer than git makes, and a base wanted again after it was let go") {
    PackMaker maker;
    std::string content(3 << 20, 'x'); // the chain is far more than what is kept
    std::uint64_t base = maker.offset();
    const std::uint64_t first = base;
    maker.object(PackMaker::blob, content);
    std::string last = content;
    std::vector<std::pair<std::uint64_t, std::string>> links{{first, content}};
    for (int n = 0; n < 40; ++n) {
        const std::string added = std::format("link {}\n", n);
        const std::uint64_t at = maker.offset();
        maker.offset_delta(at - base, PackMaker::append(last, added));
        last += added;
        base = at;
        links.emplace_back(at, last);
    }
    // A second delta on every link of the chain.
    for (const auto& [at, text] : links) {
        maker.offset_delta(maker.offset() - at, PackMaker::append(text, "side"));
    }
    const std::string pack = maker.finish();
    const Place place;
    const PackReceiver::Done done = receive(place.path(), pack);
    INFO((done ? "" : done.error().text));
    REQUIRE(done);
    const std::string index = place.only(".idx");
    CHECK(index.contains(PackMaker::blob_id(last)));
    for (const auto& [at, text] : links) {
        CHECK(index.contains(PackMaker::blob_id(text + "side")));
    }
}

TEST_CASE("an object too large for memory goes through a file") {
    const std::string content(40 << 20, 'z');
    const Place place;
    REQUIRE(receive(place.path(), PackMaker().object(PackMaker::blob, content).finish()));
    CHECK(place.only(".idx").contains(PackMaker::blob_id(content)));
    CHECK(files_in(place.path()) == 2);
}

TEST_CASE("a pack of nothing leaves nothing") {
    const Place place;
    REQUIRE(receive(place.path(), PackMaker().finish()));
    CHECK(files_in(place.path()) == 0);
}

TEST_CASE("who watches may stop a pack") {
    REQUIRE(ensure_library());
    const Place place;
    PackReceiver receiver(place.path(), [](const PackProgress&) { return false; });
    const PackReceiver::Done done = receiver.append(PackMaker().object(PackMaker::blob, "one").finish());
    REQUIRE_FALSE(done);
    CHECK(done.error().rc == GIT_EUSER);
}

TEST_CASE("no room for a pack is told in the system's words") {
    REQUIRE(ensure_library());
    PackReceiver receiver("/nowhere", always);
    const PackReceiver::Done done = receiver.append("PACK");
    REQUIRE_FALSE(done);
    CHECK(done.error().klass == GIT_ERROR_OS);
    CHECK(done.error().text.contains("No such file or directory"));
}
