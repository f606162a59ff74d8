#include "steps/ca_directory.hpp"

#include "base/file.hpp"
#include "http/failure.hpp"
#include "http/options.hpp"

#include <algorithm>
#include <format>
#include <vector>

namespace slipway::steps {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_files = 100;
constexpr std::size_t most_bytes = 1U << 20U;

Result<std::vector<fs::path>> files_of(const cli::Common& common) {
    std::error_code failure;
    if (!common.ca_name.empty() && !common.ca_name.contains('/') &&
        fs::is_regular_file(common.ca_file / common.ca_name, failure)) {
        return std::vector{common.ca_file / common.ca_name};
    }
    std::vector<fs::path> files;
    for (fs::directory_iterator each(common.ca_file, failure), end; !failure && each != end;
         each.increment(failure)) {
        const fs::path extension = each->path().extension();
        std::error_code ignored;
        // A Secret's keys are links beside a hidden directory.
        if ((extension == ".crt" || extension == ".pem") && each->is_regular_file(ignored)) {
            files.push_back(each->path());
        }
    }
    if (failure || files.size() > most_files) {
        return fail_usage(
            failure ? std::format("cannot read {}: {}", common.ca_file.string(), failure.message())
                    : std::format("more than {} certificates in {}", most_files, common.ca_file.string()),
            "give --ca-file a file, or a directory of *.crt or *.pem files");
    }
    std::ranges::sort(files);
    return files;
}

} // namespace

Result<fs::path> ca_bundle(const cli::Common& common, const fs::path& state) {
    std::error_code ignored;
    if (common.ca_file.empty() || !fs::is_directory(common.ca_file, ignored)) {
        return common.ca_file;
    }
    TRY_ASSIGN(auto files, files_of(common));
    if (files.empty()) {
        return fs::path();
    }
    TRY_ASSIGN(const http::Options http, http::Options::from_environment());
    TRY_ASSIGN(const std::string system, http::find_ca_bundle(http, /*optional=*/true));
    if (!system.empty()) {
        files.emplace_back(system);
    }
    std::string bundle;
    for (const fs::path& file : files) {
        TRY_ASSIGN(const std::string text, read_file(file, most_bytes));
        bundle += text + (text.ends_with('\n') ? "" : "\n");
    }
    fs::path path = state / "authorities.pem";
    TRY(write_file_atomic(path, bundle));
    return path;
}

} // namespace slipway::steps
