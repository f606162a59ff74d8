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
    const auto files = dockerfiles(fs::path(SLIPWAY_TEST_DIR) / "fine");
    CHECK(files.size() >= 15);
    for (const fs::path& file : files) {
        INFO(file.filename());
        CHECK(linted::rules(content_of(file)) == "");
    }
}

TEST_CASE("what the parser's corpus holds is found, and nothing else") {
    std::string all;
    for (const fs::path& path : dockerfiles(fs::path(SLIPWAY_TEST_DIR) / "../dockerfile/corpus")) {
        const std::string text = content_of(path);
        if (slipway::dockerfile::parse(text, "Dockerfile")) {
            if (const std::string found = linted::rules(text); !found.empty()) {
                all += path.stem().string() + ": " + found + "\n";
            }
        }
    }
    const fs::path golden = fs::path(SLIPWAY_TEST_DIR) / "corpus.txt";
    if (std::getenv("SLIPWAY_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(golden, std::ios::binary) << all;
    }
    CHECK(all == content_of(golden));
}
