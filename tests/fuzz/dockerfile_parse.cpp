// Any bytes are a Dockerfile or an error with a place in it; what parses can be planned or is such an error.
#include "dockerfile/parse.hpp"
#include "dockerfile/plan.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto file = dockerfile::parse(text, "Dockerfile");
    if (!file) {
        if (file.error().klass != ErrorClass::build || file.error().message.empty()) {
            std::abort();
        }
        return 0;
    }
    const auto plan = dockerfile::plan(*file, {});
    if (!plan && plan.error().message.empty()) {
        std::abort();
    }
    return 0;
}
