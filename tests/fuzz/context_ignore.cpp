// Any bytes are an ignore file; every path has a verdict, within a bound, and a file's reading never changes.
#include "context/glob.hpp"
#include "context/ignore.hpp"
#include "hold.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway::context;
    // The path stands before the first NUL, the file behind it.
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::size_t end = std::min(text.find('\0'), text.size());
    const std::string_view path = text.substr(0, end);
    const std::string_view content = text.substr(std::min(end + 1, text.size()));

    const IgnoreRules rules(content);
    const auto verdict = rules.verdict(path);
    const IgnoreRules again(content);
    hold(again.verdict(path).line == verdict.line && rules.enters(path) == again.enters(path));
    // A program has at most ten thousand instructions, a few for each character of its pattern but for {n}.
    hold(rules.work() <= 30'000 * (path.size() + 2) * (content.size() + 1));
    hold(!rules.empty() || !verdict.excluded);
    (void)glob_match(content, path);
    return 0;
}
