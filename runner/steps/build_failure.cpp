#include "steps/build_failure.hpp"

#include "base/encoding.hpp"
#include "pod/forecast.hpp"
#include "steps/reproduce.hpp"

#include <algorithm>
#include <format>
#include <set>

namespace slipway::steps {

Status foresee_space(const Workshop& shop, const handoff::Plan& plan) {
    std::vector<pod::ImageSize> images;
    std::set<std::string> seen;
    for (const handoff::BaseImage& image : plan.images) {
        if (seen.insert(image.pinned).second) {
            images.push_back({.compressed = image.size, .layers = image.layers.size()});
        }
    }
    const pod::Forecast forecast = pod::forecast(shop.recipe, images, plan.context_bytes);
    TRY_ASSIGN(const auto advice,
               pod::compare(forecast, pod::read_file_system(shop.home.path()), shop.recipe));
    for (const pod::Advice& one : advice) {
        shop.step.warn(one.code, one.message, one.hint);
    }
    return {};
}

Error explain_failure(Workshop& shop, const handoff::Plan& plan, Error error) {
    if (shop.step.stop.requested()) {
        return error;
    }
    const pod::Findings found = shop.watch.findings();
    if (found.ended_for_memory) {
        const std::string what = error.where ? ": " + one_line(error.where->quote, 200) : "";
        Error memory = make_error(
            ErrorClass::resource, code::out_of_memory,
            std::format("out of memory{}; ended before the kernel would have killed the whole container",
                        what),
            std::format("raise the container's memory limit{}, or let the command do less at once (make -j); "
                        "files on "
                        "a volume in memory count too",
                        found.limit ? " (" + humane_bytes(*found.limit) + ")" : ""));
        memory.cause = found.biggest.empty() ? "" : "the biggest process was " + found.biggest;
        memory.where = std::move(error.where);
        error = std::move(memory);
    }
    Circumstances known = shop.step.circumstances();
    // Looked at now and then, the container may have held more in between; what its largest process did is
    // exact.
    if (const std::uint64_t peak = std::max(found.peak_memory, known.peak_memory.value_or(0)); peak > 0) {
        known.peak_memory = peak;
    }
    shop.step.circumstances(std::move(known));
    tell_how_to_reproduce(shop, plan, error);
    return error;
}

} // namespace slipway::steps
