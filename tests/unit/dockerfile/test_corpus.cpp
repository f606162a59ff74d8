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

// As a person sees it: place and message, the line, a caret under the fragment, what to do.
std::string shown(const slipway::Error& error, const slipway::Where& where) {
    std::string out = where.file;
    out += where.line > 0 ? std::format(":{}", where.line) : "";
    out += where.column > 0 ? std::format(":{}", where.column) : "";
    out += ": " + error.message + "\n";
    if (!where.quote.empty()) {
        out += "  | " + where.quote + "\n";
    }
    if (where.column > 0) {
        // Tabs stay tabs, so that the caret stands where it should.
        std::string before = where.quote.substr(0, static_cast<std::size_t>(where.column) - 1);
        std::ranges::replace_if(before, [](char c) { return c != '\t'; }, ' ');
        out += "  | " + before + "^\n";
    }
    return out + "  " + error.hint + "\n";
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
    return std::format("error {} {}\n{}", to_string(error.klass), error.code, shown(error, where));
}

} // namespace

TEST_CASE("Every file of the corpus gives the plan or the error written beside it") {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(fs::path(SLIPWAY_TEST_DIR) / "dockerfile/corpus")) {
        if (entry.path().extension() == ".dockerfile") {
            files.push_back(entry.path());
        }
    }
    std::ranges::sort(files);
    REQUIRE(files.size() >= 350);
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

TEST_CASE("Every error of the corpus has a hint and a place, with a column unless it is about the whole line "
          "or file") {
    std::size_t broken = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(SLIPWAY_TEST_DIR) / "dockerfile/corpus")) {
        if (entry.path().extension() != ".dockerfile") {
            continue;
        }
        CAPTURE(entry.path().filename().string());
        fs::path golden = entry.path();
        const std::string options = content_of(golden.replace_extension(".plan"));
        const auto result = [&]() -> slipway::Result<BuildPlan> {
            TRY_ASSIGN(const Dockerfile file, parse(content_of(entry.path()), "Dockerfile"));
            return plan(file, options_of(options.substr(0, options.find('\n'))));
        }();
        if (result) {
            continue;
        }
        ++broken;
        const slipway::Error& error = result.error();
        REQUIRE(error.where);
        CHECK_FALSE(error.hint.empty());
        CHECK_FALSE(error.message.contains('\n'));
        if (error.where->line > 0) {
            CHECK_FALSE(error.where->quote.empty());
            CHECK(error.where->column > 0);
            CHECK(static_cast<std::size_t>(error.where->column) <= error.where->quote.size() + 1);
        }
    }
    CHECK(broken >= 100);
}
