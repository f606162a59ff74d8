// Any bytes are a URL or an error. What is a URL is the same URL when read again, stays on its origin unless
// the text leads away, and never shows its password.
#include "hold.hpp"
#include "http/url.hpp"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto base = http::parse_url("https://base.example/a/b?c");
    if (const auto url = http::parse_url(text)) {
        hold(!url->host.empty() && url->port != 0 && url->target.starts_with('/'));
        hold(url->target.find_first_of(" \r\n") == std::string::npos);
        const auto again = http::parse_url(url->text());
        hold(again && again->text() == url->text() && again->same_origin(*url));
        hold(again->username.empty() && again->password.empty());
    }
    if (const auto moved = http::resolve_url(*base, text)) {
        hold(moved->target.starts_with('/') && moved->target.find_first_of(" \r\n") == std::string::npos);
    }
    return 0;
}
