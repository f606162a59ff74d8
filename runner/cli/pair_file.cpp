#include "cli/pair_file.hpp"

#include "base/file.hpp"

#include <algorithm>
#include <format>

namespace slipway::cli {

Result<std::map<std::string, std::string>> parse_pairs(std::string_view text, std::string_view name) {
    std::map<std::string, std::string> pairs;
    for (int number = 1; !text.empty(); ++number) {
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.empty() || line.starts_with('#')) {
            continue;
        }
        const auto at = line.find('=');
        if (at == 0 || at == std::string_view::npos) {
            return fail_usage(std::format("{}:{}: not NAME=VALUE", name, number),
                              "one NAME=VALUE a line; # begins a comment");
        }
        pairs.insert_or_assign(std::string(line.substr(0, at)), std::string(line.substr(at + 1)));
    }
    return pairs;
}

Result<std::map<std::string, std::string>> read_pair_file(const std::filesystem::path& path) {
    TRY_ASSIGN(const std::string text, read_file(path, 1U << 20U));
    return parse_pairs(text, path.string());
}

Result<std::map<std::string, std::string>> pairs_over_file(const std::filesystem::path& path,
                                                           const std::map<std::string, std::string>& more) {
    std::map<std::string, std::string> pairs;
    if (!path.empty()) {
        TRY_ASSIGN(pairs, read_pair_file(path));
    }
    for (const auto& [name, value] : more) {
        pairs.insert_or_assign(name, value);
    }
    return pairs;
}

} // namespace slipway::cli
