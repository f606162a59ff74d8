// Any text is a word to either reader or an error that says so; growth is bounded.
#include "dockerfile/expand.hpp"
#include "hold.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::dockerfile;
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    // The first line is the value of every variable whose name begins with a letter below n.
    const std::size_t end = std::min(all.find('\n'), size);
    const std::string value(all.substr(0, end));
    const std::string_view text = all.substr(std::min(end + 1, size));
    const Lookup lookup = [&](std::string_view name) {
        return name.front() < 'n' ? std::optional(value) : std::nullopt;
    };
    constexpr std::size_t grown = std::size_t{300} << 10U;
    for (const ExpandOptions& options :
         {ExpandOptions{}, ExpandOptions{.escape = '`'}, ExpandOptions{.keep_quotes = true},
          ExpandOptions{.dialect = Dialect::buildkit}}) {
        const auto whole = expand(text, lookup, options);
        const auto words = expand_words(text, lookup, options);
        hold(whole ? whole->text.size() <= size + grown : !whole.error().message.empty());
        hold(!words || words->words.size() <= size + grown);
    }
    return 0;
}
