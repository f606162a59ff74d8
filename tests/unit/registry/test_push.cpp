#include "fake_registry.hpp"
#include "image.hpp"
#include "registry/push.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fcntl.h>
#include <sys/stat.h>

using namespace slipway;
using namespace slipway::registry;
using namespace slipway::registry::test;
namespace fs = std::filesystem;

namespace {

struct Pushing {
    TemporaryDirectory directory = *TemporaryDirectory::create("slipway-test-");
    fs::path root = directory.path() / "image";
    FakeRegistry registry;
    Options opts = options();
    Image image;

    Result<PushedImage> push(std::vector<std::string> tags = {"v1"}, const std::string& digest = {},
                             std::vector<std::string> mount_from = {}) {
        const auto fd = open_directory(root);
        if (!fd) {
            return fail(fd.error());
        }
        PushRequest request;
        request.layout = fd->get();
        request.expected_digest = digest.empty() ? image.digest : digest;
        request.destination = *parse_reference(registry.host() + "/ns/app");
        request.tags = std::move(tags);
        request.mount_from = std::move(mount_from);
        return push_layout(opts, request);
    }
    [[nodiscard]] fs::path blob(const std::string& bytes) const {
        return root / "blobs/sha256" / digest::sha256(bytes).substr(7);
    }
};

} // namespace

TEST_CASE("an OCI layout arrives whole, by digest and by every tag, and only once") {
    Pushing it;
    write_oci(it.root, it.image);
    std::vector<std::string> finished;
    const auto pushed = it.push({"v1", "latest"});
    REQUIRE(pushed);
    CHECK(pushed->digest == it.image.digest);
    CHECK(pushed->blobs_uploaded == 3);
    CHECK(pushed->bytes_uploaded == pushed->bytes_total);
    CHECK(pushed->tag_error() == nullptr);
    CHECK(it.registry.manifests["v1"].second == it.image.manifest);
    CHECK(it.registry.manifests["latest"].first == manifest_type);
    CHECK(it.registry.manifests.contains(it.image.digest));
    CHECK(it.registry.blobs[digest::sha256(it.image.layers[1])] == it.image.layers[1]);

    const auto again = it.push({"v2"});
    REQUIRE(again);
    CHECK(again->blobs_existing == 3);
    CHECK(again->bytes_uploaded == 0);
}

TEST_CASE("containers' dir form arrives as well") {
    Pushing it;
    write_dir(it.root, it.image);
    REQUIRE(it.push());
    CHECK(it.registry.manifests["v1"].second == it.image.manifest);
}

TEST_CASE("an index takes its manifests along, children first") {
    Pushing it;
    const Image other({"arm layer"}, "arm64");
    write_oci(it.root, it.image);
    write_oci(it.root, other);
    const std::string index = "{\"schemaVersion\":2,\"mediaType\":\"" + std::string(index_type) +
                              "\",\"manifests\":[" + describe(manifest_type, it.image.manifest) + "," +
                              describe(manifest_type, other.manifest) + "]}";
    write_blob(it.root, index);
    (void)write_file_atomic(it.root / "index.json",
                            "{\"schemaVersion\":2,\"manifests\":[" + describe(index_type, index) + "]}");
    const auto pushed = it.push({"v1"}, digest::sha256(index));
    REQUIRE(pushed);
    CHECK(pushed->media_type == index_type);
    CHECK(it.registry.manifests["v1"].second == index);
    CHECK(it.registry.manifests.contains(other.digest));
    CHECK(it.registry.blobs.size() == 5);
}

TEST_CASE("blobs of another repository are mounted instead of sent") {
    Pushing it;
    write_oci(it.root, it.image);
    it.registry.blobs[digest::sha256(it.image.layers[1]) + "@ns/base"] = it.image.layers[1];
    const auto pushed = it.push({"v1"}, {}, {"ns/base"});
    REQUIRE(pushed);
    CHECK(pushed->blobs_mounted == 1);
    CHECK(pushed->blobs_uploaded == 2);
}

TEST_CASE("a layout that was tampered with is not pushed") {
    Pushing it;
    write_oci(it.root, it.image);
    const fs::path layer = it.blob(it.image.layers[0]);
    SECTION("a blob with other bytes of the same length") {
        REQUIRE(write_file_atomic(layer, "layer TWO"));
    }
    SECTION("a blob of another length") {
        REQUIRE(write_file_atomic(layer, "layer one and more"));
    }
    SECTION("a link in a blob's place, even to the right bytes") {
        fs::rename(layer, it.root / "real");
        fs::create_symlink(it.root / "real", layer);
    }
    SECTION("a link that stays inside") {
        fs::rename(layer, it.root / "blobs/sha256/real");
        fs::create_symlink("real", layer);
    }
    SECTION("a linked directory") {
        fs::rename(it.root / "blobs/sha256", it.root / "elsewhere");
        fs::create_directory_symlink("../elsewhere", it.root / "blobs/sha256");
    }
    SECTION("a FIFO in a blob's place") {
        fs::remove(layer);
        REQUIRE(::mkfifo(layer.c_str(), 0600) == 0);
    }
    SECTION("a directory in a blob's place") {
        fs::remove(layer);
        fs::create_directory(layer);
    }
    SECTION("a missing blob") {
        fs::remove(layer);
    }
    SECTION("another manifest under the digest") {
        REQUIRE(write_file_atomic(it.blob(it.image.manifest), Image({"evil"}).manifest));
    }
    SECTION("an index that names another image only") {
        REQUIRE(
            write_file_atomic(it.root / "index.json",
                              "{\"manifests\":[" + describe(manifest_type, Image({"evil"}).manifest) + "]}"));
    }
    SECTION("an index that is nonsense") {
        REQUIRE(write_file_atomic(it.root / "index.json", "[[[["));
    }
    SECTION("no layout at all") {
        fs::remove(it.root / "oci-layout");
    }
    SECTION("an endless manifest") {
        REQUIRE(write_file_atomic(it.blob(it.image.manifest), std::string(5'000'000, ' ')));
    }
    const auto pushed = it.push();
    REQUIRE_FALSE(pushed);
    CHECK(pushed.error().klass == ErrorClass::build);
    CHECK(pushed.error().code == code::push_issue);
    CHECK_FALSE(pushed.error().transient);
    CHECK(it.registry.manifests.empty());
    CHECK_FALSE(it.registry.blobs.contains(digest::sha256("layer TWO")));
}

TEST_CASE("a registry that stumbles is asked again, as long as it asks for") {
    Pushing it;
    write_oci(it.root, it.image);
    int left = 2;
    SECTION("503 on the data") {
        it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
            out.status = 503;
            return in.method == "PATCH" && left-- > 0;
        };
    }
    SECTION("429 with Retry-After") {
        it.opts.retry.longest_delay = Milliseconds(1100);
        it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
            out.status = 429;
            out.set_header("Retry-After", "1");
            return in.method == "POST" && left-- == 2;
        };
    }
    SECTION("500 on the manifest") {
        it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
            out.status = 500;
            return in.method == "PUT" && in.path.contains("manifests") && left-- > 0;
        };
    }
    SECTION("an upload it forgot") {
        it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
            out.status = 404;
            return in.method == "PATCH" && left-- > 0;
        };
    }
    std::vector<std::string> retries;
    it.opts.on_retry = [&](const Error& error, int, int, Milliseconds) { retries.push_back(error.message); };
    const auto pushed = it.push();
    INFO((pushed ? "" : pushed.error().message + " / " + pushed.error().cause));
    REQUIRE(pushed);
    CHECK_FALSE(retries.empty());
    CHECK(it.registry.blobs.size() == 3);
}

TEST_CASE("each kind of refusal has its class") {
    Pushing it;
    write_oci(it.root, it.image);
    int status = 0;
    std::string method = "POST";
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.status = status;
        out.set_content(R"({"errors":[{"code":"X","message":"because"}]})", "application/json");
        return in.method == method && (method != "PUT" || in.path.ends_with("/v1"));
    };
    const auto error_of = [&](int now) {
        status = now;
        const auto pushed = it.push();
        REQUIRE_FALSE(pushed);
        CHECK(pushed.error().cause.contains("because"));
        return std::string(pushed.error().code) + " " + std::string(to_string(pushed.error().klass));
    };
    CHECK(error_of(403) == "pushissue auth");
    CHECK(error_of(401) == "pushissue auth");
    CHECK(error_of(503) == "pushissue registry");
    CHECK(error_of(429) == "pushissue registry");
    CHECK(error_of(404) == "pushissue registry");
    CHECK(it.registry.manifests.empty());

    method = "PUT";
    status = 403;
    const auto pushed = it.push({"v1", "v2"});
    REQUIRE(pushed);
    REQUIRE(pushed->tag_error() != nullptr);
    CHECK(pushed->tag_error()->code == code::tag_issue);
    CHECK(pushed->tag_error()->klass == ErrorClass::auth);
    CHECK(pushed->tags.at(1).pushed);
}

TEST_CASE("a proxy that limits requests gets pieces") {
    Pushing it;
    it.image = Image({std::string(20'000'000, 'p')});
    write_oci(it.root, it.image);
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.status = 413;
        return in.method == "PATCH" && in.body.size() > 10'000'000;
    };
    const auto pushed = it.push();
    INFO((pushed ? "" : pushed.error().message + " / " + pushed.error().cause));
    REQUIRE(pushed);
    CHECK(it.registry.blobs[digest::sha256(it.image.layers[0])] == it.image.layers[0]);
}

TEST_CASE("a registry that stores something else than was sent is caught") {
    Pushing it;
    write_oci(it.root, it.image);
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        out.status = 201;
        out.set_header("Docker-Content-Digest", digest::sha256("else"));
        return in.method == "PUT" && in.path.contains("manifests");
    };
    const auto pushed = it.push();
    REQUIRE_FALSE(pushed);
    CHECK(pushed.error().message.contains("another digest"));
    CHECK(pushed.error().klass == ErrorClass::registry);
}

TEST_CASE("credentials follow an upload only within the registry's own origin") {
    Pushing it;
    write_oci(it.root, it.image);
    it.opts.auth = *AuthFile::parse(
        R"({"auths":{")" + it.registry.host() + R"(":{"username":"u","password":"p"}}})", "t");
    FakeRegistry elsewhere;
    std::string leaked = "never asked";
    elsewhere.fault = [&](const httplib::Request& in, httplib::Response& out) {
        leaked = in.get_header_value("Authorization");
        out.status = in.method == "PUT" ? 201 : 202;
        return true;
    };
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        if (in.path == "/v2/" || in.get_header_value("Authorization") != "Basic dTpw") {
            out.status = 401;
            out.set_header("WWW-Authenticate", "Basic realm=\"r\"");
            return true;
        }
        out.status = 202;
        out.set_header("Location", "http://" + elsewhere.host() + "/upload/1");
        return in.method == "POST";
    };
    const auto pushed = it.push();
    REQUIRE(pushed);
    CHECK(leaked.empty());
    CHECK(pushed->username == "u");
}

TEST_CASE("a tag nobody may use is refused before anything is sent") {
    Pushing it;
    write_oci(it.root, it.image);
    CHECK(it.push({}).error().klass == ErrorClass::usage);
    CHECK(it.push({"ok", "../evil"}).error().klass == ErrorClass::usage);
    CHECK(it.registry.log.empty());
}

TEST_CASE("a push that is told to stop stops") {
    Pushing it;
    write_oci(it.root, it.image);
    StopSource source;
    it.opts.stop = source.token();
    it.opts.retry.first_delay = Milliseconds(20'000);
    it.opts.retry.longest_delay = Milliseconds(20'000);
    it.registry.fault = [&](const httplib::Request& in, httplib::Response& out) {
        source.request({StopReason::Kind::signal, 15});
        out.status = 503;
        return in.method == "POST";
    };
    const auto start = std::chrono::steady_clock::now();
    const auto pushed = it.push();
    REQUIRE_FALSE(pushed);
    CHECK(pushed.error().klass == ErrorClass::cancelled);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
