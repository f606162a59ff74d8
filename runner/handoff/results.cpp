#include "handoff/results.hpp"

#include "base/file.hpp"

#include <algorithm>
#include <array>

namespace slipway::handoff {

namespace {

// {"key":"…","value":"…","type":4}, and a comma.
constexpr std::size_t entry_overhead = 31;

std::size_t escaped_size(std::string_view text) {
    std::size_t size = 0;
    for (const char c : text) {
        // Go's encoder writes <, > and & as \u003c and so on, like the other control characters.
        if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') {
            size += 2;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
            size += 6;
        } else {
            size += 1;
        }
    }
    return size;
}

std::size_t total(const std::vector<NamedResult>& results) {
    std::size_t sum = 2;
    for (const NamedResult& result : results) {
        sum += encoded_size(result);
    }
    return sum;
}

/// Shortens text by at least one code point; false when nothing is left.
bool shorten_text(std::string& value) {
    if (value.empty()) {
        return false;
    }
    do {
        value.pop_back();
    } while (!value.empty() && (static_cast<unsigned char>(value.back()) & 0x80U) != 0 &&
             (static_cast<unsigned char>(value.back()) & 0xc0U) != 0xc0U);
    if (!value.empty() && (static_cast<unsigned char>(value.back()) & 0xc0U) == 0xc0U) {
        value.pop_back(); // a lead byte whose continuation went
    }
    return true;
}

/// Drops the last entry of a comma- or newline-separated list; false when nothing is left.
bool shorten_list(std::string& value) {
    if (value.empty()) {
        return false;
    }
    const auto at = value.find_last_of(",\n");
    value.resize(at == std::string::npos ? 0 : at);
    return true;
}

struct Cut {
    std::string_view name;
    bool (*shorten)(std::string&);
};

constexpr std::array<Cut, 3> cut_order{{{.name = "error-message", .shorten = shorten_text},
                                        {.name = "BASE_IMAGES_DIGESTS", .shorten = shorten_list},
                                        {.name = "IMAGES", .shorten = shorten_list}}};

} // namespace

std::size_t encoded_size(const NamedResult& result) {
    return entry_overhead + escaped_size(result.name) + escaped_size(result.value);
}

std::vector<std::string> fit_budget(std::vector<NamedResult>& results, std::size_t budget) {
    std::vector<std::string> cut;
    for (const Cut& rule : cut_order) {
        const auto found = std::ranges::find(results, rule.name, &NamedResult::name);
        if (found == results.end()) {
            continue;
        }
        bool touched = false;
        while (total(results) > budget && rule.shorten(found->value)) {
            touched = true;
        }
        if (touched) {
            cut.emplace_back(rule.name);
        }
    }
    while (total(results) > budget && !results.empty()) {
        cut.push_back(results.back().name);
        results.pop_back();
    }
    return cut;
}

Status write_results(const ResultPaths& paths, const std::vector<NamedResult>& results) {
    for (const auto& [name, path] : paths) {
        const auto found = std::ranges::find(results, name, &NamedResult::name);
        if (found != results.end()) {
            TRY(write_file_atomic(path, found->value));
        }
    }
    return {};
}

} // namespace slipway::handoff
