// Any bytes are a Dockerfile or an error with a place in it; what parses can be planned or is such an error.
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"
#include "hold.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto file = dockerfile::parse(text, "Dockerfile");
    if (!file) {
        hold(file.error().klass == ErrorClass::build && !file.error().message.empty());
        return 0;
    }
    const auto plan = dockerfile::plan(*file, {});
    hold(plan || !plan.error().message.empty());
    return 0;
}
