#include "steps/work.hpp"

#include "steps/access.hpp"

namespace slipway::steps {

namespace fs = std::filesystem;

fs::path work_directory(const fs::path& wish) {
    if (!wish.empty()) {
        return wish;
    }
    std::error_code ignored;
    fs::path standard = "/slipway/work";
    if (fs::is_directory(standard, ignored)) {
        return standard;
    }
    const std::string tmpdir = environment("TMPDIR");
    return tmpdir.empty() ? "/var/tmp" : fs::path(tmpdir);
}

} // namespace slipway::steps
