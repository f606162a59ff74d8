#include "steps/layout.hpp"

#include "base/file.hpp"

#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace slipway::steps {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t largest_manifest = 4U << 20U;

} // namespace

Result<LayoutSummary> read_layout(const fs::path& directory, const std::string& form,
                                  const std::string& digest) {
    const std::string hex = digest.substr(digest.find(':') + 1);
    const fs::path manifest =
        form == "oci" ? directory / "blobs" / "sha256" / hex : directory / "manifest.json";
    TRY_ASSIGN(const std::string text, read_file(manifest, largest_manifest));
    const auto unreadable = [&](const std::string& why) {
        Error error = make_error(ErrorClass::internal, code::internal_error,
                                 "the built image's manifest cannot be read");
        error.cause = why;
        return fail(std::move(error));
    };
    try {
        const auto json = nlohmann::json::parse(text);
        LayoutSummary summary;
        summary.media_type = json.value("mediaType", "application/vnd.oci.image.manifest.v1+json");
        summary.config_digest = json.at("config").at("digest");
        summary.size = json.at("config").at("size").get<std::uint64_t>();
        for (const auto& layer : json.at("layers")) {
            summary.layers.push_back({.digest = layer.at("digest"),
                                      .size = layer.at("size").get<std::uint64_t>(),
                                      .media_type = layer.at("mediaType"),
                                      .from = frames::LayerOrigin::own});
            summary.size += summary.layers.back().size;
        }
        return summary;
    } catch (const nlohmann::json::exception& error) {
        return unreadable(error.what());
    }
}

Status share_with_group(const fs::path& directory) {
    std::error_code error;
    const auto share = [](const fs::path& path, mode_t bits) -> Status {
        struct stat info{};
        if (::lstat(path.c_str(), &info) != 0 || ::chmod(path.c_str(), (info.st_mode & 07777U) | bits) != 0) {
            return fail_errno("share " + path.filename().string(), errno);
        }
        return {};
    };
    TRY(share(directory, 0750));
    for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->is_symlink()) {
            continue;
        }
        TRY(share(entry->path(), entry->is_directory() ? 0750 : 0440));
    }
    return error ? Status(fail_errno("read " + directory.string(), error.value())) : Status();
}

} // namespace slipway::steps
