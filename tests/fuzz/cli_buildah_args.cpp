// Any text is taken for options of buildah or refused; what stands in single quotes arrives as it is.
#include "cli/buildah_args.hpp"
#include "hold.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto words = cli::translate_buildah_args(text);
    hold(words || (words.error().klass == ErrorClass::usage && !words.error().hint.empty()));
    if (words) {
        hold(std::ranges::all_of(*words, [](const std::string& word) {
            return word.starts_with("--") && word.find('=') > 2 && word.contains('=');
        }));
    }
    if (!text.contains('\'')) {
        const auto quoted = cli::translate_buildah_args("--squash --label '" + text + "'");
        hold(quoted && *quoted == std::vector<std::string>{"--squash=true", "--label=" + text});
    }
    return 0;
}
