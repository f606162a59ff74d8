#include "source/attributes_convert.hpp"

#include <algorithm>
#include <cstdint>

namespace slipway::source {
namespace {

struct Statistics {
    std::uint64_t nul = 0;
    std::uint64_t lone_cr = 0;
    std::uint64_t lone_lf = 0;
    std::uint64_t crlf = 0;
    std::uint64_t printable = 0;
    std::uint64_t odd = 0; ///< control characters, not counting usual white space, ESC and line ends
};

Statistics statistics(std::string_view text) {
    Statistics found;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == '\r') {
            if (i + 1 < text.size() && text[i + 1] == '\n') {
                ++found.crlf;
                ++i;
            } else {
                ++found.lone_cr;
            }
        } else if (c == '\n') {
            ++found.lone_lf;
        } else if (c == '\b' || c == '\t' || c == '\f' || c == 0x1b || (c >= 0x20 && c != 0x7f)) {
            ++found.printable;
        } else {
            found.nul += c == 0 ? 1 : 0;
            ++found.odd;
        }
    }
    if (text.ends_with('\x1a')) { // DOS's end of file
        --found.odd;
    }
    return found;
}

bool wants_crlf(std::string_view text, FileAttributes::Text kind) {
    const Statistics found = statistics(text);
    if (found.lone_lf == 0) {
        return false;
    }
    // Git only guesses under text=auto, and then leaves alone what is mixed already or looks binary.
    const bool looks_binary = found.lone_cr > 0 || found.nul > 0 || found.printable / 128 < found.odd;
    return kind != FileAttributes::Text::automatic || (found.crlf == 0 && !looks_binary);
}

std::string with_crlf(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 32);
    char before = 0;
    for (const char c : text) {
        if (c == '\n' && before != '\r') {
            out += '\r';
        }
        out += c;
        before = c;
    }
    return out;
}

/// Length of the keyword at the start of `text`, "$Id$" or "$Id: … $", or 0. One whose content has blanks
/// inside is another system's and is left alone.
std::size_t keyword_length(std::string_view text) {
    if (text.starts_with("$Id$")) {
        return 4;
    }
    if (!text.starts_with("$Id:")) {
        return 0;
    }
    const std::size_t end = text.find_first_of("$\n", 4);
    if (end == std::string_view::npos || text[end] == '\n') {
        return 0;
    }
    const std::size_t space = end > 5 ? text.substr(0, end).find(' ', 5) : std::string_view::npos;
    return space == std::string_view::npos || space == end - 1 ? end + 1 : 0;
}

std::optional<std::string> with_ident(std::string_view text,
                                      const std::function<std::string()>& object_name) {
    std::string out;
    std::string name;
    std::size_t done = 0;
    for (std::size_t at = text.find('$'); at != std::string_view::npos;) {
        const std::size_t length = keyword_length(text.substr(at));
        if (length == 0) {
            at = text.find('$', at + 1);
            continue;
        }
        if (name.empty()) {
            name = object_name();
        }
        out.append(text.substr(done, at - done)).append("$Id: ").append(name).append(" $");
        done = at + length;
        at = text.find('$', done);
    }
    if (done == 0) {
        return std::nullopt;
    }
    return out.append(text.substr(done));
}

} // namespace

std::optional<std::string> convert_content(std::string_view stored, const FileAttributes& attributes,
                                           const std::function<std::string()>& object_name) {
    std::optional<std::string> converted;
    if (attributes.ident) {
        converted = with_ident(stored, object_name);
    }
    const std::string_view text = converted ? std::string_view(*converted) : stored;
    if (attributes.crlf && wants_crlf(text, attributes.text)) {
        converted = with_crlf(text);
    }
    return converted;
}

} // namespace slipway::source
