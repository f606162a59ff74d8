#include "archive/name.hpp"

#include "base/encoding.hpp"

#include <algorithm>
#include <format>

namespace slipway::archive {

namespace {

constexpr std::size_t longest_component = 255; // NAME_MAX
constexpr std::size_t longest_path = 4000;     // PATH_MAX less the target's own path, roughly
constexpr std::size_t deepest = 200;           // each open directory on the way costs a descriptor

} // namespace

std::string Name::text() const {
    std::string out;
    for (const std::string& part : parts) {
        out += (out.empty() ? "" : "/") + part;
    }
    return out;
}

std::string printable_name(std::string_view raw, std::size_t most) {
    std::string out = to_valid_utf8(raw.substr(0, most));
    std::ranges::replace_if(out, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return raw.size() > most ? out + "…" : out;
}

Error bad_archive(std::string message, std::string hint) {
    return make_error(ErrorClass::build, code::cannot_extract_build_pack, std::move(message),
                      std::move(hint));
}

Result<Name> parse_name(std::string_view raw, Separators separators, int strip) {
    const std::string_view between = separators == Separators::slash ? "/" : "/\\";
    if (raw.empty()) {
        return fail(bad_archive("the archive has an entry without a name", "pack the archive again"));
    }
    if (raw.size() > longest_path) {
        return fail(bad_archive("a name in the archive is too long: " + printable_name(raw, 80),
                                std::format("a path may have {} bytes", longest_path)));
    }
    Name name{.parts = {}, .was_absolute = between.contains(raw.front())};
    while (!raw.empty()) {
        const auto end = std::min(raw.find_first_of(between), raw.size());
        const std::string_view part = raw.substr(0, end);
        raw.remove_prefix(std::min(end + 1, raw.size()));
        if (part.empty() || part == ".") {
            continue;
        }
        if (part == "..") {
            return fail(bad_archive("the archive has a name that leads out of it, by '..'",
                                    "pack the archive from inside the source's directory"));
        }
        if (part.size() > longest_component) {
            return fail(bad_archive("a name in the archive is too long: " + printable_name(part, 80),
                                    std::format("a file name may have {} bytes", longest_component)));
        }
        if (name.parts.size() == deepest + static_cast<std::size_t>(strip)) {
            return fail(
                bad_archive(std::format("the archive is nested more than {} directories deep", deepest),
                            "pack a flatter tree"));
        }
        name.parts.emplace_back(part);
    }
    const auto dropped = std::min(name.parts.size(), static_cast<std::size_t>(strip));
    name.parts.erase(name.parts.begin(), name.parts.begin() + static_cast<std::ptrdiff_t>(dropped));
    return name;
}

} // namespace slipway::archive
