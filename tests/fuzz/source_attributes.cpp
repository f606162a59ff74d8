// Any bytes are a .gitattributes; whatever they ask for, converting twice what has no lone line end changes
// nothing, and a pattern says yes or no.
#include "hold.hpp"
#include "source/attributes.hpp"
#include "source/attributes_convert.hpp"
#include "source/attributes_pattern.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    source::Attributes attributes;
    const Status added = attributes.add("", text.substr(0, size / 2));
    hold(added || !added.error().message.empty());
    std::ignore = attributes.add("a/b", text.substr(size / 2));
    for (const std::string_view path : {"x.txt", "a/b/c.bat", "a/b/c/d/$Id$"}) {
        source::FileAttributes found = attributes.of(path);
        found.ident = false;
        const auto once = source::convert_content(text, found, [] { return std::string("0"); });
        hold(!once || !source::convert_content(*once, found, [] { return std::string("0"); }));
    }
    source::path_pattern_matches(text.substr(0, size / 2), text.substr(size / 2));
    return 0;
}
