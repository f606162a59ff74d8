#include "steps/pair_file.hpp"

#include "base/file.hpp"

#include <algorithm>
#include <format>

namespace slipway::steps {

Result<std::map<std::string, std::string>> read_pair_file(const std::filesystem::path& path) {
    std::map<std::string, std::string> pairs;
    TRY_ASSIGN(const std::string content, read_file(path, 1U << 20U));
    int number = 0;
    for (std::size_t begin = 0; begin < content.size();) {
        const std::size_t end = std::min(content.find('\n', begin), content.size());
        std::string line = content.substr(begin, end - begin);
        begin = end + 1;
        ++number;
        if (line.ends_with('\r')) {
            line.pop_back();
        }
        if (line.empty() || line.starts_with('#')) {
            continue;
        }
        const auto at = line.find('=');
        if (at == 0 || at == std::string::npos) {
            return fail_usage(std::format("{}:{}: not NAME=VALUE", path.string(), number),
                              "one NAME=VALUE a line; # begins a comment");
        }
        pairs.insert_or_assign(line.substr(0, at), line.substr(at + 1));
    }
    return pairs;
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

} // namespace slipway::steps
