// Whatever parses can be checked, planned or not, and reported in every form.
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "hold.hpp"
#include "lint/lint.hpp"
#include "lint/report.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const auto file = dockerfile::parse({reinterpret_cast<const char*>(data), size}, "Dockerfile");
    if (!file) {
        return 0;
    }
    const auto plan = dockerfile::plan(*file, {});
    const auto found = lint::check(*file, plan ? &*plan : nullptr, {});
    for (const lint::Finding& finding : found.list) {
        const auto line = static_cast<std::size_t>(finding.where.line);
        hold(!finding.message.empty() && finding.where.line >= 0 && line <= file->line_starts.size());
    }
    hold(!lint::text_report(found, {}).empty());
    hold(!lint::json_report(found, {}).empty());
    hold(!lint::sarif_report(found, {}).empty());
    return 0;
}
