// Whatever the bytes, they are something with a name, and the quote of them is one printable line.
#include "archive/sniff.hpp"
#include "hold.hpp"

#include <algorithm>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::archive;
    const Sniffed sniffed = sniff(std::string_view(reinterpret_cast<const char*>(data), size));
    const bool printable = std::ranges::all_of(
        sniffed.quote, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
    hold(!sniffed.words.empty() && printable && sniffed.quote.size() <= 200);
    return 0;
}
