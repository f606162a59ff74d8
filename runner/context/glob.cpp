#include "context/glob.hpp"

#include "context/text.hpp"

#include <optional>

namespace slipway::context {

namespace {

/// One bound of a range in a class, taken off `chunk`; nothing when the class ends here or is broken.
std::optional<char32_t> take_bound(std::string_view& chunk) {
    if (chunk.empty() || chunk.front() == '-' || chunk.front() == ']') {
        return std::nullopt;
    }
    if (chunk.front() == '\\') {
        chunk.remove_prefix(1);
        if (chunk.empty()) {
            return std::nullopt;
        }
    }
    const Rune rune = decode_rune(chunk);
    if (rune.value == 0xfffd && rune.length == 1) {
        return std::nullopt;
    }
    chunk.remove_prefix(rune.length);
    return chunk.empty() ? std::nullopt : std::optional(rune.value);
}

/// Takes a class, its `[` gone, off `chunk`; whether it holds `rune`, nothing when it is malformed.
std::optional<bool> take_class(std::string_view& chunk, char32_t rune) {
    const bool negated = chunk.starts_with('^');
    if (negated) {
        chunk.remove_prefix(1);
    }
    bool holds = false;
    for (bool first = true; first || !chunk.starts_with(']'); first = false) {
        const auto low = take_bound(chunk);
        if (!low) {
            return std::nullopt;
        }
        auto high = low;
        if (chunk.starts_with('-')) {
            chunk.remove_prefix(1);
            high = take_bound(chunk);
            if (!high) {
                return std::nullopt;
            }
        }
        holds = holds || (*low <= rune && rune <= *high);
    }
    chunk.remove_prefix(1);
    return holds != negated;
}

/// `chunk` (no `*` outside classes) against the start of `name`, which is taken off on success. All of the
/// chunk is read, whether or not it can still match.
GlobMatch take_chunk(std::string_view chunk, std::string_view& name) {
    std::string_view rest = name;
    bool failed = false;
    while (!chunk.empty()) {
        failed = failed || rest.empty();
        const Rune rune = failed ? Rune{} : decode_rune(rest);
        const char first = chunk.front();
        chunk.remove_prefix(1);
        if (first == '[') {
            const auto holds = take_class(chunk, rune.value);
            if (!holds) {
                return GlobMatch::malformed;
            }
            failed = failed || !*holds;
        } else if (first == '?') {
            failed = failed || rune.value == '/';
        } else {
            char wanted = first;
            if (first == '\\') {
                if (chunk.empty()) {
                    return GlobMatch::malformed;
                }
                wanted = chunk.front();
                chunk.remove_prefix(1);
            }
            failed = failed || rest.front() != wanted;
            if (!failed) {
                rest.remove_prefix(1); // a byte, as the pattern gives bytes
            }
            continue;
        }
        if (!failed) {
            rest.remove_prefix(rune.length);
        }
    }
    if (failed) {
        return GlobMatch::no;
    }
    name = rest;
    return GlobMatch::yes;
}

/// Up to the next `*` outside a class.
std::string_view take_until_star(std::string_view& pattern) {
    bool in_class = false;
    std::size_t end = 0;
    for (; end < pattern.size(); ++end) {
        const char c = pattern[end];
        if (c == '\\') {
            end += end + 1 < pattern.size() ? 1U : 0U;
        } else if (c == '[' || c == ']') {
            in_class = c == '[';
        } else if (c == '*' && !in_class) {
            break;
        }
    }
    const std::string_view chunk = pattern.substr(0, end);
    pattern.remove_prefix(end);
    return chunk;
}

} // namespace

GlobMatch glob_match(std::string_view pattern, std::string_view name) {
    while (!pattern.empty()) {
        const bool star = pattern.starts_with('*');
        while (pattern.starts_with('*')) {
            pattern.remove_prefix(1);
        }
        const std::string_view chunk = take_until_star(pattern);
        if (star && chunk.empty()) {
            return name.contains('/') ? GlobMatch::no : GlobMatch::yes;
        }
        // The last chunk has to end where the name does; any other may take its first place, since a `*`
        // follows.
        std::string_view rest = name;
        const auto fits = [&] {
            const GlobMatch match = take_chunk(chunk, rest);
            return match == GlobMatch::yes && pattern.empty() && !rest.empty() ? GlobMatch::no : match;
        };
        GlobMatch match = fits();
        for (std::size_t i = 0; star && match == GlobMatch::no && i < name.size() && name[i] != '/'; ++i) {
            rest = name.substr(i + 1);
            match = fits();
        }
        if (match != GlobMatch::yes) {
            return match;
        }
        name = rest;
    }
    return name.empty() ? GlobMatch::yes : GlobMatch::no;
}

bool is_glob(std::string_view path) noexcept {
    return path.find_first_of("*?[\\") != std::string_view::npos;
}

} // namespace slipway::context
