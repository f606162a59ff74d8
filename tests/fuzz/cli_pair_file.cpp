// Any bytes are a file of NAME=VALUE lines or refused with the line; what was understood, written again, is
// understood alike.
#include "cli/pair_file.hpp"
#include "hold.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const auto pairs = cli::parse_pairs({reinterpret_cast<const char*>(data), size}, "labels");
    if (!pairs) {
        hold(pairs.error().klass == ErrorClass::usage && pairs.error().message.starts_with("labels:"));
        return 0;
    }
    std::string text;
    for (const auto& [name, value] : *pairs) {
        hold(!name.empty() && !name.starts_with('#') && !name.contains('=') &&
             !(name + value).contains('\n'));
        text += name + '=' + value + "\r\n";
    }
    hold(cli::parse_pairs(text, "again").value() == *pairs);
    return 0;
}
