// Small images and layouts for tests.
#pragma once

#include "base/encoding.hpp"
#include "base/file.hpp"
#include "digest/sha256.hpp"
#include "http/options.hpp"
#include "registry/options.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace slipway::registry::test {

inline std::string describe(std::string_view type, std::string_view bytes, std::string_view more = "") {
    return "{\"mediaType\":\"" + std::string(type) + "\",\"digest\":\"" + digest::sha256(bytes) +
           "\",\"size\":" + std::to_string(bytes.size()) + std::string(more) + "}";
}

constexpr std::string_view manifest_type = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view index_type = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view config_type = "application/vnd.oci.image.config.v1+json";
constexpr std::string_view layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";

struct Image {
    std::string config;
    std::vector<std::string> layers;
    std::string manifest;
    std::string digest;

    explicit Image(std::vector<std::string> layer_bytes = {"layer one", std::string(300'000, 'z')},
                   std::string architecture = "amd64")
        : layers(std::move(layer_bytes)) {
        config =
            R"({"os":"linux","architecture":")" + architecture +
            R"(","config":{"Env":["PATH=/bin","A=b=c"],"User":"1000","OnBuild":["RUN echo hi"],)"
            R"("Labels":{"k":"v"},"Healthcheck":{"Test":["CMD","true"]}},"rootfs":{"type":"layers","diff_ids":[]}})";
        manifest = "{\"schemaVersion\":2,\"mediaType\":\"" + std::string(manifest_type) +
                   "\",\"config\":" + describe(config_type, config) + ",\"layers\":[";
        for (std::size_t i = 0; i < layers.size(); ++i) {
            manifest += (i == 0 ? "" : ",") + describe(layer_type, layers[i]);
        }
        manifest += "]}";
        digest = digest::sha256(manifest);
    }
};

inline void write_blob(const std::filesystem::path& root, const std::string& bytes) {
    (void)write_file_atomic(root / "blobs/sha256" / digest::sha256(bytes).substr(7), bytes);
}

inline void write_oci(const std::filesystem::path& root, const Image& image) {
    (void)make_directories(root / "blobs/sha256");
    (void)write_file_atomic(root / "oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    (void)write_file_atomic(root / "index.json", "{\"schemaVersion\":2,\"manifests\":[" +
                                                     describe(manifest_type, image.manifest) + "]}");
    write_blob(root, image.manifest);
    write_blob(root, image.config);
    for (const std::string& layer : image.layers) {
        write_blob(root, layer);
    }
}

inline void write_dir(const std::filesystem::path& root, const Image& image) {
    (void)make_directories(root);
    (void)write_file_atomic(root / "version", "Directory Transport Version: 1.1\n");
    (void)write_file_atomic(root / "manifest.json", image.manifest);
    (void)write_file_atomic(root / digest::sha256(image.config).substr(7), image.config);
    for (const std::string& layer : image.layers) {
        (void)write_file_atomic(root / digest::sha256(layer).substr(7), layer);
    }
}

inline Options options() {
    auto http = std::make_shared<http::Options>();
    http->connect_timeout = Milliseconds(2000);
    http->read_timeout = Milliseconds(10'000);
    Options out;
    out.http = http;
    out.tls_verify = false;
    out.certs_dirs.clear();
    out.retry = {
        .retries = 2, .first_delay = Milliseconds(1), .longest_delay = Milliseconds(20), .factor = 2.0};
    return out;
}

} // namespace slipway::registry::test
