// Any bytes are the URL of a repository or an error that repeats no password. What may be shown of one holds
// no password and is a URL again.
#include "hold.hpp"
#include "source/git.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static_cast<void>(source::secrets_in_url(text));
    const auto url = source::parse_git_url(text);
    if (!url) {
        hold(url.error().klass == ErrorClass::usage && !url.error().message.empty());
        return 0;
    }
    hold(!url->clean.starts_with('-'));
    if (url->clean.size() > 2048) { // escaping a user's name made it longer than a URL may be
        return 0;
    }
    const auto again = source::parse_git_url(url->clean);
    hold(again && !again->has_password && again->host == url->host && again->port == url->port);
    hold(again->clean == url->clean && again->path == url->path);
    return 0;
}
