// corpus/NAME.dockerfile with corpus/NAME.plan: the whole plan, or the error, as text. The first line of the
// golden file holds the options: `options target=T arg:K=V platform=P noskip oci`. SLIPWAY_UPDATE_GOLDEN=1
// rewrites what follows it; read the difference before you keep it.
#include "dump.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace slipway::dockerfile;
namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

PlanOptions options_of(const std::string& line) {
    PlanOptions options;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
        const std::size_t equals = word.find('=');
        const std::string name = word.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
        if (name == "target") {
            options.target = value;
        } else if (name == "platform") {
            options.platform = value;
        } else if (name == "build-platform") {
            options.build_platform = value;
        } else if (name.starts_with("arg:")) {
            options.build_args.emplace_back(name.substr(4), value);
        } else if (name.starts_with("env:")) {
            options.predefined.emplace_back(name.substr(4), value);
        } else if (name == "noskip") {
            options.skip_unused_stages = false;
        } else if (name == "oci") {
            options.oci_format = true;
        } else {
            REQUIRE(name == "options");
        }
    }
    return options;
}

std::string outcome(const std::string& text, const PlanOptions& options) {
    auto result = [&]() -> slipway::Result<BuildPlan> {
        TRY_ASSIGN(const Dockerfile file, parse(text, "Dockerfile"));
        return plan(file, options);
    }();
    if (result) {
        return dump::plan(*result);
    }
    const slipway::Error& error = result.error();
    const slipway::Where where = error.where.value_or(slipway::Where{});
    return std::format("error {} {} at {}:{}:{}\n{}\n{}\n{}\n", to_string(error.klass), error.code,
                       where.file, where.line, where.column, error.message, error.hint, where.quote);
}

} // namespace

TEST_CASE("Every file of the corpus gives the plan or the error written beside it") {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(fs::path(SLIPWAY_TEST_DIR) / "corpus")) {
        if (entry.path().extension() == ".dockerfile") {
            files.push_back(entry.path());
        }
    }
    std::ranges::sort(files);
    REQUIRE(files.size() >= 60);
    const bool update = std::getenv("SLIPWAY_UPDATE_GOLDEN") != nullptr;
    for (fs::path path : files) {
        CAPTURE(path.filename().string());
        const std::string text = content_of(path);
        const std::string golden = content_of(path.replace_extension(".plan"));
        const std::string first = golden.empty() ? "options" : golden.substr(0, golden.find('\n'));
        const std::string actual = first + "\n" + outcome(text, options_of(first));
        if (update) {
            std::ofstream(path, std::ios::binary) << actual;
        } else {
            CHECK(actual == golden);
        }
    }
}
