// No false alarms: files as people write them, in which there is nothing to find but advice.
#include "linted.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace fs = std::filesystem;

namespace {

std::string content_of(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

std::vector<fs::path> dockerfiles(const fs::path& directory) {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(directory)) {
        if (entry.path().extension() == ".dockerfile") {
            out.push_back(entry.path());
        }
    }
    std::ranges::sort(out);
    return out;
}

} // namespace

TEST_CASE("ordinary files are fine") {
    const auto files = dockerfiles(fs::path(SLIPWAY_TEST_DIR) / "lint/fine");
    CHECK(files.size() >= 15);
    for (const fs::path& file : files) {
        INFO(file.filename());
        CHECK(linted::rules(content_of(file)) == "");
    }
}

TEST_CASE("findings over the parser's corpus have places in the file, and nothing there needs a privilege") {
    for (const fs::path& path : dockerfiles(fs::path(SLIPWAY_TEST_DIR) / "dockerfile/corpus")) {
        const std::string text = content_of(path);
        const auto file = slipway::dockerfile::parse(text, "Dockerfile");
        if (!file) {
            continue;
        }
        INFO(path.filename());
        for (const auto& finding : linted::findings(text).list) {
            INFO(finding.rule);
            CHECK(finding.where.line >= 0);
            CHECK(static_cast<std::size_t>(finding.where.line) <= file->line_starts.size());
            const bool privilege = finding.rule.starts_with("Unprivileged");
            CHECK((!privilege || finding.rule == "UnprivilegedNetworkFlag"));
        }
    }
}
