#include "steps/fetch_target.hpp"

#include "handoff/files.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

namespace fs = std::filesystem;

Result<fs::path> fetch_target(const cli::Fetch& params, const fs::path& state) {
    fs::path target = params.into.empty() ? state / "source" : params.into;
    if (!params.subdirectory.empty()) {
        if (params.subdirectory.is_absolute() || std::ranges::contains(params.subdirectory, fs::path(".."))) {
            return fail_usage(std::format("--subdirectory: '{}' leads out of {}",
                                          params.subdirectory.string(), target.string()),
                              "give a relative path without '..'");
        }
        target /= params.subdirectory;
    }
    target = fs::absolute(target).lexically_normal();
    std::error_code ignored;
    if (!params.delete_existing && fs::exists(target, ignored) && !fs::is_empty(target, ignored)) {
        return fail_usage(target.string() + " is not empty, and --delete-existing=false",
                          "let it be emptied, or name another directory");
    }
    return target;
}

Result<handoff::Source> take_existing(const fs::path& target, Step& step) {
    step.hello("take the source in " + target.string() + " as it is");
    TRY(handoff::forget_from(step.state, "source"));
    std::error_code failure;
    if (!fs::is_directory(target, failure)) {
        return fail_usage(target.string() + " is no directory, and no source was named",
                          "give --url, --archive or --dockerfile-only, or a directory that holds the source");
    }
    handoff::Source source;
    source.directory = target.string();
    TRY(handoff::write(step.state, source));
    return source;
}

} // namespace slipway::steps
