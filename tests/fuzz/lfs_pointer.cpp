// Any bytes are a pointer, or none; a server's answer is understood, or an error. Neither is a crash.
#include "hold.hpp"
#include "lfs/batch.hpp"
#include "lfs/pointer.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto pointer = lfs::parse_pointer(text)) {
        hold(lfs::is_oid(pointer->oid) && pointer->size <= INT64_MAX && size <= lfs::longest_pointer);
    }
    const std::vector<lfs::Object> asked{{.oid = std::string(64, '1'), .size = 1}};
    const auto answers = lfs::parse_batch(text, asked, {});
    hold(answers ? answers->size() == asked.size() : !answers.error().message.empty());
    if (const auto action = lfs::parse_authentication(text, {})) {
        static_cast<void>(action->secrets());
    }
    return 0;
}
